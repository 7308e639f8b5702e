package api_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
)

const officeSchema = `
entity user;
entity group;
entity document;
action read, write, print appliesTo { principal: user, resource: document };
`

// office is a realm with one team, two documents, and roles that are too many.
func office(t *testing.T, w *world, ada string) {
	t.Helper()
	set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(officeSchema)},
		Roles: policy.Roles{File: "roles.yaml", Types: []policy.RoleType{{Type: "document", Roles: []policy.Role{
			{Name: "reader", Permissions: []string{"read"}}, {Name: "editor", Implies: []string{"reader"}, Permissions: []string{"write", "print"}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	e := func(typ, id string) graph.Entity { return graph.Entity{Type: typ, ID: id} }
	tuples := []graph.Tuple{
		{Subject: e("user", ada), Relation: graph.Member, Object: e("group", "team")},
		{Subject: e("group", "team"), Relation: "editor", Object: e("document", "plan")},
		{Subject: e("user", ada), Relation: "reader", Object: e("document", "diary")},
		{Subject: e("user", "bea"), Relation: "reader", Object: e("document", "gone"), Expires: 1},
	}
	for i := range 20 {
		tuples = append(tuples, graph.Tuple{Subject: e("user", fmt.Sprintf("guest-%02d", i)), Relation: "reader", Object: e("document", "plan")})
	}
	g, err := graph.Empty().Apply(graph.Change{Add: tuples})
	if err != nil {
		t.Fatal(err)
	}
	at := audit.Position{Epoch: 1, Seq: 9}
	w.Env.Snapshot = func(_ context.Context, name string, _ audit.Position) (*policy.Snapshot, audit.Position, error) {
		if name != realm.Default {
			return nil, at, nil
		}
		return policy.NewSnapshot(set, g, at.Seq), at, nil
	}
}

// decide has a decision made and written down, as the door does.
func (w *world) decide(t *testing.T, q policy.Question, change func(*journal.Entry)) string {
	t.Helper()
	snapshot, at, err := w.Env.Snapshot(t.Context(), realm.Default, audit.Position{})
	if err != nil {
		t.Fatal(err)
	}
	q.At = w.Clock.Now()
	e := &journal.Entry{ID: id.New(journal.Prefix, q.At), At: q.At, Kind: journal.Evaluation, Question: q, Answer: policy.Decide(snapshot, &q), Revision: at.String(), Client: "pep"}
	if change != nil {
		change(e)
	}
	w.Journal.Note(realm.Default, "", e)
	if err := w.Journal.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e.ID
}

func TestADecisionIsExplainedFromTheSignIn(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		office(t, w, ada.ID)
		creds, err := e.Credentials.List(t.Context(), realm.Default, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		s, err := e.Sessions.Begin(t.Context(), audit.System, realm.Default, session.New{Principal: ada.ID, Credential: creds[0].ID, ACR: "aal1", AMR: []string{"pwd"}})
		if err != nil {
			t.Fatal(err)
		}
		q := policy.Question{Subject: policy.Entity{Type: "user", ID: ada.ID}, Action: "write", Resource: policy.Entity{Type: "document", ID: "plan"}, Context: policy.Properties{"ip": "::1"}}
		made := w.decide(t, q, func(e *journal.Entry) { e.Session, e.Request = s.ID, "req-1" })
		x := must[wire.DecisionExplained](t, w.call(t, "viewer", "GET", "/access/decisions/"+made, nil))
		if !x.Decision.Answer.Allowed || len(x.Decision.Answer.Path) != 2 || x.Name != "Ada Example" || x.Session == nil || x.Session.User != ada.ID || len(x.Events) == 0 || x.Now == nil || !x.Now.Allowed {
			t.Errorf("%+v", x)
		}
		refused(t, "a decision of nobody", w.call(t, "viewer", "GET", "/access/decisions/"+id.New(journal.Prefix, w.Clock.Now()), nil), 404, "decision_not_found")
		refused(t, "the neighbour", w.inRealm(t, apptest.Neighbour, "neighbour", "GET", "/access/decisions/"+made, ""), 404, "decision_not_found")

		q.Action = "paint"
		no := w.decide(t, q, nil)
		list := must[wire.Page[wire.Decision]](t, w.call(t, "viewer", "GET", "/access/decisions?"+url.Values{"subject_id": {ada.ID}, "allowed": {"false"}}.Encode(), nil))
		if len(list.Items) != 1 || list.Items[0].ID != no || list.Next != "" {
			t.Errorf("%+v", list)
		}
		if all := must[wire.Page[wire.Decision]](t, w.call(t, "viewer", "GET", "/access/decisions?request_id=req-1", nil)); len(all.Items) != 1 || all.Items[0].ID != made {
			t.Errorf("%+v", all)
		}

		a := must[wire.AccessAnswer](t, w.call(t, "viewer", "POST", "/access/ask", wire.AccessQuestion{Subject: wire.DecisionEntity{Type: "user", ID: ada.ID}, Action: "read", Resource: wire.DecisionEntity{Type: "document", ID: "diary"}}))
		if !a.Allowed || a.Revision != "1.9" || len(a.Path) != 1 {
			t.Errorf("%+v", a)
		}
		other := must[wire.AccessAnswer](t, w.inRealm(t, apptest.Neighbour, "neighbour", "POST", "/access/ask", `{"subject":{"type":"user","id":"a"},"action":"read","resource":{"type":"document","id":"plan"}}`))
		if other.Allowed || len(other.Reasons) != 1 {
			t.Errorf("a realm without policies: %+v", other)
		}
		if after := must[wire.Page[wire.Decision]](t, w.call(t, "viewer", "GET", "/access/decisions", nil)); len(after.Items) != 2 {
			t.Errorf("an operator's question is in the log: %d", len(after.Items))
		}
	})
}

func TestUnusedAccessIsFound(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		office(t, w, ada.ID)
		read := policy.Question{Subject: policy.Entity{Type: "user", ID: ada.ID}, Action: "read", Resource: policy.Entity{Type: "document", ID: "diary"}}
		w.decide(t, read, func(e *journal.Entry) {
			e.At = e.At.Add(-100 * 24 * time.Hour)
			e.ID = id.New(journal.Prefix, e.At)
		})
		write := read
		write.Action, write.Resource.ID = "write", "plan"
		w.decide(t, write, nil)
		w.decide(t, policy.Question{Subject: policy.Entity{Type: "user", ID: "guest-07"}, Action: "read", Resource: policy.Entity{Type: "document", ID: "plan"}}, nil)
		seen, after, wide := map[string]bool{}, "", []wire.WideRole(nil)
		for {
			u := must[wire.AccessUsage](t, w.call(t, "viewer", "GET", "/access/unused?"+url.Values{"days": {"90"}, "limit": {"8"}, "after": {after}}.Encode(), nil))
			for _, one := range u.Unused {
				seen[one.Subject.ID+" "+one.Relation+" "+one.Object.ID] = true
			}
			if after == "" {
				wide = u.Wide
				if u.Decisions != 2 || u.Dropped != 0 {
					t.Errorf("%+v", u)
				}
			}
			if after = u.Next; after == "" {
				break
			}
		}
		if len(seen) != 20 || seen["guest-07 reader plan"] || seen["team editor plan"] || !seen[ada.ID+" reader diary"] || seen["bea reader gone"] {
			t.Errorf("%d: %v", len(seen), seen)
		}
		if len(wide) != 1 || wide[0].Role != "editor" || fmt.Sprint(wide[0].Used, wide[0].Unused) != "[write] [print read]" {
			t.Errorf("%+v", wide)
		}
		refused(t, "without policies", w.inRealm(t, apptest.Neighbour, "neighbour", "GET", "/access/unused", ""), 404, "no_policies")
		refused(t, "an invented place", w.call(t, "viewer", "GET", "/access/unused?after=x", nil), 400, "page_token_invalid")
	})
}

// PD-03: a review holds exactly what single questions permit, whatever the size of
// its pages.
func TestAReviewHoldsWhatQuestionsPermit(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		office(t, w, ada.ID)
		for _, limit := range []string{"1", "2", "3", "500"} {
			all, after, subjects, total := map[string]int{}, "", 0, 0
			for range 200 {
				r := must[wire.AccessReview](t, w.call(t, "viewer", "GET", "/access/review?"+url.Values{"limit": {limit}, "after": {after}}.Encode(), nil))
				for _, a := range r.Items {
					all[a.Subject.ID+" "+a.Action+" "+a.Resource.ID]++
					if a.Subject.ID == ada.ID && a.Name != "Ada Example" || len(a.Path) == 0 || len(a.Policies) == 0 {
						t.Errorf("%+v", a)
					}
				}
				subjects, total = subjects+r.Subjects, max(total, r.Total)
				if after = r.Next; after == "" {
					break
				}
			}
			want := map[string]int{ada.ID + " read plan": 1, ada.ID + " write plan": 1, ada.ID + " print plan": 1, ada.ID + " read diary": 1}
			for i := range 20 {
				want[fmt.Sprintf("guest-%02d read plan", i)] = 1
			}
			if fmt.Sprint(all) != fmt.Sprint(want) || subjects != 22 || total != 22 {
				t.Errorf("limit %s: %d subjects of %d, %v", limit, subjects, total, all)
			}
		}
		r := must[wire.AccessReview](t, w.call(t, "viewer", "GET", "/access/review?action=print", nil))
		if len(r.Items) != 1 || r.Items[0].Subject.ID != ada.ID {
			t.Errorf("%+v", r)
		}
	})
}
