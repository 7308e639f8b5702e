package signin

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	pk "github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// chooses chooses a password without the present one, in a browser that is
// signed in.
func (b *browser) chooses(next secret.Text) error {
	b.t.Helper()
	re, err := b.w.realms.ByName(b.t.Context(), dbtest.Realm)
	must(b.t, err)
	r := httptest.NewRequest("POST", b.base+"/account/password", nil)
	r = r.WithContext(realm.With(r.Context(), re))
	for _, c := range b.jar.Cookies(b.at) {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	err = b.w.ChangePassword(rec, r, b.sessions()[0], PasswordChange{Next: next, Proved: true, Everywhere: true})
	b.jar.SetCookies(b.at, rec.Result().Cookies())
	return err
}

// opens reports whether a password signs in, or leads to a second factor.
func (w *world) opens(t *testing.T, who *principal.Principal, text secret.Text) bool {
	t.Helper()
	got, err := w.Passwords.Check(t.Context(), audittest.By, dbtest.Realm, credential.Attempt{Identifier: who.Name, Password: text})
	must(t, err)
	return got.Outcome == credential.Right
}

const chosen = "seven lanterns over the quiet harbour"

// PW-06: what cannot be phished takes the place of the present password, while it
// is fresh, and nothing else does. Compare ranks in ChoosesPassword to see it
// fail.
func TestAFreshPasskeyTakesThePlaceOfThePassword(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada, eve := w.mustPerson(t, dbtest.Realm, "ada", "Ada"), w.mustPerson(t, dbtest.Realm, "eve", "Eve")
		app := w.mustApp(t, dbtest.Realm, eve)
		by := w.browser(t, dbtest.Realm).signIn("eve").submit("code", app.code()).isAt("/")
		if err := by.chooses(chosen); !fault.Is(err, fault.Forbidden) || w.opens(t, eve, chosen) {
			t.Errorf("by a password and a code: %v", err)
		}
		a := pk.New(here)
		other := w.browser(t, dbtest.Realm).signIn("ada").enrol(a)
		b := w.browser(t, dbtest.Realm).signInBy(a).isAt("/")
		before := b.sessions()[0]
		w.Clock.Advance(manageFresh + time.Second)
		if err := b.chooses(chosen); !fault.Is(err, fault.Forbidden) || w.opens(t, ada, chosen) {
			t.Errorf("by a passkey of before: %v", err)
		}
		b.signInBy(a)
		must(t, b.chooses(chosen))
		if !w.opens(t, ada, chosen) || w.opens(t, ada, password) {
			t.Error("the password is not the one that was chosen")
		}
		if now := b.sessions(); len(now) != 1 || now[0].ID == before.ID || len(other.sessions()) != 0 {
			t.Errorf("signed in here %d times, elsewhere %d", len(now), len(other.sessions()))
		} else if amr := now[0].AMR; len(amr) != 3 || amr[0] != "swk" {
			t.Errorf("amr %q: the password was chosen, and proves nothing", amr)
		}
	})
}

// Who has no password chooses one by the strongest that they have.
func TestAFirstPasswordIsChosenByAPasskey(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		a := pk.New(here)
		w.browser(t, dbtest.Realm).signIn("ada").enrol(a)
		all, err := w.cores.Credentials.List(t.Context(), dbtest.Realm, ada.ID)
		must(t, err)
		for _, c := range all {
			if c.Type == credential.Password {
				must(t, w.Grants.RevokeCredential(t.Context(), audittest.By, dbtest.Realm, c.ID, "test", nil))
			}
		}
		b, other := w.browser(t, dbtest.Realm).signInBy(a), w.browser(t, dbtest.Realm).signInBy(a)
		if err := b.chooses("short"); fault.Code(err) == "" || w.opens(t, ada, "short") {
			t.Errorf("a short one: %v", err)
		}
		must(t, b.chooses(chosen))
		if !w.opens(t, ada, chosen) || len(b.sessions()) != 1 || len(other.sessions()) != 0 {
			t.Errorf("signed in here %d times, elsewhere %d", len(b.sessions()), len(other.sessions()))
		}
		w.Clock.Advance(manageFresh + time.Second)
		if err := b.chooses(chosen + " again"); !fault.Is(err, fault.Forbidden) {
			t.Errorf("later: %v", err)
		}
	})
}
