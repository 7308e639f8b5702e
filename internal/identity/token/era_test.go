package token

import (
	"slices"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// mustOwn makes a person the owner of a client's service.
func (n *node) mustOwn(t testing.TB, owner person, c *client.Client) {
	t.Helper()
	_, err := n.Principals.Update(t.Context(), by, dbtest.Realm, c.Principal, 0, principal.Change{Owner: &owner.id})
	must(t, err)
}

// The end of an era is one commit: whoever makes it may die before anything
// that hangs on the principal was found.
func TestWhatAnEraBoreDiesWithItsEnd(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		ctx, p, c, service := t.Context(), n.mustPerson(t, dbtest.Realm), n.mustClient(t, dbtest.Realm), n.mustClient(t, dbtest.Realm)
		n.mustOwn(t, p, service)
		g := n.mustGrant(t, dbtest.Realm, p, c, func(d *grant.New) { d.Offline = true })
		access, owned := n.mustIssue(t, ask(g)).Access, n.mustIssue(t, ask(n.mustStanding(t, service))).Access
		must(t, n.Env.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error { return principal.EndEraTx(tx, by, p.id, "test") }))
		n.mustKnow(t, dbtest.Realm, access, false)
		if _, err := n.Issue(ctx, by, ask(g)); err == nil {
			t.Error("a grant of before issues tokens")
		}
		if _, err := n.Sessions.Live(ctx, dbtest.Realm, p.session); err == nil {
			t.Error("a session of before lives")
		}
		n.mustKnow(t, dbtest.Realm, owned, true)
		n.mustIssue(t, ask(n.mustStanding(t, service)))
		state, err := n.grants.Status.Snapshot(ctx, dbtest.Realm)
		must(t, err)
		if !slices.ContainsFunc(state.Cutoffs, func(c statuslist.Cutoff) bool { return c.Kind == statuslist.CutPrincipal && c.ID == p.id }) {
			t.Errorf("followers are told of %v", state.Cutoffs)
		}
	})
}

// A suspension whose cascade was cut short holds after the activation, for the
// principal and for what it owns.
func TestASuspensionHoldsWithoutItsCascade(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		ctx, p, service := t.Context(), n.mustPerson(t, dbtest.Realm), n.mustClient(t, dbtest.Realm)
		n.mustOwn(t, p, service)
		access := n.mustIssue(t, ask(n.mustGrant(t, dbtest.Realm, p, n.mustClient(t, dbtest.Realm)))).Access
		owned := n.mustIssue(t, ask(n.mustStanding(t, service))).Access
		n.mustKnow(t, dbtest.Realm, owned, true)
		must(t, n.Principals.Suspend(ctx, by, dbtest.Realm, p.id, "test"))
		must(t, n.Principals.Activate(ctx, audit.System, dbtest.Realm, p.id))
		n.mustKnow(t, dbtest.Realm, access, false)
		n.mustKnow(t, dbtest.Realm, owned, false)
		n.mustKnow(t, dbtest.Realm, n.mustIssue(t, ask(n.mustStanding(t, service))).Access, true)
	})
}
