package authzen_test

import (
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
)

// The certification scenario on nothing but what operators have: the example's
// folder is applied, its facts are written, and each write is in effect at once.
func TestTheExampleFolderAnswers(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		before := e.Snapshot
		d := open(t, e)
		e.Snapshot = before // the program's own
		ctx := t.Context()
		if a := d.post("/evaluation", object(alice, read, active)); a.decision() {
			t.Errorf("without policies: %s", a.Body)
		}
		files, problems := folder.Open(os.DirFS(fixture))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if _, err := e.Policies.Apply(ctx, audit.System, d.realm, version.Change{Files: files, Message: "test"}); err != nil {
			t.Fatal(err)
		}
		done, err := e.Facts.Write(ctx, audit.System, d.realm, relation.Batch{Change: graph.Change{
			Add: []graph.Tuple{{Subject: user("alice"), Relation: "owner", Object: record("record-1")}, {Subject: user("bob"), Relation: "reader", Object: record("record-1")}},
			Set: []graph.Attribute{{Entity: user("bob"), Name: "role", Value: "admin"}, {Entity: record("record-1"), Name: "status", Value: "active"}, {Entity: record("record-2"), Name: "status", Value: "archived"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		fresh := func(r *http.Request) { r.Header.Set("Min-Revision", done.Revision.String()) }
		batch := d.post("/evaluations", object(`"evaluations":[`+object(alice, read, active)+`,`+object(alice, write, active)+`,`+object(bob, read, active)+`,`+object(bob, write, active)+`,`+
			object(alice, write, stale)+`,`+object(boss, write, stale)+`,`+object(alice, `"action":{"name":"delete","properties":{"soft":true}}`, active)+`,`+
			object(alice, `"action":{"name":"delete","properties":{"soft":false}}`, active)+`]`), fresh)
		if got := batch.decisions(); !slices.Equal(got, []bool{true, true, true, false, false, true, true, false}) {
			t.Errorf("the eight: %v %s", got, batch.Body)
		}
		if got, _ := d.post("/search/subject", object(someone, read, active), fresh).found(); !slices.Equal(got, []string{"alice", "bob"}) {
			t.Errorf("who can read: %v", got)
		}
		if got, _ := d.post("/search/action", object(alice, active), fresh).found(); !slices.Equal(got, []string{"read", "write"}) {
			t.Errorf("what alice can do: %v", got)
		}

		// What is canceled is refused by the next question, with the same credential.
		done, err = e.Facts.Write(ctx, audit.System, d.realm, relation.Batch{Change: graph.Change{Set: []graph.Attribute{{Entity: record("record-1"), Name: "status", Value: "archived"}}}})
		if err != nil {
			t.Fatal(err)
		}
		a := d.post("/evaluation", object(alice, write, active), fresh)
		if a.decision() {
			t.Errorf("after it was archived: %s", a.Body)
		}
		if at, err := audit.ParsePosition(a.Header().Get("Cardea-Revision")); err != nil || at.Before(done.Revision) {
			t.Errorf("judged at %v, written at %v", at, done.Revision)
		}

		// All of it is in the log, and can be made again.
		n := 0
		for x, err := range e.Journal.Replay(ctx, d.realm, e.Clock.Now().Add(-time.Hour), e.Clock.Now().Add(time.Hour)) {
			if err != nil {
				t.Fatal(err)
			}
			if x.Kind == journal.Evaluation {
				n++
			}
		}
		if n != 10 {
			t.Errorf("%d decisions are written down, want 10", n)
		}
	})
}
