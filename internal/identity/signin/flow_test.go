package signin

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/web"
)

// toPhotoBook is a flow to an application that wants consent.
func (w *world) toPhotoBook(change ...func(*Flow)) {
	w.flow = Flow{Return: "/back", Request: "a=b", Client: w.app.ID, RedirectURI: "https://app.example.com/cb", Consent: []string{"openid", "profile", "print"}}
	for _, f := range change {
		f(&w.flow)
	}
}

func noConsent(f *Flow) { f.Consent = nil }

func TestFlowFromSignInToConsentAndBack(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		w.toPhotoBook(func(f *Flow) { f.LoginHint = `ada"><script>` })
		b := w.browser(t, dbtest.Realm).get("/go").isAt("/signin")
		b.shows(200, "to continue to <strong>Photo &lt;Book&gt;</strong>", `value="ada&#34;&gt;&lt;script&gt;"`)
		if csp := b.header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self'") {
			t.Errorf("CSP %q", csp)
		}
		b.submit("identifier", "ada", "password", password).isAt("/consent")
		b.shows(200, "Photo &lt;Book&gt; wants to access your account", "Ada Lovelace", "<strong>app.example.com</strong>",
			"Test has not verified this application", "See your profile", "Use the permission “print”", `href="https://app.example.com/privacy"`, "Allow", "Cancel")
		b.submit("do", "allow").isAt("/back").shows(200, "back at the application")
		o := w.outcome
		if o.Session == nil || o.Session.Principal != ada.ID || !o.Reauthenticated || !o.Selected || !o.Consented || o.Denied || strings.Join(o.Scopes, " ") != "openid profile print" {
			t.Errorf("outcome %+v", o)
		}
		if w.request.Request != "a=b" || w.request.Client != w.app.ID || o.Started.IsZero() {
			t.Errorf("handed back %+v", w.request)
		}
	})
}

func TestFlowWithASessionAsksOnlyForWhatIsMissing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "")
		b := w.browser(t, dbtest.Realm).signIn("ada")
		w.toPhotoBook()
		b.get("/go").isAt("/consent")
		w.toPhotoBook(noConsent)
		b.get("/go").isAt("/back").shows(200)
		if o := w.outcome; o.Session == nil || o.Reauthenticated || o.Selected || o.Consented {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestDenying(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "")
		w.toPhotoBook()
		b := w.browser(t, dbtest.Realm).get("/go").submit("do", "cancel").isAt("/back")
		if o := w.outcome; !o.Denied || o.Session != nil || o.Consented {
			t.Errorf("cancelled at sign-in: %+v", o)
		}
		for _, answer := range []string{"deny", "", "Allow", "allow "} {
			b.get("/go")
			if strings.HasSuffix(b.at.Path, "/signin") {
				b.submit("identifier", "ada", "password", password)
			}
			b.isAt("/consent")
			form := fields(b)
			form.Set("do", answer)
			b.send("POST", b.base+"/consent", form)
			b.isAt("/back")
			if o := w.outcome; !o.Denied || o.Consented || o.Scopes != nil {
				t.Errorf("%q: %+v", answer, o)
			}
		}
	})
}

// fields are the values of the page's first form.
func fields(b *browser) url.Values {
	values := url.Values{}
	for _, in := range inputTag.FindAllString(formTag.FindStringSubmatch(b.body)[2], -1) {
		if n, v := nameAttr.FindStringSubmatch(in), valAttr.FindStringSubmatch(in); n != nil && v != nil {
			values.Set(n[1], unescaper.Replace(v[1]))
		}
	}
	return values
}

// SE-03. Remove Binding from use to see this fail.
func TestFlowBelongsToTheBrowserInWhichItBegan(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "eve", "")
		w.mustPerson(t, dbtest.Realm, "ada", "")
		w.toPhotoBook(noConsent)
		eve := w.browser(t, dbtest.Realm).get("/go").isAt("/signin")
		ada := w.browser(t, dbtest.Realm).signIn("ada")
		for _, path := range []string{"/signin", "/accounts", "/consent", "/back"} {
			ada.get(path+"?"+eve.at.RawQuery).shows(404, "no longer open")
		}
		form := fields(eve)
		form.Set("identifier", "ada")
		form.Set("password", password)
		victim := w.browser(t, dbtest.Realm).get("/signin")
		victim.send("POST", victim.base+"/signin", form)
		if len(victim.sessions()) != 0 {
			t.Error("the victim's browser signed in on Eve's flow")
		}
	})
}

// MF-07: no step can be left out, repeated or done out of turn.
func TestStepsCannotBeSkipped(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "")
		w.toPhotoBook()
		b := w.browser(t, dbtest.Realm).get("/go").isAt("/signin")
		flow := b.at.RawQuery
		token := fields(b).Get("form")
		b.get("/back?" + flow).shows(404)
		b.get("/consent?" + flow).isAt("/signin")
		b.send("POST", b.base+"/consent", url.Values{"flow": {b.at.Query().Get("flow")}, "form": {token}, "do": {"allow"}})
		b.isAt("/signin")
		b.send("POST", b.base+"/accounts", url.Values{"flow": {b.at.Query().Get("flow")}, "form": {token}, "account": {"ses_x"}})
		b.get("/back?" + flow).shows(404)
		b.get("/signin?"+flow).submit("identifier", "ada", "password", password).isAt("/consent")
		b.get("/back?" + flow).shows(404)
		b.get("/signin?" + flow).isAt("/consent")
		b.send("POST", b.base+"/consent", url.Values{"flow": {b.at.Query().Get("flow")}, "form": {token}, "do": {"allow"}})
		b.shows(403)
		b.get("/back?" + flow).shows(404)
		b.get("/consent?"+flow).submit("do", "allow").isAt("/back").shows(200)
		b.get("/back?" + flow).shows(404) // once
		b.get("/consent?" + flow).shows(404)
	})
}

func TestFlowExpires(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "")
		w.toPhotoBook(noConsent)
		b := w.browser(t, dbtest.Realm).get("/go").isAt("/signin")
		flow := b.at.RawQuery
		w.Clock.Advance(flowLife)
		b.get("/signin?"+flow).shows(404, "no longer open")
	})
}

// Remove the case of Reauth from step to see this fail.
func TestReauthenticationNeedsAProofWithinTheFlow(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		b := w.browser(t, dbtest.Realm).signIn("ada")
		before := b.sessions()[0]
		w.Clock.Advance(time.Minute)
		w.toPhotoBook(noConsent, func(f *Flow) { f.Reauth = true })
		b.get("/go").isAt("/signin").shows(200, "Confirm it’s you", "Ada Lovelace", "Not you?")
		flow := b.at.RawQuery
		b.get("/back?" + flow).shows(404)
		b.get("/accounts?"+flow).submit("account", before.ID, "do", "choose").isAt("/signin")
		b.submit("password", password).isAt("/back")
		o := w.outcome
		if !o.Reauthenticated || o.Session.ID != before.ID || !o.Session.AuthTime.After(before.AuthTime) {
			t.Errorf("outcome %+v, session %+v before %+v", o, o.Session, before)
		}
		// A second flow does not live on the proof of the first.
		b.get("/go").isAt("/signin")
	})
}

func TestSelectShowsTheAccounts(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.mustPerson(t, dbtest.Realm, "grace", "Grace")
		b := w.browser(t, dbtest.Realm).signIn("ada").signIn("grace")
		w.toPhotoBook(noConsent, func(f *Flow) { f.Select = true })
		b.get("/go").isAt("/accounts").shows(200, "Ada", "Grace", "Use another account")
		b.get("/back?" + b.at.RawQuery).shows(404)
		b.get("/go").submit("account", b.sessions()[1].ID, "do", "choose").isAt("/back")
		if o := w.outcome; !o.Selected || o.Reauthenticated || o.Session.Principal != ada.ID {
			t.Errorf("outcome %+v", o)
		}
		if b.sessions()[0].Principal != ada.ID {
			t.Error("the chosen account did not become the current one")
		}
		b.get("/go").submit("do", "cancel").isAt("/back")
		if !w.outcome.Denied {
			t.Errorf("cancelled: %+v", w.outcome)
		}
		nobody := w.browser(t, dbtest.Realm).get("/go").isAt("/signin")
		nobody.submit("identifier", "grace", "password", password).isAt("/back")
		if !w.outcome.Selected {
			t.Error("signing in is choosing")
		}
	})
}

func TestOnlyTheSubjectWillDo(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.mustPerson(t, dbtest.Realm, "grace", "Grace")
		b := w.browser(t, dbtest.Realm).signIn("grace")
		w.toPhotoBook(noConsent, func(f *Flow) { f.Subject = ada.ID })
		b.get("/go").isAt("/signin").submit("identifier", "grace", "password", password).isAt("/signin")
		b.submit("identifier", "ada", "password", password).isAt("/back")
		if w.outcome.Session.Principal != ada.ID {
			t.Errorf("outcome %+v", w.outcome)
		}
		b.signIn("grace").get("/go").isAt("/back")
		if w.outcome.Session.Principal != ada.ID {
			t.Error("the account that was meant is there, and another one was taken")
		}
	})
}

// The page named Ada. Another tab made Grace the current account before the
// button was pressed.
func TestConsentIsTheShownAccounts(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.mustPerson(t, dbtest.Realm, "grace", "Grace")
		b := w.browser(t, dbtest.Realm).signIn("grace").signIn("ada")
		w.toPhotoBook()
		b.get("/go").isAt("/consent").shows(200, "Ada")
		page := *b
		b.get("/accounts").submit("account", b.sessions()[1].ID, "do", "choose")
		page.submit("do", "allow").shows(403, "open for too long")
		b.get("/go").isAt("/consent").shows(200, "Grace")
		flow := b.at.RawQuery
		b.get("/accounts?"+flow).submit("account", b.sessions()[1].ID, "do", "choose").isAt("/consent").shows(200, "Ada").submit("do", "allow").isAt("/back")
		if w.outcome.Session.Principal != ada.ID {
			t.Errorf("outcome %+v", w.outcome)
		}
	})
}

// The program that comes with the server is ours, and yet it could be any on the
// device that asks.
func TestConsentSaysWhatToBeCarefulAbout(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		must(t, w.Env.DB.Update(context.Background(), dbtest.Realm, func(tx *db.Tx) error { return w.cores.Clients.BuiltIns(tx, audittest.By) }))
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		b := w.browser(t, dbtest.Realm).signIn("ada")
		w.toPhotoBook()
		b.get("/go").isAt("/consent").shows(200, "has not verified this application")
		w.toPhotoBook(func(f *Flow) { f.Client, f.Consent = client.CLI, []string{"openid", "cardea:admin"} })
		b.get("/go").isAt("/consent").shows(200, "just started it yourself", "Administer on your behalf")
		if strings.Contains(b.body, "not verified") {
			t.Error("the server does not know its own program")
		}
	})
}

// Ada agreed, and before her browser went on, somebody else took over the flow.
// Have agreed report whether f.Agreed is anything to see it fail.
func TestConsentIsNobodyElses(t *testing.T) {
	for name, takeOver := range map[string]func(b *browser, flow string){
		"another account is chosen": func(b *browser, flow string) {
			b.get("/accounts?"+flow).submit("account", b.sessions()[1].ID, "do", "choose")
		},
		"another account is signed in": func(b *browser, flow string) {
			b.get("/signin?other=1&"+flow).submit("identifier", "alan", "password", password)
		},
		"her session ends": func(b *browser, flow string) {
			must(b.t, b.w.Grants.EndSession(context.Background(), audittest.By, dbtest.Realm, b.sessions()[0].ID, "test"))
			b.get("/signin?"+flow).submit("identifier", "alan", "password", password)
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				for _, who := range []string{"ada", "grace", "alan"} {
					w.mustPerson(t, dbtest.Realm, who, strings.ToUpper(who))
				}
				w.toPhotoBook()
				b := w.browser(t, dbtest.Realm).signIn("grace").signIn("ada").get("/go").isAt("/consent").shows(200, "ADA")
				flow := b.at.RawQuery
				b.stays = true
				b.submit("do", "allow").shows(303)
				b.stays = false
				takeOver(b, flow)
				b.isAt("/consent")
				if w.outcome != nil {
					t.Fatalf("somebody agreed without being asked: %+v", w.outcome)
				}
				b.submit("do", "allow").isAt("/back")
				if o := w.outcome; !o.Consented || o.Session.ID != b.sessions()[0].ID {
					t.Errorf("outcome %+v", o)
				}
			})
		})
	}
}

func TestDeadAccountsEndTheFlow(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "")
		w.toPhotoBook()
		b := w.browser(t, dbtest.Realm).get("/go").submit("identifier", "ada", "password", password).isAt("/consent")
		must(t, w.Grants.EndSession(context.Background(), audittest.By, dbtest.Realm, b.sessions()[0].ID, "test"))
		b.submit("do", "allow").isAt("/signin")
		if w.outcome != nil {
			t.Errorf("outcome %+v", w.outcome)
		}
	})
}

func TestFlowOfAnotherRealmIsUnknown(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.toPhotoBook(noConsent)
		b := w.browser(t, dbtest.Realm).get("/go").isAt("/signin")
		flow := b.at.RawQuery
		b.base = strings.Replace(b.base, "/test", "/neighbour", 1)
		b.get("/signin?" + flow).shows(404)
	})
}

func TestTooLongARequestIsRefused(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.toPhotoBook(func(f *Flow) { f.Request = strings.Repeat("x", maxFlow) })
		w.browser(t, dbtest.Realm).get("/go").shows(400, "more than we can keep")
	})
}

// Beginning a flow writes a row for anybody who asks.
func TestFlowsOfOneAddressAreLimited(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.toPhotoBook()
		w.Limiter = web.NewLimiter(map[string]web.Limit{RateFlow: {Rate: 1, Burst: 2}}, w.Clock.Now)
		b := w.browser(t, dbtest.Realm)
		b.get("/go").shows(200)
		b.get("/go").shows(200)
		b.get("/go").shows(429, "Slow down a little")
		w.Clock.Advance(time.Second)
		b.get("/go").shows(200)
	})
}
