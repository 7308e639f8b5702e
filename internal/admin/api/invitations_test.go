package api_test

import (
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
)

// Nobody is invited to what nothing opens that an invitation leads to.
func TestNobodyIsInvitedWhoCouldNotSignIn(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		invite := wire.InvitationCreate{Email: "guest@example.com"}
		set := func(factors, codes string) {
			t.Helper()
			must[wire.Realm](t, w.call(t, "owner", "PATCH", "/realm", wire.RealmUpdate{Settings: &wire.RealmSettings{Factors: factors, EmailSignIn: codes}}))
		}
		set("passkey", "")
		refused(t, "passkeys alone", w.call(t, "owner", "POST", "/invitations", invite), 409, "newcomers_excluded")
		set("passkey email", "on")
		must[wire.InvitationSent](t, w.call(t, "owner", "POST", "/invitations", invite))
	})
}
