package apptest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// till is a program that asks whether payments may be refunded, on several nodes.
type till struct {
	*Env
	t     *testing.T
	token string
}

const (
	tillSchema = `
entity group in [group];
entity organization;
entity user in [group, organization] { status?: String, department?: String };
entity payment { status?: String };
action refund appliesTo { principal: user, resource: payment };
`
	tillPolicies = `
@id("active-only") @reason("only active payments are refunded")
forbid (principal, action == Action::"refund", resource) unless { resource has status && resource.status == "active" };
`
	tillRoles = `
payment:
  clerk:
    permissions: [refund]
`
)

func openTill(t *testing.T, e *Env) *till {
	t.Helper()
	_, err := e.Policies.Apply(context.Background(), audit.System, realm.Default, version.Change{Files: folder.Files{
		{Path: "schema.cedarschema", Text: []byte(tillSchema)}, {Path: "roles.yaml", Text: []byte(tillRoles)}, {Path: "policies/till.cedar", Text: []byte(tillPolicies)}}})
	if err != nil {
		t.Fatal(err)
	}
	at := Issuer + "/access/v1"
	secret := e.Client(t, realm.Default, "till", client.Settings{Name: "till", Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"cardea:decide"}, Resources: []string{at}})
	r := httptest.NewRequest("POST", Issuer+"/oauth2/token", strings.NewReader(url.Values{"grant_type": {"client_credentials"}, "scope": {"cardea:decide"}, "resource": {at}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("till", secret)
	rec := httptest.NewRecorder()
	e.Handler.ServeHTTP(rec, r)
	var got struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || got.Access == "" {
		t.Fatalf("no token: %d %s", rec.Code, rec.Body)
	}
	return &till{e, t, got.Access}
}

func (w *till) write(c graph.Change) audit.Position {
	w.t.Helper()
	done, err := w.Facts.Write(context.Background(), audit.System, realm.Default, relation.Batch{Change: c})
	if err != nil {
		w.t.Fatal(err)
	}
	return done.Revision
}

// may asks a node with the token that was obtained at the beginning.
func (w *till) may(node *Env, subject graph.Entity, min audit.Position) bool {
	w.t.Helper()
	body := `{"subject":{"type":"` + subject.Type + `","id":"` + subject.ID + `"},"action":{"name":"refund"},"resource":{"type":"payment","id":"17"}}`
	r := httptest.NewRequest("POST", Issuer+"/access/v1/evaluation", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+w.token)
	if min != (audit.Position{}) {
		r.Header.Set("Min-Revision", min.String())
	}
	rec := httptest.NewRecorder()
	node.Handler.ServeHTTP(rec, r)
	var got struct {
		Decision *bool `json:"decision"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || got.Decision == nil {
		w.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return *got.Decision
}

func user(id string) graph.Entity { return graph.Entity{Type: "user", ID: id} }

var payment17 = graph.Entity{Type: "payment", ID: "17"}

func status(v string) graph.Change {
	return graph.Change{Set: []graph.Attribute{{Entity: payment17, Name: "status", Value: v}}}
}

// The case for which tokens carry no permissions: a payment goes from active to
// canceled, and the same living token gets the other answer, on every node.
func TestACanceledPaymentIsRefusedToTheSameToken(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := openTill(t, e)
		nodes := []*Env{e}
		if e.DB.Engine() == db.Postgres {
			nodes = append(nodes, e.Node(t))
		}
		ann := user("ann")
		c := status("active")
		c.Add = []graph.Tuple{{Subject: ann, Relation: "clerk", Object: payment17}}
		at := w.write(c)
		for range 3 {
			for i, n := range nodes {
				if !w.may(n, ann, audit.Position{}) || !w.may(n, ann, at) {
					t.Fatalf("node %d refuses an active payment", i)
				}
			}
			at = w.write(status("canceled"))
			for i, n := range nodes {
				if w.may(n, ann, audit.Position{}) || w.may(n, ann, at) {
					t.Fatalf("node %d allows a canceled payment", i)
				}
			}
			at = w.write(status("active"))
		}
	})
}

// People and groups are there by themselves and live: joining, suspending,
// expiring and deleting count in the next answer.
func TestPeopleAndGroupsAreFactsByThemselves(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		ctx := context.Background()
		w := openTill(t, e)
		other := e
		if e.DB.Engine() == db.Postgres {
			other = e.Node(t)
		}
		person := e.Person(t, realm.Default, "ada@example.com")
		made := func(n principal.New) string {
			p, err := e.People.Create(ctx, audit.System, realm.Default, n)
			if err != nil {
				t.Fatal(err)
			}
			return p.ID
		}
		inner, outer := made(principal.New{Kind: principal.Group, Name: "inner"}), made(principal.New{Kind: principal.Group, Name: "outer"})
		c := status("active")
		c.Add = []graph.Tuple{{Subject: graph.Entity{Type: "group", ID: outer}, Relation: "clerk", Object: payment17}}
		w.write(c)
		ada := user(person.ID)
		expect := func(when string, want bool) {
			t.Helper()
			for i, n := range []*Env{e, other} {
				if got := w.may(n, ada, audit.Position{}); got != want {
					t.Errorf("%s, node %d: %v", when, i, got)
				}
			}
		}
		do := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		expect("in no group", false)
		do(e.People.AddMember(ctx, audit.System, realm.Default, inner, person.ID, ""))
		do(e.People.AddMember(ctx, audit.System, realm.Default, outer, inner, ""))
		expect("in a group in the group", true)
		do(e.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, person.ID, "test", nil))
		expect("suspended", false)
		do(e.People.Activate(ctx, audit.System, realm.Default, person.ID))
		expect("activated", true)
		do(e.People.RemoveMember(ctx, audit.System, realm.Default, outer, inner))
		expect("the inner group has left", false)
		w.write(graph.Change{Add: []graph.Tuple{{Subject: ada, Relation: "clerk", Object: payment17}}})
		expect("by a role of her own", true)
		soon := e.Clock.Now().Add(time.Hour)
		_, err := e.People.Update(ctx, audit.System, realm.Default, person.ID, 0, principal.Change{ExpiresAt: &soon})
		do(err)
		expect("before she expires", true)
		e.Clock.Advance(time.Hour)
		do(e.DB.View(ctx, realm.Default, func(*db.Tx) error { return nil }))
		expiring, _, err := e.Snapshots.At(ctx, realm.Default, audit.Position{})
		do(err)
		if a := policy.Decide(expiring, &policy.Question{Subject: ada, Action: "refund", Resource: payment17, At: soon}); a.Allowed {
			t.Errorf("expired: %+v", a)
		}
		never := time.Time{}
		_, err = e.People.Update(ctx, audit.System, realm.Default, person.ID, 0, principal.Change{ExpiresAt: &never})
		do(err)
		do(e.Grants.DeletePrincipal(ctx, audit.System, realm.Default, person.ID, "test", nil))
		expiring, _, err = e.Snapshots.At(ctx, realm.Default, audit.Position{})
		do(err)
		if a := policy.Decide(expiring, &policy.Question{Subject: ada, Action: "refund", Resource: payment17, At: soon}); a.Allowed {
			t.Errorf("deleted: %+v", a)
		}
		rows, _, _, err := e.Facts.List(ctx, realm.Default, relation.Filter{Subject: ada}, "", 10)
		if err != nil || len(rows) > 0 {
			t.Errorf("what was written about her is left: %v %v", rows, err)
		}
		if _, err := e.Facts.Write(ctx, audit.System, realm.Default, relation.Batch{Change: graph.Change{Add: []graph.Tuple{{Subject: ada, Relation: "member", Object: graph.Entity{Type: "group", ID: outer}}}}}); err == nil {
			t.Error("a membership of the directory was written as a fact")
		}
	})
}

// A source of the outside world is asked through the fetcher that reaches public
// addresses only, by the job queue, and what it gives decides.
func TestFactsAreFetchedFromOutside(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := openTill(t, e)
		origin := e.Outside.Serve("one.example.com", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer s3cret" {
				rw.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(rw, `{"subject":{"type":"user","id":"ann"},"relation":"clerk","object":{"type":"payment","id":"17"}}
{"entity":{"type":"payment","id":"17"},"name":"status","value":"active"}
`)
		}))
		ctx := context.Background()
		made, err := e.Facts.CreateSource(ctx, audit.System, realm.Default, relation.Source{Name: "shop", Kind: relation.HTTP, URL: origin + "/facts", Secret: "s3cret"})
		if err != nil {
			t.Fatal(err)
		}
		if w.may(e, user("ann"), audit.Position{}) {
			t.Fatal("allowed before anything was pulled")
		}
		if _, err := e.Facts.PullNow(ctx, audit.System, realm.Default, made.ID); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; {
			n, err := e.Facts.SourceByID(ctx, realm.Default, made.ID)
			if err != nil || n.LastError != "" || time.Now().After(deadline) {
				t.Fatalf("%+v %v", n, err)
			}
			if n.Facts == 2 {
				break
			}
			<-time.After(20 * time.Millisecond)
		}
		if !w.may(e, user("ann"), audit.Position{}) {
			t.Error("what was pulled does not count")
		}
		if _, err := e.Facts.CreateSource(ctx, audit.System, realm.Default, relation.Source{Name: "inside", Kind: relation.HTTP, URL: "https://10.0.0.1/facts"}); err == nil {
			t.Error("an address of the inside was taken")
		}
	})
}
