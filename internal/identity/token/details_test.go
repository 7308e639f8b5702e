package token

import (
	"testing"

	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
)

// The gate: details of a token are among those of its grant, whoever asks.
// Nothing about them is understood, so less of one is another one.
func TestDetailsAreAmongThoseGranted(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		const ten, twenty, file = `{"amount":10,"type":"payment"}`, `{"amount":20,"type":"payment"}`, `{"type":"file"}`
		c := n.mustClient(t, dbtest.Realm, func(s *client.Settings) { s.DetailTypes = []string{"payment"} })
		p := n.mustPerson(t, dbtest.Realm)
		both := n.mustGrant(t, dbtest.Realm, p, c, func(d *grant.New) { d.Details = "[" + ten + "," + twenty + "," + file + "]" })
		none, own := n.mustGrant(t, dbtest.Realm, p, c), n.mustStanding(t, c)
		for _, one := range []struct {
			name    string
			grant   *grant.Grant
			details string
			want    bool
		}{
			{"none", both, "", true},
			{"one", both, "[" + ten + "]", true},
			{"two, in another order", both, "[" + twenty + "," + ten + "]", true},
			{"in another spelling", both, `[{"type": "payment", "amount": 10}]`, true},
			{"another amount", both, `[{"amount":11,"type":"payment"}]`, false},
			{"less of one", both, `[{"type":"payment"}]`, false},
			{"one that was not granted", both, `[` + ten + `,{"amount":1,"type":"payment"}]`, false},
			{"a type that the client may not have any more", both, "[" + file + "]", false},
			{"all, with that type", both, both.Details, false},
			{"no array", both, ten, false},
			{"of a grant without", none, "[" + ten + "]", false},
			{"the client's own", own, "[" + ten + "]", true},
			{"the client's own of a type it may not have", own, "[" + file + "]", false},
		} {
			q := ask(one.grant)
			q.Details = one.details
			_, err := n.Issue(t.Context(), by, q)
			if (err == nil) != one.want || err != nil && !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s: %v, want issued = %v", one.name, err, one.want)
			}
		}
	})
}
