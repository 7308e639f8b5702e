package grant

import (
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// As long as a session may live, it is known which clients it was used for, also
// when the grants have ended long ago; only the last of each client is kept.
func TestClientsOfASessionAreNotForgotten(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		r, err := w.Realms.ByName(ctx, dbtest.Realm)
		must(t, err)
		p, c, d := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		short := func(n *New) { n.Refresh = false }
		var grants []*Grant
		for _, one := range []New{grantFor(p, c, short), grantFor(p, c, short), grantFor(p, d, short)} {
			g, _ := w.mustGrant(t, dbtest.Realm, one)
			grants = append(grants, g)
			w.Clock.Advance(time.Millisecond)
		}
		// What is exchanged below the session's grants is no sign-in: it neither
		// stands in for one nor makes one.
		for _, api := range []*client.Client{w.mustClient(t, dbtest.Realm), d} {
			_, err = w.ExchangeFor(ctx, by, api, Shown{Parent: grants[2]})
			must(t, err)
		}
		known := func() []string {
			t.Helper()
			for {
				n, err := w.Collect(ctx, dbtest.Realm)
				must(t, err)
				if n == 0 {
					break
				}
			}
			all, err := w.ClientsOf(ctx, dbtest.Realm, p.session)
			must(t, err)
			return all
		}
		want := []string{c.ID, d.ID}
		slices.Sort(want)
		w.Clock.Advance(r.Settings.SessionAbsolute)
		if got := known(); !slices.Equal(got, want) {
			t.Errorf("at the end of the session: %v, want %v", got, want)
		}
		if _, err := w.ByID(ctx, dbtest.Realm, grants[0].ID); err == nil {
			t.Error("a grant that another one followed was kept")
		}
		w.Clock.Advance(keep + time.Minute)
		if got := known(); len(got) != 0 {
			t.Errorf("after it: %v", got)
		}
	})
}
