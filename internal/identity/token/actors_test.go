package token

import (
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/jose"
)

// mustExchange is a grant below another one.
func (n *node) mustExchange(t *testing.T, c *client.Client, parent *grant.Grant, actor string) *grant.Grant {
	t.Helper()
	g, err := n.grants.ExchangeFor(t.Context(), by, c, grant.Shown{Parent: parent, Actor: actor})
	must(t, err)
	return g
}

// The gate: what is below another grant is as dead as that is, and as whoever
// acts, at once and without the cascade that usually follows. Take a check out of
// ancestorAlive or actorAlive to see its line fail.
func TestTheGateSeesTheDeathOfEveryAncestor(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		update := func(fn func(tx *db.Tx) error) { must(t, n.Env.DB.Update(t.Context(), dbtest.Realm, fn)) }
		for name, kill := range map[string]func(parent *grant.Grant, above, actor *client.Client){
			"the client above, disabled": func(_ *grant.Grant, above, _ *client.Client) {
				update(func(tx *db.Tx) error { _, err := n.Clients.DisableTx(tx, by, above.ID, 0); return err })
			},
			"the client above, disabled and enabled": func(_ *grant.Grant, above, _ *client.Client) {
				update(func(tx *db.Tx) error { _, err := n.Clients.DisableTx(tx, by, above.ID, 0); return err })
				_, err := n.Clients.Enable(t.Context(), by, dbtest.Realm, above.ID, 0)
				must(t, err)
			},
			"the credential above": func(parent *grant.Grant, _, _ *client.Client) {
				update(func(tx *db.Tx) error { return credential.RevokeTx(tx, by, parent.Credential, "test") })
			},
			"the actor": func(_ *grant.Grant, _, actor *client.Client) {
				update(func(tx *db.Tx) error { return principal.SuspendTx(tx, by, actor.Principal, "test") })
			},
			"the actor, suspended and restored": func(_ *grant.Grant, _, actor *client.Client) {
				update(func(tx *db.Tx) error { return principal.SuspendTx(tx, by, actor.Principal, "test") })
				must(t, n.Principals.Activate(t.Context(), by, dbtest.Realm, actor.Principal))
			},
		} {
			above, api, actor := n.mustClient(t, dbtest.Realm), n.mustClient(t, dbtest.Realm), n.mustClient(t, dbtest.Realm)
			held, err := n.Credentials.List(t.Context(), dbtest.Realm, above.Principal)
			must(t, err)
			parent, err := n.grants.StandingFor(t.Context(), by, above, held[0].ID)
			must(t, err)
			g := n.mustExchange(t, n.mustClient(t, dbtest.Realm), n.mustExchange(t, api, parent, actor.Principal), "")
			old := n.mustIssue(t, ask(g)).Access
			n.mustKnow(t, dbtest.Realm, old, true)
			kill(parent, above, actor)
			if _, err := n.Issue(t.Context(), by, ask(g)); !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s: %v, want forbidden", name, err)
			}
			if strings.Contains(name, "actor") {
				n.mustKnow(t, dbtest.Realm, old, false)
			}
			if _, err := n.IssueAssertion(t.Context(), by, AssertionRequest{Grant: g, Audience: "https://chat.example", ClientID: "x"}); !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s, an assertion: %v, want forbidden", name, err)
			}
		}
	})
}

// A token is no wider than every grant above it, whatever is asked of the gate.
func TestNothingBelowIsWider(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		p, c := n.mustPerson(t, dbtest.Realm), n.mustClient(t, dbtest.Realm)
		parent := n.mustGrant(t, dbtest.Realm, p, c)
		g := n.mustExchange(t, n.mustClient(t, dbtest.Realm, func(s *client.Settings) { s.Resources = append(s.Resources, "https://more.example") }), parent, "")
		for name, change := range map[string]func(*Request){
			"a scope":     func(q *Request) { q.Scopes = []string{"email"} },
			"an audience": func(q *Request) { q.Audience = []string{"https://more.example"} },
		} {
			q := ask(g)
			change(&q)
			if _, err := n.Issue(t.Context(), by, q); !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s that the parent lacks: %v, want forbidden", name, err)
			}
		}
		q := ask(g)
		q.Until = n.Clock.Now().Add(30e9)
		if i := n.mustIssue(t, q); i.Expires.Seconds() != 30 {
			t.Errorf("lives %v, want 30 s", i.Expires)
		}
	})
}

// What is written as act is read as it was written, and whatever else stands
// there is refused.
func FuzzActors(f *testing.F) {
	for _, s := range []string{`{}`, `{"act":{"sub":"a"}}`, `{"act":{"sub":"a","act":{"sub":"b"}}}`, `{"act":{"sub":""}}`, `{"act":"a"}`, `{"act":{"sub":"a","act":null}}`,
		`{"act":{"sub":"a","act":{"sub":"b","act":{"sub":"c","act":{"sub":"d","act":{"sub":"e"}}}}}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := jose.ParseObject([]byte(text))
		if err != nil {
			return
		}
		actors, err := readActors(o)
		if err != nil {
			return
		}
		if o.Has("act") != (len(actors) > 0) || len(actors) > MaxActors || slices.Contains(actors, "") {
			t.Fatalf("%s: %q", text, actors)
		}
		if len(actors) == 0 {
			return
		}
		again, err := jose.ParseObject(append(AppendActors([]byte(`{"act":`), actors), '}'))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := readActors(again); err != nil || !slices.Equal(back, actors) {
			t.Fatalf("%q came back as %q, %v", actors, back, err)
		}
	})
}
