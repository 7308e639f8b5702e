package version

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

// origin is a real Git repository that is served over HTTP.
type origin struct {
	t    *testing.T
	dir  string
	url  string
	asks int
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("there is no git here")
	}
	o := &origin{t: t, dir: filepath.Join(t.TempDir(), "policies")}
	if err := os.Mkdir(o.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o.git("init", "-q", "-b", "main")
	o.git("config", "uploadpack.allowFilter", "true")
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(o.dir), "GIT_HTTP_EXPORT_ALL=1"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asks++
		if _, password, ok := r.BasicAuth(); ok && password != "a token" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		if v := r.Header.Get("Git-Protocol"); v != "" {
			r.Header.Set("Git-Protocol", v)
			backend.Env = append(backend.Env[:2:2], "GIT_PROTOCOL="+v)
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	o.url = server.URL + "/policies"
	return o
}

func (o *origin) git(args ...string) string {
	o.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_CONFIG_NOSYSTEM=1", "HOME="+o.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit makes the repository hold files below a folder.
func (o *origin) commit(below string, files folder.Files) string {
	o.t.Helper()
	for _, f := range files {
		name := filepath.Join(o.dir, below, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			o.t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Text, 0o644); err != nil {
			o.t.Fatal(err)
		}
	}
	o.git("add", "-A")
	o.git("commit", "-q", "-m", "policies")
	return o.git("rev-parse", "HEAD")
}

// exchange reaches the test's own server, which the guarded one would not.
func exchange(ctx context.Context, r Request) ([]byte, error) {
	method := http.MethodGet
	if r.Body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for k, v := range r.Header {
		req.Header.Set(k, v)
	}
	if r.Password != "" {
		req.SetBasicAuth(r.Username, r.Password)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, int64(r.Limit)))
}

// A repository is followed: what is new is planned and applied, a commit that
// does not hold changes nothing and is reported, and the next good one counts.
func TestARepositoryIsFollowed(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		o := newOrigin(t)
		w.Registry.Exchange = exchange
		w.withHistory(t)
		first := o.commit("access/policies", example(t, "documents"))
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
		s, err := w.Follow(ctx, audittest.By, dbtest.Realm, Source{Kind: Git, Location: o.url + "/", Branch: "main", Folder: "access/policies", Username: "bot", Password: "a token"})
		if err != nil || s.State != Waiting || !s.HasPassword() || bytes.Contains(s.sealed, []byte("a token")) {
			t.Fatalf("%+v, %v", s, err)
		}
		due(Current, 1)
		if v, _ := w.Current(ctx, dbtest.Realm); v.Origin != o.url+" "+first || v.By.Kind != "system" {
			t.Errorf("%+v", v)
		}
		asked := o.asks
		due(Current, 1)
		if o.asks != asked+2 {
			t.Errorf("a commit that is known took %d requests", o.asks-asked)
		}

		bad := o.commit("access/policies", example(t, "documents", "[share, delete]", "[share]"))
		if s := due(Refused, 1); s.Seen != bad || !strings.Contains(s.Detail, "want allow, got deny") {
			t.Errorf("%+v", s)
		}
		due(Refused, 1)
		o.commit("access/policies", viewersEditTested(t))
		if s := due(Current, 2); !strings.Contains(s.Detail, "1 accesses are gained and 0 lost") {
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
		o.git("branch", "-m", "main", "away")
		due(Unreachable, 2)
		o.git("branch", "-m", "away", "main")
		due(Current, 2)
		if s, err := w.Look(ctx, dbtest.Realm); err != nil || s.State != Current || !strings.Contains(s.Detail, "applied as version 2, and version 3") {
			t.Errorf("%+v, %v", s, err)
		}
		if v, _ := w.Current(ctx, dbtest.Realm); v.Number != 3 {
			t.Errorf("what was taken back came again: %+v", v)
		}

		// What was being read when it was followed no longer does not count.
		o.commit("access/policies", example(t, "documents", "the document is archived", "it is archived"))
		w.Registry.Exchange = func(ctx context.Context, r Request) ([]byte, error) {
			if err := w.Unfollow(ctx, audittest.By, dbtest.Realm); err != nil {
				t.Error(err)
			}
			return exchange(ctx, r)
		}
		if _, err := w.Look(ctx, dbtest.Realm); err != nil {
			t.Error(err)
		}
		if v, _ := w.Current(ctx, dbtest.Realm); v.Number != 3 {
			t.Errorf("a repository that is not followed any more gave %+v", v)
		}
		w.Registry.Exchange = exchange
		if _, err := w.Follow(ctx, audittest.By, dbtest.Realm, Source{Kind: Git, Location: o.url, Branch: "main", Folder: "access/policies"}); err != nil {
			t.Fatal(err)
		}
		due(Current, 4)

		o.git("branch", "-m", "main", "trunk")
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

// A history with many versions of a file makes packs with deltas.
func TestARepositoryWithAHistoryIsRead(t *testing.T) {
	o := newOrigin(t)
	for i := range 12 {
		long := strings.Repeat(fmt.Sprintf("// line of version %d\n", i/6), 200) + fmt.Sprintf("// number %d\n", i)
		files := example(t, "payments")
		for j := range files {
			if strings.HasSuffix(files[j].Path, ".cedar") {
				files[j].Text = append([]byte(long), files[j].Text...)
				files = append(files, folder.File{Path: "policies/copy.cedar", Text: append([]byte(long), "// a copy\n"...)})
			}
		}
		o.commit("", files)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(o.dir, "policies", "link.cedar")); err != nil {
		t.Fatal(err)
	}
	o.git("add", "-A")
	o.git("commit", "-q", "-m", "a link")
	o.git("repack", "-q", "-a", "-d", "-f", "--depth=50", "--window=50")
	g := &repository{exchange: exchange, url: o.url}
	commit, err := g.head(ctx, "")
	if err != nil || commit != o.git("rev-parse", "HEAD") || !g.filters {
		t.Fatal(commit, err)
	}
	files, problems, err := g.files(ctx, commit, "")
	if err != nil || len(problems) != 1 || problems[0].File != "policies/link.cedar" {
		t.Fatal(problems, err)
	}
	want, wrong := folder.Open(os.DirFS(o.dir))
	if len(wrong) != 1 || contentOf(files) != contentOf(want) {
		t.Errorf("%d files, want %d, %v", len(files), len(want), wrong)
	}
	if _, _, err := g.files(ctx, commit, "nowhere"); err == nil || !strings.Contains(err.Error(), `no folder "nowhere"`) {
		t.Error(err)
	}
}

// What is no answer of Git's is refused in words, whatever it is.
// A repository that never answers holds up nobody: not whoever runs what recurs, and
// not the sources of other realms.
func TestASlowRepositoryHoldsUpItself(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		asked := make(chan struct{}, 8)
		w.Registry.Exchange = func(ctx context.Context, _ Request) ([]byte, error) {
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

// A handful of small trees that hold each other many times over are not walked
// without end, and no name of a tree means another place.
func TestATreeIsNoBomb(t *testing.T) {
	objects := store{}
	put := func(kind byte, data string) string {
		o := &object{kind: kind, data: []byte(data)}
		objects[idOf(o)] = o
		return idOf(o)
	}
	raw := func(id string) string {
		b, err := hex.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	tree := put(2, "")
	for range 7 {
		var b strings.Builder
		for i := range 200 {
			fmt.Fprintf(&b, "40000 d%d\x00%s", i, raw(tree))
		}
		tree = put(2, b.String())
	}
	var in folder.Gatherer
	if err := objects.gather(&in, tree, "", 0); err == nil {
		t.Error("a bomb was walked to its end")
	}
	for _, name := range []string{"", "policies/a.cedar", "../a"} {
		tree := put(2, "100644 "+name+"\x00"+raw(put(3, "permit (principal, action, resource);")))
		if err := objects.gather(new(folder.Gatherer), tree, "", 0); err == nil {
			t.Errorf("%q is the name of a file", name)
		}
	}
}

func FuzzPack(f *testing.F) {
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"))
	f.Add([]byte("0011version 2\n0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = packets(b)
		if p, err := packIn(b); err == nil {
			_, _ = unpack(p)
		}
		_, _ = unpack(b)
		_, _, _ = apply([]byte("base"), b)
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
