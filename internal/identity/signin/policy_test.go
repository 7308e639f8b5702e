package signin

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	pk "github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
	"github.com/cardea-id/cardea/internal/identity/token"
)

// takes has the application take only these factors, and demand a level.
func (w *world) takes(t testing.TB, least string, factors ...string) {
	t.Helper()
	s := w.app.Settings
	s.LeastACR, s.Factors = least, factors
	_, err := w.cores.Clients.Update(context.Background(), audittest.By, dbtest.Realm, w.app.ID, 0, s)
	must(t, err)
}

// MF-09: what an application does not take protects the account all the same.
// Whoever knows no more than the password adds no factor by way of an
// application that would not look at the owner's. Give proveStrongest the
// application to see it fail.
func TestAnApplicationThatTakesLessAddsNoFactor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		w.takes(t, token.AAL2, "password", "passkey")
		w.toPhotoBook(noConsent)
		b := w.browser(t, dbtest.Realm).get("/go").submit("identifier", "ada", "password", password)
		b.isAt(pathFactor).shows(200, "Enter the code from your app")
		b.get("/signin/enrol?by=passkey&flow=" + b.at.Query().Get("flow")).isAt(pathFactor)
		if len(b.sessions()) != 0 {
			t.Fatal("a password alone began a session")
		}
		b.submit("code", app.code()).isAt(pathEnrol).shows(200, "Create a passkey")
		b.submit("answer", pk.New(here).Create(b.options()), "name", "Laptop")
		b.submit("do", "later").isAt("/back")
	})
}

// MF-06: a session is the realm's, whichever application it is begun for. One
// that takes passwords only excuses nobody from the factor that they have, nor
// from what the realm demands, nor from what looks wrong. Give usual or risky
// the application to see it fail.
func TestAnApplicationThatTakesLessBeginsNoLesserSession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		w.takes(t, "", "password")
		w.toPhotoBook(noConsent)
		in := func() *browser {
			w.Clock.Advance(time.Minute)
			b := w.browser(t, dbtest.Realm).get("/go").submit("identifier", "ada", "password", password)
			b.isAt(pathFactor)
			if len(b.sessions()) != 0 {
				t.Fatal("a password alone began a session")
			}
			return b
		}
		in().submit("code", app.code()).isAt("/back")
		w.set(t, "least_acr", "aal2")
		in().submit("code", app.code()).isAt("/back")
		w.set(t, "least_acr", "aal1", "risk_dormant_account", "step_up", "remember_device", "30d")
		w.Clock.Advance(awake)
		in().submit("code", app.code()).isAt("/back")
		if got := w.outcome.Session; got.ACR != token.AAL2 || strings.Join(got.AMR, " ") != "pwd otp mfa" {
			t.Errorf("acr %q, amr %q", got.ACR, got.AMR)
		}
	})
}
