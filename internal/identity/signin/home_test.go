package signin

import (
	"html"
	"net/url"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// AZ-09: consent can be withdrawn by whoever gave it, on the issuer's own page,
// and by nobody else.
func TestConsentIsWithdrawnOnTheHomePage(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		must(t, w.Grants.Remember(t.Context(), audit.System, dbtest.Realm, ada.ID, w.app.ID, []string{"openid"}))
		given := func() bool {
			c, err := w.Grants.Consent(t.Context(), dbtest.Realm, ada.ID, w.app.ID)
			must(t, err)
			return c != nil
		}
		b := w.browser(t, dbtest.Realm).signIn("ada")
		b.get("/").shows(200, html.EscapeString(w.app.Name), "Withdraw")
		stranger := w.browser(t, dbtest.Realm)
		stranger.get("/")
		stranger.send("POST", "/withdraw", url.Values{"account": {b.sessions()[0].ID}, "client": {w.app.ID}, "form": {"cdf_made-up"}})
		if !given() {
			t.Fatal("a stranger withdrew it")
		}
		b.get("/").submit("client", w.app.ID)
		if given() {
			t.Error("the consent still stands")
		}
		b.get("/").shows(200, "You are signed in")
	})
}
