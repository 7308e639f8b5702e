package signin

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
)

// alarms are what sessions and what they rest on die of.
var alarms = []struct {
	who  string
	what func(w *world, id string) error
}{
	{"ann", func(w *world, id string) error { // this was not me
		return w.Risk.Disown(context.Background(), audittest.By, dbtest.Realm, id, nil)
	}},
	{"bob", func(w *world, id string) error { // the password is known to others
		return w.Passwords.Compromised(context.Background(), audittest.By, dbtest.Realm, id)
	}},
	{"cyd", func(w *world, id string) error { // an address was taken back, say
		return w.Env.DB.Update(context.Background(), dbtest.Realm, func(tx *db.Tx) error {
			return principal.EndEraTx(tx, audittest.By, id, "test")
		})
	}},
	{"dan", func(w *world, id string) error {
		_, err := w.Passwords.Set(context.Background(), audittest.By, dbtest.Realm, id, "a wholly new pass phrase")
		return err
	}},
}

// What somebody proved in a flow that is on its way dies of what sessions die
// of: whoever waited with a stolen password has nothing when its owner raises
// the alarm, neither a session nor the right to add a factor. Have living return
// all proofs to see it fail.
func TestWhatWasProvedBeforeAnAlarmAddsNoFactor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for _, alarm := range alarms {
			p := w.mustPerson(t, dbtest.Realm, alarm.who, alarm.who)
			w.toPhotoBook(noConsent, func(f *Flow) { f.ACR = token.AAL2 })
			b := w.browser(t, dbtest.Realm).get("/go").submit("identifier", alarm.who, "password", password).isAt(pathEnrol)
			b.get("/signin/enrol?by=totp&flow=" + b.at.Query().Get("flow"))
			app, form := b.scan(), fields(b)
			must(t, alarm.what(w, p.ID))
			form.Set("code", app.code())
			b.send("POST", b.base+pathEnrol, form)
			b.isAt("/signin").get("/signin/enrol?by=passkey&flow=" + form.Get("flow")).isAt("/signin")
			if len(b.sessions()) != 0 {
				t.Errorf("%s: a session began", alarm.who)
			}
			all, err := w.cores.Credentials.List(context.Background(), dbtest.Realm, p.ID)
			must(t, err)
			if slices.ContainsFunc(all, func(c credential.Credential) bool { return c.Type != credential.Password }) {
				t.Errorf("%s: a factor was added", alarm.who)
			}
		}
	})
}

// The same where all was proved and something else was still to be done.
func TestWhatWasProvedBeforeAnAlarmBeginsNoSession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		_, err := w.terms.Create(context.Background(), audittest.By, dbtest.Realm, terms.New{Document: "terms", Version: "1", Title: "Terms", Text: "Be kind."})
		must(t, err)
		for _, alarm := range alarms {
			p := w.mustPerson(t, dbtest.Realm, alarm.who, alarm.who)
			app := w.mustApp(t, dbtest.Realm, p)
			b := w.browser(t, dbtest.Realm).signIn(alarm.who).submit("code", app.code()).isAt("/signin/terms")
			must(t, alarm.what(w, p.ID))
			b.submit("do", "yes")
			if b.isAt("/signin"); len(b.sessions()) != 0 {
				t.Errorf("%s: a session began", alarm.who)
			}
		}
	})
}

// A second factor that was removed while its proof was on its way is none.
func TestAFactorThatWasRemovedMeanwhileProvesNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		_, err := w.terms.Create(context.Background(), audittest.By, dbtest.Realm, terms.New{Document: "terms", Version: "1", Title: "Terms", Text: "Be kind."})
		must(t, err)
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		b := w.browser(t, dbtest.Realm).signIn("ada").submit("code", app.code()).isAt("/signin/terms")
		all, err := w.cores.Credentials.List(context.Background(), dbtest.Realm, ada.ID)
		must(t, err)
		for _, c := range all {
			if c.Type == credential.TOTP {
				must(t, w.cores.Credentials.Revoke(context.Background(), audittest.By, dbtest.Realm, c.ID, "stolen"))
			}
		}
		b.submit("do", "yes").isAt("/")
		if got := b.sessions()[0]; got.ACR != token.AAL1 {
			t.Errorf("acr %q, amr %q by a factor that there is not", got.ACR, got.AMR)
		}
	})
}

// What a session rested on that ended while its owner typed is nothing that the
// next one rests on. Let settle begin one with all proofs to see it fail.
func TestAnEndedSessionLendsNoProofs(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		b := w.browser(t, dbtest.Realm).signIn("ada").submit("code", app.code()).isAt("/")
		re, err := w.realms.ByName(t.Context(), dbtest.Realm)
		must(t, err)
		r := httptest.NewRequest("GET", b.base+"/signin", nil)
		r = r.WithContext(realm.With(r.Context(), re))
		for _, c := range b.jar.Cookies(b.at) {
			r.AddCookie(c)
		}
		all, err := w.accounts(r)
		must(t, err)
		if len(all) != 1 {
			t.Fatalf("%d accounts", len(all))
		}
		w.Clock.Advance(time.Minute)
		var c credential.Credential
		must(t, w.Env.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
			c, err = credential.PasswordTx(tx, ada.ID)
			return err
		}))
		f := &flow{Flow: Flow{Return: "/"}, Pending: true, Proved: []proof{{Principal: ada.ID, Credential: c.ID, Kind: kindPassword, At: w.Clock.Now(), AMR: []string{"pwd"}, Alone: token.AAL1}}}
		at, err := w.where(r, f, all)
		must(t, err)
		if at.step != stepSettle {
			t.Fatalf("step %v", at.step)
		}
		must(t, w.Grants.EndSession(t.Context(), audittest.By, dbtest.Realm, all[0].ID, "test"))
		rec := httptest.NewRecorder()
		must(t, w.goOn(rec, r, f, all, at))
		open, _, err := w.Sessions.List(t.Context(), dbtest.Realm, session.Filter{Principal: ada.ID, Live: true}, "", 10)
		must(t, err)
		if len(open) != 0 {
			t.Errorf("a session %v began by a password and what an ended one had rested on", open[0].AMR)
		}
	})
}

// Who makes new codes by one of the old ones has proved what they proved.
func TestCodesAreReplacedByOneOfThem(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		_, codes, err := w.Factors.NewRecovery(context.Background(), audittest.By, dbtest.Realm, ada.ID)
		must(t, err)
		b := w.browser(t, dbtest.Realm).signIn("ada").submit("code", app.code()).isAt("/")
		w.Clock.Advance(manageFresh + time.Second)
		w.toPhotoBook(noConsent, func(f *Flow) { f.Enrol = "recovery" })
		b.get("/go").isAt(pathFactor)
		flow := b.at.Query().Get("flow")
		b.get("/signin/factor?by=recovery&flow="+flow).submit("code", string(codes[0])).isAt(pathEnrol)
		b.submit("do", "add").shows(200, "Your recovery codes").get("/signin/enrol?flow=" + flow).isAt("/back")
		if s := w.outcome.Session; !w.outcome.Enrolled || s.ACR != token.AAL2 {
			t.Errorf("outcome %+v", w.outcome)
		}
	})
}

// SE-04: who was signed out while they changed the password is not signed in
// again by that, and has changed nothing. Leave Before out to see it fail.
func TestAnEndedSessionChangesNoPassword(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt("/")
		own := b.sessions()[0]
		re, err := w.realms.ByName(t.Context(), dbtest.Realm)
		must(t, err)
		r := httptest.NewRequest("POST", b.base+"/account/password", nil)
		r = r.WithContext(realm.With(r.Context(), re))
		must(t, w.Grants.EndSession(t.Context(), audittest.By, dbtest.Realm, own.ID, "test"))
		err = w.ChangePassword(httptest.NewRecorder(), r, own, PasswordChange{Current: password, Next: "seven lanterns over the quiet harbour", Everywhere: true})
		if err == nil {
			t.Error("changed by a session that has ended")
		}
		open, _, err := w.Sessions.List(t.Context(), dbtest.Realm, session.Filter{Principal: ada.ID, Live: true}, "", 10)
		must(t, err)
		if len(open) != 0 {
			t.Error("signed in again")
		}
		w.browser(t, dbtest.Realm).signIn("ada").isAt("/")
	})
}

// A factor that is removed counts no more for those who are signed in by it, among
// others: neither for the level nor to change factors.
func TestARemovedFactorCountsNoMoreInASession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		b := w.browser(t, dbtest.Realm).signIn("ada").submit("code", app.code()).isAt("/")
		one, r := b.sessions()[0], httptest.NewRequest("GET", b.base+"/signin", nil)
		re, err := w.realms.ByName(t.Context(), dbtest.Realm)
		must(t, err)
		r = r.WithContext(realm.With(r.Context(), re))
		stands := func() (acr string, managing bool) {
			t.Helper()
			managing, err := w.Suffices(r, one, Flow{Manage: true})
			must(t, err)
			is, err := w.Stands(r, one, nil)
			must(t, err)
			return is.ACR, managing
		}
		w.Clock.Advance(4 * time.Minute)
		if acr, managing := stands(); acr != token.AAL2 || !managing {
			t.Errorf("acr %q, %v", acr, managing)
		}
		w.mustApp(t, dbtest.Realm, ada) // another one, so that the strongest is one still
		all, err := w.cores.Credentials.List(t.Context(), dbtest.Realm, ada.ID)
		must(t, err)
		for _, c := range all {
			if c.Type == credential.TOTP && strings.Contains(one.Proofs, c.ID) {
				must(t, w.cores.Credentials.Revoke(t.Context(), audittest.By, dbtest.Realm, c.ID, "stolen"))
			}
		}
		if acr, managing := stands(); acr != token.AAL1 || managing {
			t.Errorf("by a factor that there is not: acr %q, may change factors: %v", acr, managing)
		}
	})
}

// What is noticed only once the session is to begin: somebody raised the alarm between
// the look at the flow and the transaction. Let settle do without rests to see it fail.
func TestWhatEndsWhileASessionBeginsCountsNoMore(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		re, err := w.realms.ByName(t.Context(), dbtest.Realm)
		must(t, err)
		for _, alarm := range alarms {
			p := w.mustPerson(t, dbtest.Realm, alarm.who, alarm.who)
			r := httptest.NewRequest("GET", "/signin", nil)
			r = r.WithContext(realm.With(r.Context(), re))
			var c credential.Credential
			must(t, w.Env.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
				c, err = credential.PasswordTx(tx, p.ID)
				return err
			}))
			life, err := w.People.Live(t.Context(), dbtest.Realm, p.ID)
			must(t, err)
			f := &flow{Flow: Flow{Return: "/"}, Pending: true, Proved: []proof{{Principal: p.ID, Credential: c.ID, Era: life.Era, Kind: kindPassword, At: w.Clock.Now(), AMR: []string{"pwd"}, Alone: token.AAL1}}}
			at, err := w.where(r, f, nil)
			must(t, err)
			if at.step != stepSettle {
				t.Fatalf("%s: step %v", alarm.who, at.step)
			}
			must(t, alarm.what(w, p.ID))
			if _, err := w.settle(httptest.NewRecorder(), r, f, nil, at); fault.Code(err) != codeProofOver {
				t.Errorf("%s: %v, want %s", alarm.who, err, codeProofOver)
			}
			open, _, err := w.Sessions.List(t.Context(), dbtest.Realm, session.Filter{Principal: p.ID, Live: true}, "", 10)
			must(t, err)
			if len(open) != 0 {
				t.Errorf("%s: a session began", alarm.who)
			}
		}
	})
}

// A flow for one person is nobody else's to sign in by. Let note take proofs of anybody
// to see it fail.
func TestAFlowForOneSignsNobodyElseIn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.mustPerson(t, dbtest.Realm, "bob", "Bob")
		w.toPhotoBook(noConsent, func(f *Flow) { f.Subject = ada.ID })
		b := w.browser(t, dbtest.Realm).get("/go").isAt("/signin").submit("identifier", "bob", "password", password).isAt("/signin")
		if all := b.sessions(); len(all) != 0 {
			t.Errorf("a session of %s began in a flow for ada", all[0].Principal)
		}
		b.submit("identifier", "ada", "password", password).isAt("/back")
		if all := b.sessions(); len(all) != 1 || all[0].Principal != ada.ID {
			t.Errorf("%d sessions", len(all))
		}
	})
}

// Whoever takes an account up after another one was chosen did not sign in within
// the flow, though its owner did. Let proved do without Fresh to see it fail.
func TestASignInIsNotLentToWhoeverChoosesTheAccountAgain(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.mustPerson(t, dbtest.Realm, "bob", "Bob")
		b := w.browser(t, dbtest.Realm)
		b.signIn("bob").isAt("/")
		bob := b.sessions()[0].ID
		w.toPhotoBook(func(f *Flow) { f.Reauth = true })
		b.get("/go").isAt("/signin").submit("identifier", "ada", "password", password).isAt("/consent")
		ada := b.sessions()[0].ID
		flow := b.at.Query().Get("flow")
		b.get("/accounts?flow="+flow).submit("account", bob)
		b.get("/accounts?flow="+flow).submit("account", ada)
		b.isAt("/signin")
	})
}
