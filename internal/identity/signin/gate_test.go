package signin

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/token"
)

// MF-07: every endpoint of every step, in every state of a flow, with what is
// empty, repeated or of another flow, leads to no session and no end of the flow
// but by what the state lacks. Let prove skip where to see it fail.
func TestNoEndpointInNoStateLeadsPastTheGate(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.mustPerson(t, dbtest.Realm, "eve", "Eve")
		app := w.mustApp(t, dbtest.Realm, ada)
		w.Limiter = nil
		states := map[string]func(b *browser){
			"nothing proved": func(b *browser) { b.isAt("/signin") },
			"the password proved": func(b *browser) {
				b.submit("identifier", "ada", "password", password).isAt(pathFactor)
			},
			"somebody else's password proved, who has no second factor": func(b *browser) {
				b.submit("identifier", "eve", "password", password).isAt(pathEnrol)
			},
			"turned back": func(b *browser) { b.stays = true; b.submit("do", "cancel"); b.stays = false },
		}
		for name, enter := range states {
			for _, order := range [][]string{
				{"GET /back", "GET /consent", "GET /accounts", "GET /signin/factor", "GET /signin/enrol", "GET /signin/stuck", "GET /signin"},
				{"POST /signin", "POST /signin/factor", "POST /signin/enrol", "POST /signin/stuck", "POST /consent", "POST /accounts", "GET /back"},
				{"POST /consent", "POST /signin/enrol", "POST /signin/factor", "GET /back", "POST /signin/renew", "POST /signin/factor", "GET /back"},
				{"POST /signin/factor", "POST /signin/factor", "POST /accounts", "POST /signin", "GET /consent", "POST /consent", "GET /back"},
			} {
				w.toPhotoBook(func(f *Flow) { f.ACR = token.AAL2 })
				w.outcome = nil
				b := w.browser(t, dbtest.Realm).get("/go")
				flow := fields(b).Get("flow")
				enter(b)
				foreign := w.browser(t, dbtest.Realm).get("/go")
				strange := fields(foreign).Get("flow")
				foreign.submit("identifier", "ada", "password", password).isAt(pathFactor)
				inputs := []url.Values{{}, {"flow": {flow}}, {"flow": {flow}, "do": {"allow"}, "account": {"ses_x"}},
					{"flow": {flow}, "form": {tokenOf(b)}, "by": {"totp"}, "code": {"000000"}, "identifier": {"ada"}, "password": {"wrong"}},
					{"flow": {flow}, "form": {tokenOf(b)}, "by": {"recovery"}, "code": {""}, "do": {"later"}},
					{"flow": {flow}, "form": {tokenOf(b)}, "by": {"passkey"}, "remember": {"yes"}, "do": {"add"}},
					{"flow": {strange}, "form": {tokenOf(foreign)}, "by": {"totp"}, "code": {app.code()}},
					{"flow": {flow}, "form": {tokenOf(foreign)}, "by": {"totp"}, "code": {app.code()}},
				}
				for _, step := range order {
					method, path, _ := strings.Cut(step, " ")
					for i, in := range inputs {
						if method == "GET" {
							b.sendQuietly("GET", b.base+path+"?"+in.Encode(), nil)
						} else {
							b.sendQuietly("POST", b.base+path, in)
						}
						if len(b.sessions()) != 0 {
							t.Fatalf("%s: %s with input %d began a session", name, step, i)
						}
						if o := w.outcome; o != nil && (!o.Denied || o.Session != nil) {
							t.Fatalf("%s: %s with input %d ended the flow: %+v", name, step, i, o)
						}
						if b.status >= 500 {
							t.Errorf("%s: %s with input %d: %d\n%s", name, step, i, b.status, b.body)
						}
					}
				}
				must(t, w.forgetGuesses(t))
			}
		}
		// What is right in its place works, so that the above shows something.
		w.toPhotoBook(func(f *Flow) { f.ACR = token.AAL2 })
		w.outcome = nil
		w.Clock.Advance(16 * time.Minute)
		b := w.browser(t, dbtest.Realm).get("/go").submit("identifier", "ada", "password", password).submit("code", app.code())
		b.isAt("/consent").submit("do", "allow").isAt("/back")
		if w.outcome.Session.ACR != token.AAL2 || !w.outcome.Consented {
			t.Errorf("outcome %+v", w.outcome)
		}
	})
}

// tokenOf is the token of the page's last form, "" where it has none.
func tokenOf(b *browser) string {
	forms := formTag.FindAllStringSubmatch(b.body, -1)
	if len(forms) == 0 {
		return ""
	}
	for _, in := range inputTag.FindAllString(forms[len(forms)-1][2], -1) {
		if strings.Contains(in, `name="form"`) {
			return unescaper.Replace(valAttr.FindStringSubmatch(in)[1])
		}
	}
	return ""
}

// sendQuietly sends one request and does not follow where it leads.
func (b *browser) sendQuietly(method, target string, form url.Values) {
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", "en")
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	u, err := url.Parse(target)
	must(b.t, err)
	for _, c := range b.jar.Cookies(u) {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	b.w.handler.ServeHTTP(rec, r)
	b.jar.SetCookies(u, rec.Result().Cookies())
	b.status, b.body = rec.Code, rec.Body.String()
}

// forgetGuesses moves the clock past the window in which guesses count.
func (w *world) forgetGuesses(t *testing.T) error {
	t.Helper()
	w.Clock.Advance(16 * time.Minute)
	return nil
}

// SE-02 and step-up: in the middle of a session only what is lacking is asked
// for, and the session goes on under a new secret; the old one is dead.
func TestSteppingUpRenewsTheSession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt("/")
		before, cookie := b.sessions()[0], b.cookie("__Host-cardea-test")
		app := w.mustApp(t, dbtest.Realm, ada)
		w.toPhotoBook(noConsent, func(f *Flow) { f.ACR = token.AAL2 })
		b.get("/go").isAt(pathFactor).submit("code", app.code()).isAt("/back")
		after := w.outcome.Session
		if after.ID != before.ID || after.ACR != token.AAL2 || !after.AuthTime.Equal(before.AuthTime) {
			t.Errorf("before %+v, after %+v: the level rests on a password as old as before", before, after)
		}
		if got := b.cookie("__Host-cardea-test"); got == cookie {
			t.Error("the secret is the same")
		}
		old := w.browser(t, dbtest.Realm).get("/signin")
		old.setCookie("__Host-cardea-test", cookie)
		if len(old.sessions()) != 0 {
			t.Error("the old secret still opens the session")
		}
		w.outcome = nil
		b.get("/go").isAt("/back") // what is reached is not asked for again
		w.Clock.Advance(10 * time.Minute)
		w.toPhotoBook(noConsent, func(f *Flow) { f.ACR, f.Within = token.AAL2, 5*time.Minute })
		b.get("/go").isAt("/signin").submit("password", password).isAt(pathFactor).submit("code", app.code()).isAt("/back")
		if got := w.outcome.Session; !got.AuthTime.Equal(w.Clock.Now().Truncate(time.Millisecond)) {
			t.Errorf("auth_time %v, want %v", got.AuthTime, w.Clock.Now())
		}
	})
}

// MF-09: factors are changed by a proof of the last five minutes, as strong as
// the strongest there is. Have proveStrongest return false to see it fail.
func TestAddingAFactorTakesAFreshProofOfTheStrongest(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		toAdd := func() {
			w.outcome = nil
			w.toPhotoBook(noConsent, func(f *Flow) { f.Enrol = "totp" })
		}
		b := w.browser(t, dbtest.Realm).signIn("ada")
		toAdd()
		b.get("/go").isAt(pathEnrol)
		w.Clock.Advance(manageFresh + time.Second)
		page := *b
		page.submit("code", "000000").isAt("/signin") // the page was open while the proof grew old
		b.get("/go").isAt("/signin").shows(200, "Confirm it’s you").submit("password", password).isAt(pathEnrol)
		first := b.scan()
		b.submit("code", first.code()).isAt(pathEnrol).submit("do", "later").isAt("/back")
		// Now the app is the strongest: a password opens nothing here any more.
		w.Clock.Advance(manageFresh + time.Second)
		toAdd()
		b.get("/go").isAt(pathFactor)
		flow := b.at.Query().Get("flow")
		b.get("/signin/enrol?flow=" + flow).isAt(pathFactor)
		b.get("/signin?other=1&flow="+flow).submit("identifier", "ada", "password", password).isAt(pathFactor)
		b.submit("code", first.code()).isAt(pathEnrol)
		// A page that wants to remove one asks for the same, and adds nothing.
		w.Clock.Advance(manageFresh + time.Second)
		w.toPhotoBook(noConsent, func(f *Flow) { f.Manage = true })
		b.get("/go").isAt(pathFactor).submit("code", first.code()).isAt("/back")
		b.get("/go").isAt("/back")
		// Who lost the app has codes for that.
		_, codes, err := w.Factors.NewRecovery(context.Background(), audittest.By, dbtest.Realm, ada.ID)
		must(t, err)
		w.Clock.Advance(manageFresh + time.Second)
		b.get("/go").isAt(pathFactor)
		b.get("/signin/factor?by=recovery&flow="+b.at.Query().Get("flow")).shows(200, "Enter a recovery code").submit("code", string(codes[0])).isAt("/back")
	})
}

func TestTheRealmDemandsASecondFactorAfterATimeOfGrace(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		old := w.browser(t, dbtest.Realm).signIn("ada").isAt("/")
		w.set(t, "least_acr", "aal2", "enrol_grace", "7d")
		w.toPhotoBook(noConsent)
		old.get("/go").isAt("/back") // nobody is disturbed in the middle
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathEnrol).shows(200, "Not now").submit("do", "later").isAt("/")
		if got := b.sessions()[0].ACR; got != token.AAL1 {
			t.Errorf("acr %q is not what was reached", got)
		}
		w.Clock.Advance(7 * 24 * time.Hour)
		b = w.browser(t, dbtest.Realm).signIn("ada").isAt(pathEnrol)
		if strings.Contains(b.body, "Not now") {
			t.Error("it can still be put off")
		}
		form := fields(b)
		form.Set("do", "later")
		b.send("POST", b.base+pathEnrol, form)
		if len(b.sessions()) != 0 {
			t.Fatal("put off after the time of grace")
		}
		b.get("/signin/enrol?by=totp&flow=" + form.Get("flow")).isAt(pathEnrol)
		app := b.scan()
		b.submit("code", app.code()).isAt(pathEnrol).submit("do", "later").isAt("/")
		if got := b.sessions()[0].ACR; got != token.AAL2 {
			t.Errorf("acr %q", got)
		}
	})
}

// Whoever adds a factor and removes it has no more time than before, and a higher
// demand gives time of its own.
func TestTheTimeOfGraceIsNotRenewedByItsOwner(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.set(t, "least_acr", "aal2", "enrol_grace", "7d")
		w.browser(t, dbtest.Realm).signIn("ada").isAt(pathEnrol).submit("do", "later").isAt("/")
		w.Clock.Advance(6 * 24 * time.Hour)
		for range 2 {
			w.mustApp(t, dbtest.Realm, ada)
			all, err := w.cores.Credentials.List(t.Context(), dbtest.Realm, ada.ID)
			must(t, err)
			for _, c := range all {
				if c.Type == credential.TOTP {
					must(t, w.Grants.RevokeCredential(t.Context(), audittest.By, dbtest.Realm, c.ID, "removed by its owner", nil))
				}
			}
			w.browser(t, dbtest.Realm).signIn("ada").isAt(pathEnrol).shows(200, "Not now").submit("do", "later").isAt("/")
		}
		w.Clock.Advance(24 * time.Hour)
		if b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathEnrol); strings.Contains(b.body, "Not now") {
			t.Error("it can still be put off")
		}
	})
}

func TestSessionsOfBeforeMeetANewPolicy(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt("/")
		app := w.mustApp(t, dbtest.Realm, ada)
		w.toPhotoBook(noConsent)
		b.get("/go").isAt("/back")
		w.set(t, "least_acr", "aal2")
		b.get("/go").isAt(pathFactor).submit("code", app.code()).isAt("/back")
		w.set(t, "factors", "password recovery")
		b.get("/go").isAt(pathStuck).shows(403, "stronger proof").submit("do", "cancel").isAt("/back")
		if o := w.outcome; !o.Denied || !o.Stuck {
			t.Errorf("outcome %+v", o)
		}
	})
}

// A device is remembered by those who wish it, for as long as the realm says, and
// until password or factors change; the session says what was proved.
func TestARememberedDeviceIsNotAsked(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor)
		if strings.Contains(b.body, `name="remember"`) {
			t.Error("offered where the realm remembers nothing")
		}
		w.set(t, "remember_device", "30d", "least_acr", "aal2")
		again := func(b *browser) *browser {
			b.setCookie("__Host-cardea-test", "")
			w.Clock.Advance(time.Minute)
			return b.signIn("ada")
		}
		b.get("/signin").submit("identifier", "ada", "password", password).shows(200, "for 30 days").submit("code", app.code(), "remember", "yes").isAt("/")
		again(b).isAt("/")
		if got := b.sessions()[0].ACR; got != token.AAL1 {
			t.Errorf("acr %q is not what was proved", got)
		}
		w.toPhotoBook(noConsent)
		b.get("/go").isAt("/back")
		w.toPhotoBook(noConsent, func(f *Flow) { f.ACR = token.AAL2 })
		b.get("/go").isAt(pathFactor) // who demands it gets it
		again(w.browser(t, dbtest.Realm)).isAt(pathFactor)
		w.Clock.Advance(30 * 24 * time.Hour)
		again(b).isAt(pathFactor).submit("code", app.code(), "remember", "yes").isAt("/")
		again(b).isAt("/")
		w.mustApp(t, dbtest.Realm, ada)
		again(b).isAt(pathFactor)
	})
}

// MF-03 at the page: wrong codes stop the second step, whatever factor they are
// tried on, and a right one beyond the limit does not open.
func TestWrongSecondFactorsStopAllOfThem(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		_, codes, err := w.Factors.NewRecovery(context.Background(), audittest.By, dbtest.Realm, ada.ID)
		must(t, err)
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor)
		flow := b.at.Query().Get("flow")
		for i := range 10 {
			if i%2 == 0 {
				b.get("/signin/factor?flow="+flow).submit("code", "000000").shows(422)
			} else {
				b.get("/signin/factor?by=recovery&flow="+flow).submit("code", fmt.Sprintf("0000-0000-0000-000%d", i)).shows(422)
			}
		}
		b.get("/signin/factor?flow="+flow).submit("code", app.code()).shows(429, "Too many attempts")
		b.get("/signin/factor?by=recovery&flow="+flow).submit("code", string(codes[0])).shows(429)
		other := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor).submit("code", app.code()).shows(429)
		if len(b.sessions())+len(other.sessions()) != 0 {
			t.Error("signed in past the limit")
		}
		w.Clock.Advance(16 * time.Minute)
		other.signIn("ada").submit("code", app.code()).isAt("/")
	})
}

func TestRecoveryCodesLetInOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.mustApp(t, dbtest.Realm, ada)
		_, codes, err := w.Factors.NewRecovery(context.Background(), audittest.By, dbtest.Realm, ada.ID)
		must(t, err)
		byCode := func() *browser {
			b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor).shows(200, "Other ways", "Recovery code")
			return b.get("/signin/factor?by=recovery&flow="+b.at.Query().Get("flow")).submit("code", strings.ToUpper(string(codes[0])))
		}
		byCode().isAt("/")
		byCode().isAt(pathFactor).shows(422)
	})
}

// The one time at which the codes are told is the answer to the form.
func TestRecoveryCodesAreShownOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		b := w.browser(t, dbtest.Realm).signIn("ada")
		w.toPhotoBook(noConsent, func(f *Flow) { f.Enrol = "recovery" })
		b.get("/go").isAt(pathEnrol)
		form := fields(b)
		b.submit("do", "add").shows(200, "Your recovery codes")
		if n := strings.Count(b.body, `<li class="code">`); n != 10 {
			t.Errorf("%d codes", n)
		}
		if b.header.Get("Cache-Control") != "no-store" {
			t.Errorf("Cache-Control %q", b.header.Get("Cache-Control"))
		}
		b.send("POST", b.base+pathEnrol, form)
		b.isAt("/back") // the step is over
	})
}

// A second tab was faster: what it made of the flow stands, and nobody is in
// twice.
func TestTwoTabsBeginOneSession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor)
		form := fields(b)
		b.submit("code", app.code()).isAt("/")
		w.Clock.Advance(time.Minute)
		form.Set("code", app.code())
		b.send("POST", b.base+pathFactor, form)
		b.shows(404)
		all, _, err := w.Sessions.List(context.Background(), dbtest.Realm, sessionsOf(ada.ID), "", 10)
		must(t, err)
		if len(all) != 1 {
			t.Errorf("%d sessions", len(all))
		}
	})
}

// The operator's removal of a factor is at once everywhere.
func TestARemovedFactorProvesNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor)
		all, err := w.cores.Credentials.List(context.Background(), dbtest.Realm, ada.ID)
		must(t, err)
		for _, c := range all {
			if c.Type == credential.TOTP {
				must(t, w.Grants.RevokeCredential(context.Background(), audittest.By, dbtest.Realm, c.ID, "test", nil))
			}
		}
		b.submit("code", app.code()).isAt("/") // the password is all there is now
		if got := b.sessions()[0]; got.ACR != token.AAL1 || strings.Contains(strings.Join(got.AMR, " "), "otp") {
			t.Errorf("acr %q, amr %q", got.ACR, got.AMR)
		}
	})
}

func sessionsOf(who string) session.Filter { return session.Filter{Principal: who} }

func TestFormsOfOneFactorAreNotAnothers(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		_, _, err := w.Factors.NewRecovery(context.Background(), audittest.By, dbtest.Realm, ada.ID)
		must(t, err)
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor)
		form := fields(b)
		form.Set("by", "recovery")
		form.Set("code", app.code())
		b.send("POST", b.base+pathFactor, form)
		b.shows(http.StatusForbidden)
	})
}
