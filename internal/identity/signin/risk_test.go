package signin

import (
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/credential"
	pk "github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
)

// awake is how long an account sleeps until its sign-ins look wrong.
const awake = 150 * 24 * time.Hour

func (w *world) decides(t testing.TB, settings map[string]any) {
	t.Helper()
	_, err := w.realms.Update(t.Context(), audittest.By, dbtest.Realm, 0, realm.Change{Settings: settings})
	must(t, err)
}

// What is locked looks like a wrong password, before and after, and the owner's
// browser knows nothing of it (MF-05).
func TestALockedSignInLooksLikeAWrongPassword(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.decides(t, map[string]any{"risk_dormant_account": "lock"})
		w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		owner := w.browser(t, dbtest.Realm).signIn("ada").isAt("/")
		w.Clock.Advance(awake)
		for range 2 {
			thief := w.browser(t, dbtest.Realm).signIn("ada").isAt("/signin").shows(422, "That username or password isn’t right")
			if len(thief.sessions()) != 0 {
				t.Fatal("the thief is signed in")
			}
		}
		owner.signIn("ada").isAt("/").shows(200, "Ada Lovelace")
	})
}

// A sign-in that looks wrong takes the second factor of whoever has one, and
// locks nobody out who has none and cannot be written to.
func TestWhatLooksWrongTakesASecondFactor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.set(t, "factors", "password totp")
		w.decides(t, map[string]any{"risk_dormant_account": "step_up"})
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		w.mustPerson(t, dbtest.Realm, "bob", "Bob")
		app := w.mustApp(t, dbtest.Realm, ada)
		w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor).submit("code", app.code()).isAt("/")
		w.browser(t, dbtest.Realm).signIn("bob").isAt("/")
		w.Clock.Advance(awake)
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor)
		if len(b.sessions()) != 0 {
			t.Fatal("a password alone began a session")
		}
		if one := b.submit("code", app.code()).isAt("/").sessions()[0]; one.ACR != token.AAL2 {
			t.Errorf("acr %q", one.ACR)
		}
		w.browser(t, dbtest.Realm).signIn("bob").isAt("/").shows(200, "Bob")
	})
}

// Where there is mail, somebody without a factor shows by a code that a sign-in
// which looks wrong is theirs: it takes both, whichever came first.
func TestWhatLooksWrongTakesACodeByMail(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.decides(t, map[string]any{"risk_dormant_account": "step_up"})
		w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		w.browser(t, dbtest.Realm).signIn("ada").isAt("/")
		w.Clock.Advance(awake)
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathMailed).shows(200, "Is it you?", "ada@example.com")
		b.submit("do", "send").isAt(pathMailCode).shows(200, "ada@example.com")
		code, link := w.mailed(t, "ada@example.com")
		b.submit("code", "00000000").shows(422, "isn’t the code")
		if len(b.sessions()) != 0 {
			t.Fatal("a password alone began a session")
		}
		w.browser(t, dbtest.Realm).get(link).shows(200, code[:4]+" "+code[4:])
		one := b.get(link).isAt(pathMailLink).submit("do", "check").isAt("/").shows(200, "Ada Lovelace").sessions()[0]
		if one.ACR != token.AAL1 || !slices.Equal(one.AMR, []string{"pwd", "otp"}) {
			t.Errorf("acr %q, amr %q", one.ACR, one.AMR)
		}
		w.set(t, "factors", "password totp")
		w.Clock.Advance(awake)
		w.browser(t, dbtest.Realm).signIn("ada").isAt("/") // the operator does not count it
	})
}

// Remove g.risky from the gate to see it fail.
func TestTheGateAsksForWhatRiskDemands(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		w.mustApp(t, dbtest.Realm, ada)
		re, err := w.realms.ByName(t.Context(), dbtest.Realm)
		must(t, err)
		r := httptest.NewRequest("GET", "/", nil)
		r = r.WithContext(realm.With(r.Context(), re))
		f := &flow{Flow: Flow{Return: "/"}, Pending: true, Assessed: ada.ID, Risky: true,
			Proved: []proof{{Principal: ada.ID, Kind: kindPassword, At: w.Clock.Now(), Alone: token.AAL1}}}
		at := spot{who: ada.ID, proofs: f.Proved}
		g := gate{w.Server, r, re, f, w.Clock.Now()}
		if lacks, err := g.risky(&at, token.AAL1); err != nil || !lacks || at.step != stepFactor || len(at.ask) == 0 {
			t.Errorf("lacks %v at %v with %d factors: %v", lacks, at.step, len(at.ask), err)
		}
		if lacks, err := g.risky(&at, token.AAL2); err != nil || lacks {
			t.Errorf("after a second factor it lacks something: %v", err)
		}
	})
}

// After an alarm, too, where there is no factor: whoever knows the password, which
// opens nothing but its own replacement, must have the mailbox to replace it.
// Have Disown demand no proof, or renewed not ask risky, to see it fail.
func TestWhoKnowsThePasswordReplacesNoneAfterAnAlarm(t *testing.T) {
	const next = "another long enough secret"
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		must(t, w.Risk.Disown(t.Context(), audittest.By, dbtest.Realm, ada.ID, nil))
		thief := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathMailed).shows(200, "Is it you?")
		thief.get("/signin/renew?" + thief.at.RawQuery).isAt(pathMailed)
		if w.opens(t, ada, next) || len(thief.sessions()) != 0 {
			t.Fatal("the password was replaced by whoever knew it")
		}
		owner := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathMailed).submit("do", "send")
		code, _ := w.mailed(t, "ada@example.com")
		owner.submit("code", code).isAt("/signin/renew").submit("password", password, "new", next).isAt("/")
		if len(owner.sessions()) != 1 || !w.opens(t, ada, next) {
			t.Error("the owner did not get in by their mailbox")
		}
		w.browser(t, dbtest.Realm).get("/signin").submit("identifier", "ada", "password", next).isAt("/") // it was shown
	})
}

// After an alarm no browser is believed, the thief's own one least of all: what
// it does is looked at as a stranger's. Leave DisbelieveTx out to see it fail.
func TestNoBrowserIsBelievedAfterAnAlarm(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		thief := w.browser(t, dbtest.Realm).signIn("ada").isAt("/")
		known := func() (yes bool) {
			must(t, w.Env.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
				yes, err = credential.AskKnown(tx, ada.ID, thief.cookie("__Host-cardea.browser-test"))()
				return err
			}))
			return yes
		}
		if !known() {
			t.Fatal("a browser that signed in is not known")
		}
		must(t, w.Risk.Disown(t.Context(), audittest.By, dbtest.Realm, ada.ID, nil))
		if known() {
			t.Error("the thief's browser is still believed")
		}
	})
}

// What somebody shows by a passkey alone is looked at in the transaction that begins
// their session. Have Memory.Quiet find everything quiet to see this fail.
func TestASignInByPasskeyIsLookedAtAllTheSame(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.decides(t, map[string]any{"risk_dormant_account": "inform"})
		ada, a := w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace"), pk.New(here)
		owner := w.browser(t, dbtest.Realm).signIn("ada").enrol(a)
		signals := func() int {
			all, _, err := w.Env.Log.Query(t.Context(), dbtest.Realm, audit.Filter{Action: "risk.signal", Limit: 10})
			must(t, err)
			return len(all)
		}
		w.Clock.Advance(awake)
		if owner.signInBy(a).isAt("/"); signals() != 0 || len(owner.sessions()) != 1 {
			t.Errorf("%d signals and %d sessions of a browser that is known", signals(), len(owner.sessions()))
		}
		w.Clock.Advance(awake)
		stranger := w.browser(t, dbtest.Realm).signInBy(a).isAt("/")
		if signals() != 1 || len(stranger.sessions()) != 1 {
			t.Errorf("%d signals and %d sessions of an unknown browser after a long time, want one each", signals(), len(stranger.sessions()))
		}
		if again := w.browser(t, dbtest.Realm).signInBy(a).isAt("/"); signals() != 1 || len(again.sessions()) != 1 {
			t.Errorf("%d signals and %d sessions right after, want one each", signals(), len(again.sessions()))
		}

		// What is held against somebody is met in their own browser, too.
		held := func() (n int) {
			must(t, w.Env.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
				n, err = db.One(tx, db.Scalar[int], `SELECT COUNT(*) FROM risk_holds WHERE realm = $1 AND subject = $2`, tx.Realm, ada.ID)
				return err
			}))
			return n
		}
		must(t, w.Env.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			return tx.Later(`INSERT INTO risk_holds (realm, subject, detector, action, incident, since_at, until_at, next_at) VALUES ($1, $2, $3, $4, '', $5, $6, 0)`,
				tx.Realm, ada.ID, risk.KeyChange, int(risk.StepUp), db.At(tx.Now), db.At(tx.Now.Add(time.Hour)))
		}))
		if owner.signInBy(a).isAt("/"); held() != 0 {
			t.Error("a proof of the second level released nothing")
		}

		re, err := w.realms.ByName(t.Context(), dbtest.Realm)
		must(t, err)
		_, err = w.desk.Leave(t.Context(), audittest.By, re, ada.ID)
		must(t, err)
		if owner.signInBy(a).isAt("/signin/keep"); len(owner.sessions()) != 0 {
			t.Error("signed in by a known browser to an account that is to be deleted")
		}
		back := w.browser(t, dbtest.Realm).signInBy(a).isAt("/signin/keep")
		if len(back.sessions()) != 0 {
			t.Fatal("signed in to an account that is to be deleted")
		}
		if back.submit("do", "yes").isAt("/"); len(back.sessions()) != 1 {
			t.Errorf("%d sessions at %s", len(back.sessions()), back.at)
		}
	})
}
