package relation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/secret"

	"log/slog"
)

// A source gives, changes, loses and breaks; what it gives is its own, and what was
// written by hand stays.
func TestFactsArePulled(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
		if err != nil {
			t.Fatal(err)
		}
		queue := job.NewQueue(e.DB, "nod_test", box, slog.New(slog.DiscardHandler))
		var lines []string
		var broken error
		asked := ""
		store := relation.NewStore(relation.Options{DB: e.DB, Log: e.Log, Jobs: queue, Box: box, CheckURL: func(string) error { return nil },
			Pull: func(_ context.Context, n *relation.Source, secret string, each func([]byte) error) error {
				asked = n.URL + " " + secret
				for _, l := range lines {
					if err := each([]byte(l)); err != nil {
						return err
					}
				}
				return broken
			}})
		e.Start(t)
		w := &world{e, store}
		w.write(t, add("user:1 viewer doc:1")) // by hand, and the source says it too
		made, err := store.CreateSource(ctx, audittest.By, dbtest.Realm, relation.Source{Name: "teams", Kind: relation.HTTP, URL: "https://hr.example/teams", Secret: "s3cret", Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		pull := func() *relation.Source {
			t.Helper()
			e.Clock.Advance(301 * time.Second)
			if err := store.PullDue(ctx, dbtest.Realm); err != nil {
				t.Fatal(err)
			}
			if err := queue.RunDue(ctx); err != nil {
				t.Fatal(err)
			}
			n, err := store.SourceByID(ctx, dbtest.Realm, "teams")
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for i := range 1200 {
			lines = append(lines, fmt.Sprintf(`{"subject_type":"user","subject_id":"%d","relation":"viewer","object_type":"doc","object_id":"1"}`, i))
		}
		lines = append(lines, `{"entity":{"type":"doc","id":"1"},"name":"size","value":12345678901234567}`, "")
		n := pull()
		if n.LastError != "" || n.Facts != 1201 || n.Failures != 0 || n.Good.IsZero() || asked != "https://hr.example/teams s3cret" {
			t.Fatalf("%+v, asked %q", n, asked)
		}
		count := func(source string) int {
			total, after := 0, ""
			for {
				page, next, _, err := store.List(ctx, dbtest.Realm, relation.Filter{Source: source}, after, 500)
				if err != nil {
					t.Fatal(err)
				}
				total += len(page)
				if after = next; next == "" {
					return total
				}
			}
		}
		if got := count(made.ID); got != 1199 {
			t.Errorf("the source owns %d relations, want all but the one written by hand", got)
		}
		before := len(events(t, w))
		if n = pull(); n.Removed != 0 || len(events(t, w)) != before {
			t.Errorf("nothing changed, and yet %+v", n)
		}
		all := lines
		lines = all[:300]
		if n = pull(); n.Failures != 1 || !strings.Contains(n.LastError, "percent") || count(made.ID) != 1199 {
			t.Errorf("a source that lost most: %+v", n)
		}
		lines, broken = all, errors.New("it broke off")
		if n = pull(); n.Failures != 2 || n.LastError != "it broke off" {
			t.Errorf("%+v", n)
		}
		lines, broken = append([]string{`{"nonsense":1}`}, all...), nil
		if n = pull(); n.Failures != 3 || !strings.Contains(n.LastError, "line 1") {
			t.Errorf("%+v", n)
		}
		lines = all[1:1000] // user 0 and two hundred others have left
		if n = pull(); n.Failures != 0 || n.LastError != "" || count(made.ID) != 998 {
			t.Errorf("%+v, owns %d", n, count(made.ID))
		}
		if got := count(""); got != 999 {
			t.Errorf("%d relations, want 999", got)
		}
		if err := store.DeleteSource(ctx, audittest.By, dbtest.Realm, made.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := store.SourceByID(ctx, dbtest.Realm, made.ID); !fault.Is(err, fault.NotFound) || count(made.ID) != 0 || count("") != 999 {
			t.Errorf("deleted: %v", err)
		}
		seen := strings.Join(w.Events(t, dbtest.Realm), " ")
		for _, want := range []string{"access_source.create", "access_source.fail", "access_source.recover", "access_source.delete"} {
			if strings.Count(seen, want) != 1 {
				t.Errorf("%s is in %s", want, seen)
			}
		}
	})
}

// What a source answers is in another language and encoding, or none, and that is
// the very first thing a node hears of any; that it failed is written down all the
// same, as words that every database keeps.
func TestWhatASourceSaidIsKept(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
		if err != nil {
			t.Fatal(err)
		}
		queue := job.NewQueue(e.DB, "nod_test", box, slog.New(slog.DiscardHandler))
		said := ""
		store := relation.NewStore(relation.Options{DB: e.DB, Log: e.Log, Jobs: queue, Box: box, CheckURL: func(string) error { return nil },
			Pull: func(context.Context, *relation.Source, string, func([]byte) error) error { return errors.New(said) }})
		e.Start(t)
		made, err := store.CreateSource(ctx, audittest.By, dbtest.Realm, relation.Source{Name: "teams", Kind: relation.HTTP, URL: "https://hr.example/teams", Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range []string{strings.Repeat("–", 300), "Gr\xfc\xdfe", "a\x00b"} {
			said = s
			if err := store.PullAtOnce(ctx, dbtest.Realm, made.ID); err != nil {
				t.Errorf("%q: %v", s, err)
			}
			n, err := store.SourceByID(ctx, dbtest.Realm, made.ID)
			if err != nil || n.Failures != int64(i+1) || n.LastError == "" || !utf8.ValidString(n.LastError) {
				t.Errorf("after %q: %+v, %v", s, n, err)
			}
		}
	})
}

// To look which realms have something to pull takes one question, however many have
// sources.
func TestRealmsThatAreDueAreOneQuestion(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		store := relation.NewStore(relation.Options{DB: e.DB, Log: audit.New(e.DB, audit.Options{})})
		look := func(want int) int {
			watched, sent := dbtest.Watch(ctx)
			due, err := store.Due(watched)
			if err != nil || len(due) != want {
				t.Errorf("%d realms are due, %v; want %d", len(due), err, want)
			}
			return sent.Trips()
		}
		none := look(0)
		for i := range 50 {
			if err := e.DB.Update(ctx, fmt.Sprintf("r%02d", i), func(tx *db.Tx) error {
				return relation.InsertSource(tx, &relation.Source{ID: fmt.Sprintf("src_%02d", i), Name: "teams", Kind: relation.HTTP, Every: 300, Shrink: 50, Enabled: true, Version: 1,
					Due: tx.Now.Add(time.Minute), Created: tx.Now})
			}); err != nil {
				t.Fatal(err)
			}
		}
		many := look(0)
		e.Clock.Advance(time.Hour)
		if all := look(50); none == 0 || many != none || all != none {
			t.Errorf("without sources %d, with fifty %d, and when they are due %d", none, many, all)
		}
	})
}

// A pull that began earlier and ends later writes nothing: neither over what a later
// one has read, nor what was asked of another address.
func TestALaterPullCounts(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
		if err != nil {
			t.Fatal(err)
		}
		var meanwhile func()
		store := relation.NewStore(relation.Options{DB: e.DB, Log: e.Log, Box: box, CheckURL: func(string) error { return nil },
			Pull: func(_ context.Context, n *relation.Source, _ string, each func([]byte) error) error {
				if do := meanwhile; do != nil {
					meanwhile = nil
					do()
					return each([]byte(`{"subject":{"type":"user","id":"eve"},"relation":"viewer","object":{"type":"doc","id":"1"}}`))
				}
				return each([]byte(`{"subject":{"type":"user","id":"ann"},"relation":"viewer","object":{"type":"doc","id":"1"}}`))
			}})
		e.Start(t)
		source := relation.Source{Name: "teams", Kind: relation.HTTP, URL: "https://hr.example/teams", Enabled: true}
		made, err := store.CreateSource(ctx, audittest.By, dbtest.Realm, source)
		if err != nil {
			t.Fatal(err)
		}
		pull := func() {
			e.Clock.Advance(time.Second)
			if err := store.PullAtOnce(ctx, dbtest.Realm, made.ID); err != nil {
				t.Error(err)
			}
		}
		w := &world{e, store}
		for what, do := range map[string]func(){
			"a later pull": pull,
			"a change": func() {
				if _, err := store.UpdateSource(ctx, audittest.By, dbtest.Realm, made.ID, 0, source); err != nil {
					t.Error(err)
				}
			},
		} {
			meanwhile = do
			if pull(); strings.Contains(fmt.Sprint(w.all(t)), "eve") {
				t.Errorf("%s was overtaken by an earlier one: %v", what, w.all(t))
			}
		}
		n, err := store.SourceByID(ctx, dbtest.Realm, made.ID)
		if err != nil || n.Failures > 0 {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

func events(t *testing.T, w *world) []audit.Record {
	t.Helper()
	all, _, err := w.Log.Query(ctx, dbtest.Realm, audit.Filter{Action: relation.Changed, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSourcesThatAreRefused(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		store := relation.NewStore(relation.Options{DB: e.DB, Log: e.Log, CheckURL: func(u string) error {
			if !strings.HasPrefix(u, "https://") {
				return errors.New("must begin with https")
			}
			return nil
		}})
		e.Start(t)
		good := relation.Source{Name: "owners", Kind: relation.Postgres, Query: "SELECT 1", Secret: "postgres://reader:pw@db.example:5432/app?sslmode=verify-full"}
		for name, change := range map[string]func(*relation.Source){
			"name": func(n *relation.Source) { n.Name = "Owners!" }, "kind": func(n *relation.Source) { n.Kind = "mysql" },
			"every": func(n *relation.Source) { n.Every = 5 }, "shrink": func(n *relation.Source) { n.Shrink = 101 }, "query": func(n *relation.Source) { n.Query = "" },
			"url":    func(n *relation.Source) { n.Kind, n.Query, n.URL = relation.HTTP, "", "http://10.0.0.1/" },
			"secret": func(n *relation.Source) { n.Secret = "postgres://reader:pw@db.example/app?sslrootcert=/etc/passwd" },
		} {
			n := good
			change(&n)
			_, err := store.CreateSource(ctx, audittest.By, dbtest.Realm, n)
			var f *fault.Error
			if !errors.As(err, &f) || f.Fields[name] == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, s := range []string{"", "mysql://a:b@c/d", "postgres:///app?host=/tmp", "postgres://a@h/d", "postgres://a:b@h", "postgres://a:b@h1,h2/d", "postgres://a:b@h/d?passfile=x"} {
			n := good
			n.Secret = s
			if _, err := store.CreateSource(ctx, audittest.By, dbtest.Realm, n); !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", s, err)
			}
		}
	})
}
