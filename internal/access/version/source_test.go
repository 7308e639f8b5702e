package version

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/git"
	"github.com/cardea-id/cardea/internal/access/git/gittest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

// A repository is followed: what is new is planned and applied, a commit that
// does not hold changes nothing and is reported, and the next good one counts.
func TestARepositoryIsFollowed(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		o := gittest.New(t)
		w.Registry.Exchange = gittest.Exchange
		w.withHistory(t)
		first := o.Commit("access/policies", example(t, "documents"))
		due := func(want string, version int64) *Source {
			t.Helper()
			w.Clock.Advance(2 * time.Minute)
			if err := w.Due(ctx, dbtest.Realm); err != nil {
				t.Fatal(err)
			}
			s, err := w.SourceOf(ctx, dbtest.Realm)
			if err != nil || s.State != want || s.Number != version {
				t.Fatalf("%+v, %v; want %s with version %d", s, err, want, version)
			}
			return s
		}
		s, err := w.Follow(ctx, audittest.By, dbtest.Realm, Source{Kind: Git, Location: o.URL + "/", Branch: "main", Folder: "access/policies", Username: "bot", Password: "a token"})
		if err != nil || s.State != Waiting || !s.HasPassword() || bytes.Contains(s.sealed, []byte("a token")) {
			t.Fatalf("%+v, %v", s, err)
		}
		due(Current, 1)
		if v, _ := w.Current(ctx, dbtest.Realm); v.Origin != o.URL+" "+first || v.By.Kind != "system" {
			t.Errorf("%+v", v)
		}
		asked := o.Asks
		due(Current, 1)
		if o.Asks != asked+2 {
			t.Errorf("a commit that is known took %d requests", o.Asks-asked)
		}

		bad := o.Commit("access/policies", example(t, "documents", "[share, delete]", "[share]"))
		if s := due(Refused, 1); s.Seen != bad || !strings.Contains(s.Detail, "want allow, got deny") {
			t.Errorf("%+v", s)
		}
		due(Refused, 1)
		o.Commit("access/policies", viewersEditTested(t))
		if s := due(Current, 2); !strings.HasSuffix(s.Detail, "accesses gained: 1, lost: 0") {
			t.Errorf("%+v", s)
		}
		if got := w.events(t); got != "[policy.follow policy.apply policy.follow.refuse policy.apply]" {
			t.Error(got)
		}

		// Whoever goes back means it: the same commit does not come again by itself.
		if _, err := w.Rollback(ctx, audittest.By, dbtest.Realm, 1, "no"); err != nil {
			t.Fatal(err)
		}
		due(Current, 2)
		o.Git("branch", "-m", "main", "away")
		due(Unreachable, 2)
		o.Git("branch", "-m", "away", "main")
		due(Current, 2)
		if s, err := w.Look(ctx, dbtest.Realm); err != nil || s.State != Current || !strings.Contains(s.Detail, "applied as version 2, and version 3") {
			t.Errorf("%+v, %v", s, err)
		}
		if v, _ := w.Current(ctx, dbtest.Realm); v.Number != 3 {
			t.Errorf("what was taken back came again: %+v", v)
		}

		// What was being read when it was followed no longer does not count.
		o.Commit("access/policies", example(t, "documents", "the document is archived", "it is archived"))
		w.Registry.Exchange = func(ctx context.Context, r git.Request) ([]byte, error) {
			if err := w.Unfollow(ctx, audittest.By, dbtest.Realm); err != nil {
				t.Error(err)
			}
			return gittest.Exchange(ctx, r)
		}
		if _, err := w.Look(ctx, dbtest.Realm); err != nil {
			t.Error(err)
		}
		if v, _ := w.Current(ctx, dbtest.Realm); v.Number != 3 {
			t.Errorf("a repository that is not followed any more gave %+v", v)
		}
		w.Registry.Exchange = gittest.Exchange
		if _, err := w.Follow(ctx, audittest.By, dbtest.Realm, Source{Kind: Git, Location: o.URL, Branch: "main", Folder: "access/policies"}); err != nil {
			t.Fatal(err)
		}
		due(Current, 4)

		o.Git("branch", "-m", "main", "trunk")
		if s := due(Unreachable, 4); !strings.Contains(s.Detail, `no branch "main"`) {
			t.Errorf("%+v", s)
		}
		if err := w.Unfollow(ctx, audittest.By, dbtest.Realm); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Look(ctx, dbtest.Realm); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

// viewersEditTested lets viewers edit, and says so in a test.
func viewersEditTested(t *testing.T) folder.Files {
	return example(t, "documents", "viewer: {permissions: [read]}", "viewer: {permissions: [read, edit]}",
		"- {subject: [user, dora], action: edit, resource: [document, roadmap], expect: deny}", "- {subject: [user, dora], action: edit, resource: [document, roadmap], expect: allow}")
}

// A repository that never answers holds up nobody: not whoever runs what recurs, and
// not the sources of other realms.
func TestASlowRepositoryHoldsUpItself(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		asked := make(chan struct{}, 8)
		w.Registry.Exchange = func(ctx context.Context, _ git.Request) ([]byte, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if _, err := w.Follow(ctx, audittest.By, dbtest.Realm, Source{Kind: Git, Location: "https://slow.example/policies"}); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(w.root, dbtest.Neighbour)
		if err := os.CopyFS(dir, os.DirFS("../../../examples/policies/documents")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Follow(ctx, audittest.By, dbtest.Neighbour, Source{Kind: Directory, Location: dir}); err != nil {
			t.Fatal(err)
		}
		live := func(context.Context, string) bool { return true }
		for range 3 {
			if err := w.Begin(ctx, live); err != nil {
				t.Fatal(err)
			}
		}
		<-asked
		tick, end := time.NewTicker(5*time.Millisecond), time.After(30*time.Second)
		defer tick.Stop()
		for done := false; !done; {
			s, err := w.SourceOf(ctx, dbtest.Neighbour)
			if err != nil {
				t.Fatal(err)
			}
			done = s.State == Current
			select {
			case <-tick.C:
			case <-end:
				t.Fatalf("%+v", s)
			}
		}
		w.Registry.Close()
		if len(asked) > 0 {
			t.Errorf("it was asked %d times more, though it had not answered", len(asked))
		}
	})
}

// To look which realms are due takes one question, however many follow something;
// nothing is asked about those that are not.
func TestRealmsThatAreDueAreOneQuestion(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		r := New(Options{DB: e.DB, Log: audit.New(e.DB, audit.Options{})})
		defer r.Close()
		look := func() int {
			watched, sent := dbtest.Watch(ctx)
			if err := r.Begin(watched, func(_ context.Context, realm string) bool {
				t.Errorf("%s is not due", realm)
				return false
			}); err != nil {
				t.Fatal(err)
			}
			return sent.Trips()
		}
		none := look()
		for i := range 50 {
			if err := e.DB.Update(ctx, fmt.Sprintf("r%02d", i), func(tx *db.Tx) error {
				return putSource(tx, &Source{Kind: Git, Location: "https://git.example/policies", Seconds: 60, Changed: tx.Now, Checked: tx.Now, State: Current, Since: tx.Now})
			}); err != nil {
				t.Fatal(err)
			}
		}
		if many := look(); none == 0 || many != none {
			t.Errorf("without realms that follow something %d, with fifty %d", none, many)
		}
		e.Clock.Advance(time.Hour)
		var due []string
		if err := r.Begin(ctx, func(_ context.Context, realm string) bool {
			due = append(due, realm)
			return false
		}); err != nil || len(due) != 50 {
			t.Errorf("%d realms are due an hour later, %v", len(due), err)
		}
	})
}

// A directory is followed below those that are allowed, and nothing leads out.
func TestADirectoryIsFollowed(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		dir := filepath.Join(w.root, dbtest.Realm, "acme")
		put := func(files folder.Files) {
			t.Helper()
			for _, f := range files {
				name := filepath.Join(dir, filepath.FromSlash(f.Path))
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, f.Text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, bad := range []string{"/etc", w.root + "/../x", "acme", filepath.Dir(w.root), w.root, filepath.Join(w.root, dbtest.Neighbour), filepath.Join(w.root, dbtest.Realm, "..", dbtest.Neighbour)} {
			if _, err := w.Follow(ctx, audittest.By, dbtest.Realm, Source{Kind: Directory, Location: bad}); fault.Code(err) != "location_invalid" {
				t.Errorf("%s: %v", bad, err)
			}
		}
		put(example(t, "documents"))
		if _, err := w.Follow(ctx, audittest.By, dbtest.Realm, Source{Kind: Directory, Location: dir}); err != nil {
			t.Fatal(err)
		}
		if s, err := w.Look(ctx, dbtest.Realm); err != nil || s.State != Current || s.Number != 1 {
			t.Fatalf("%+v, %v", s, err)
		}
		put(example(t, "documents", `"secret"`, "secret"))
		if s, err := w.Look(ctx, dbtest.Realm); err != nil || s.State != Refused || !strings.Contains(s.Detail, "policies/classified.cedar:") {
			t.Fatalf("%+v, %v", s, err)
		}
		put(example(t, "documents", "[share, delete]", "[share]"))
		if s, err := w.Look(ctx, dbtest.Realm); err != nil || s.State != Refused {
			t.Fatalf("a test that does not hold: %+v, %v", s, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../..", dir); err != nil {
			t.Fatal(err)
		}
		if s, err := w.Look(ctx, dbtest.Realm); err != nil || s.State != Unreachable {
			t.Errorf("a link led out: %+v, %v", s, err)
		}
		if v, _ := w.Current(ctx, dbtest.Realm); v.Number != 1 {
			t.Errorf("%+v", v)
		}
	})
}
