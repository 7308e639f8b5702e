package signin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

func TestSignInBeginsASession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		for _, identifier := range []string{"ada", "ADA@example.com"} {
			b := w.browser(t, dbtest.Realm)
			b.get("/").shows(200, "Welcome to Test")
			b.signIn(identifier).isAt("/").shows(200, "You are signed in", "Ada Lovelace", "ada@example.com")
			all := b.sessions()
			if len(all) != 1 || all[0].ACR != token.AAL1 || len(all[0].AMR) != 1 || all[0].AMR[0] != "pwd" {
				t.Fatalf("%s: sessions %+v", identifier, all)
			}
			if b.cookie("__Host-cardea.browser-test") == "" {
				t.Errorf("%s: the browser was not marked", identifier)
			}
		}
		for _, action := range w.Events(t, dbtest.Neighbour) {
			if strings.HasPrefix(action, "session.") {
				t.Errorf("the neighbour has %s", action)
			}
		}
	})
}

// SE-02. Remove Renew from prove to see this fail.
func TestSigningInAgainMakesANewSecret(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "")
		b := w.browser(t, dbtest.Realm)
		first := b.signIn("ada").cookie("__Host-cardea-test")
		second := b.signIn("ada").cookie("__Host-cardea-test")
		if first == second || strings.Contains(second, first) {
			t.Errorf("first %q, second %q", first, second)
		}
		b.setCookie("__Host-cardea-test", first)
		b.get("/").shows(200, "Welcome to Test")
	})
}

// SE-01, SE-11: what the browser brings is adopted only if we gave it out.
func TestForeignAndMalformedCookiesSignNobodyIn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "")
		b := w.browser(t, dbtest.Realm)
		mine := b.signIn("ada").cookie("__Host-cardea-test")
		for name, value := range map[string]string{
			"made up": "cds_" + strings.Repeat("a", 50), "cut": mine[:len(mine)-1], "longer": mine + "x", "dots": "....", "long": strings.Repeat("x", 3000),
			"rubbish": "null",
		} {
			other := w.browser(t, dbtest.Realm)
			other.setCookie("__Host-cardea-test", value)
			other.get("/").shows(200, "Welcome to Test")
			if got := other.signIn("ada").cookie("__Host-cardea-test"); strings.Contains(got, value) {
				t.Errorf("%s: adopted", name)
			}
		}
		neighbour := w.browser(t, dbtest.Neighbour)
		neighbour.setCookie("__Host-cardea-neighbour", mine)
		neighbour.get("/").shows(200, "Welcome to Neighbour")
	})
}

var varies = regexp.MustCompile(`name="form" value="[^"]*"|data-options="[^"]*"|value="(ada|nobody)"`)

// PW-09: the page for an unknown account is the page for a wrong password.
func TestUnknownAccountsLookLikeWrongPasswords(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		var bodies []string
		for _, who := range []string{"ada", "nobody"} {
			b := w.browser(t, dbtest.Realm)
			b.get("/signin").submit("identifier", who, "password", "not the password at all")
			b.shows(http.StatusUnprocessableEntity, "That username or password", `value="`+who+`"`, `aria-invalid="true"`, `role="alert"`)
			if len(b.sessions()) != 0 || b.header.Get("Set-Cookie") != "" {
				t.Errorf("%s: cookies %v", who, b.header["Set-Cookie"])
			}
			bodies = append(bodies, varies.ReplaceAllString(b.body, ""))
		}
		if bodies[0] != bodies[1] {
			t.Errorf("the pages differ:\n%s\n%s", bodies[0], bodies[1])
		}
	})
}

// MF-05, P-08: strangers' guesses run out, also for accounts that do not
// exist; the owner's own browser is not shut out by them.
func TestGuessesRunOutForStrangersOnly(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "")
		own := w.browser(t, dbtest.Realm)
		own.signIn("ada").get("/signout").submit("do", "here")
		for _, who := range []string{"ada", "nobody"} {
			b := w.browser(t, dbtest.Realm)
			for range 10 {
				b.get("/signin").submit("identifier", who, "password", "a wrong one, once more").shows(http.StatusUnprocessableEntity)
			}
			b.get("/signin").submit("identifier", who, "password", password).shows(http.StatusTooManyRequests, "Too many attempts. Wait 15 minutes")
			if b.header.Get("Retry-After") != "900" {
				t.Errorf("%s: Retry-After %q", who, b.header.Get("Retry-After"))
			}
		}
		own.signIn("ada").isAt("/").shows(200, "You are signed in")
		w.Clock.Advance(15*time.Minute + time.Second)
		w.browser(t, dbtest.Realm).signIn("ada").isAt("/").shows(200, "You are signed in")
	})
}

func TestTooLongPasswordsAreRefusedBeforeHashing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := w.browser(t, dbtest.Realm)
		b.get("/signin").submit("identifier", "ada", "password", strings.Repeat("x", 129)).shows(400, "longer than 128 characters")
		b.get("/signin").submit("identifier", "ada", "password", strings.Repeat("x", 70<<10)).shows(http.StatusRequestEntityTooLarge)
	})
}

// WB-03: a form counts only with the token of this browser, this realm and this
// purpose, and only when it comes from our own pages.
func TestFormsOfOthersAreRefused(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "")
		stolen := w.browser(t, dbtest.Realm).get("/signin").body
		token := regexp.MustCompile(`name="form" value="([^"]*)"`).FindStringSubmatch(stolen)[1]
		b := w.browser(t, dbtest.Realm).get("/signin")
		for _, form := range []string{"", token, "x"} {
			b.send("POST", b.base+"/signin", url.Values{"form": {form}, "identifier": {"ada"}, "password": {password}})
			b.shows(http.StatusForbidden, "open for too long")
		}
		// Whoever keeps no cookies would read for ever that the page is too old.
		forgetful := w.browser(t, dbtest.Realm)
		forgetful.send("POST", b.base+"/signin", url.Values{"form": {token}, "identifier": {"ada"}, "password": {password}})
		forgetful.shows(http.StatusForbidden, "Allow cookies")
		own := regexp.MustCompile(`name="form" value="([^"]*)"`).FindStringSubmatch(b.get("/signin").body)[1]
		b.send("POST", strings.Replace(b.base, "/test", "/neighbour", 1)+"/signin", url.Values{"form": {own}, "identifier": {"ada"}, "password": {password}})
		b.shows(http.StatusForbidden)
		if len(b.get("/signin").sessions()) != 0 {
			t.Error("signed in")
		}
		for _, site := range []string{"cross-site", "same-site"} {
			r := httptest.NewRequest("POST", b.base+"/signin", strings.NewReader(url.Values{"form": {own}, "identifier": {"ada"}, "password": {password}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", site)
			r.Header.Set("Cookie", "__Host-cardea.flow="+b.cookie("__Host-cardea.flow"))
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r)
			if rec.Code != http.StatusForbidden {
				t.Errorf("%s: %d", site, rec.Code)
			}
		}
	})
}

func TestCompromisedPasswordOpensOnlyItsReplacement(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		p := w.mustPerson(t, dbtest.Realm, "ada", "")
		elsewhere := w.browser(t, dbtest.Realm).signIn("ada")
		must(t, w.Passwords.Compromised(context.Background(), audittest.By, dbtest.Realm, p.ID))
		b := w.browser(t, dbtest.Realm)
		w.flow = Flow{Return: "/back", Request: "x"}
		b.get("/go").submit("identifier", "ada", "password", password).shows(200, "Choose a new password")
		if len(b.sessions()) != 0 {
			t.Fatal("signed in with the compromised password")
		}
		b.submit("password", password, "new", "short").shows(http.StatusUnprocessableEntity, "Use at least 15 characters", `id="wrong-new"`)
		b.submit("password", "not the old one at all", "new", "another long enough secret").shows(http.StatusUnprocessableEntity, "That username or password")
		b.submit("password", password, "new", "another long enough secret").isAt("/back").shows(200)
		if len(b.sessions()) != 1 {
			t.Error("not signed in with the new password")
		}
		elsewhere.get("/").shows(200, "Welcome to Test")
	})
}

// The page replaces passwords that became known, and no others: whoever got it for
// an account of their own cannot take over one of which they know the password.
// Remove the look at MustChange from renewPassword to see it fail.
func TestOnlyCompromisedPasswordsAreRenewed(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		eve := w.mustPerson(t, dbtest.Realm, "eve", "")
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		must(t, w.Passwords.Compromised(context.Background(), audittest.By, dbtest.Realm, eve.ID))
		ada := w.browser(t, dbtest.Realm).signIn("ada")
		b := w.browser(t, dbtest.Realm).signIn("eve").shows(200, "Choose a new password")
		b.submit("identifier", "ada", "password", password, "new", "another long enough secret").shows(200, "Sign in", `value="ada"`)
		if len(b.sessions()) != 0 {
			t.Error("signed in by the page for new passwords")
		}
		ada.get("/").shows(200, "You are signed in")
		w.browser(t, dbtest.Realm).signIn("ada").isAt("/").shows(200, "You are signed in")
	})
}

// Whoever has a second factor proves it before a password that others know is
// replaced: the thief, who knows it, locks nobody out. The proof counts for the
// sign-in that follows. Leave the look at the step out of renewPassword to see it
// fail.
func TestTheFactorComesBeforeTheNewPassword(t *testing.T) {
	const next = "another long enough secret"
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		eve := w.mustPerson(t, dbtest.Realm, "eve", "Eve")
		app := w.mustApp(t, dbtest.Realm, ada)
		w.set(t, "remember_device", "720h")
		known := w.browser(t, dbtest.Realm).signIn("ada").submit("code", app.code(), "remember", "yes").isAt("/")
		must(t, w.Risk.Disown(context.Background(), audittest.By, dbtest.Realm, ada.ID, nil))
		must(t, w.Passwords.Compromised(context.Background(), audittest.By, dbtest.Realm, eve.ID))

		// The thief goes to the factor, and by no page to a new password: not by one
		// that was shown for another account either.
		thief := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor)
		thief.get("/signin/renew?" + thief.at.RawQuery).isAt(pathFactor)
		thief.signIn("eve").shows(200, "Choose a new password").submit("identifier", "ada", "password", password, "new", next).isAt(pathFactor)
		if w.opens(t, ada, next) || len(thief.sessions()) != 0 {
			t.Fatal("the password was replaced by whoever knew it")
		}

		// Nor does a browser that was remembered spare anybody.
		known.signIn("ada").isAt(pathFactor)
		w.Clock.Advance(time.Minute)
		known.submit("code", app.code()).isAt("/signin/renew").shows(200, "Choose a new password")
		if w.opens(t, ada, next) || len(known.sessions()) != 0 {
			t.Fatal("signed in with the old password")
		}
		known.submit("password", "not the old one at all", "new", next).shows(http.StatusUnprocessableEntity, "That username or password")
		known.submit("password", password, "new", next).isAt("/")
		if all := known.sessions(); len(all) != 1 || all[0].ACR != token.AAL2 || !w.opens(t, ada, next) {
			t.Errorf("signed in with %+v", all)
		}
		if thief.get("/signin/renew?" + thief.at.RawQuery); len(thief.sessions()) != 0 {
			t.Error("the thief is signed in")
		}
	})
}

// What was proved before an alarm replaces no password after it. Have rests look at
// no era to see it fail.
func TestAnAlarmStopsARenewal(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		app := w.mustApp(t, dbtest.Realm, ada)
		must(t, w.Passwords.Compromised(context.Background(), audittest.By, dbtest.Realm, ada.ID))
		b := w.browser(t, dbtest.Realm).signIn("ada").submit("code", app.code()).isAt("/signin/renew")
		must(t, w.Risk.Disown(context.Background(), audittest.By, dbtest.Realm, ada.ID, nil))
		b.submit("password", password, "new", "another long enough secret").isAt(pathFactor)
		if w.opens(t, ada, "another long enough secret") {
			t.Error("replaced by a proof of before the alarm")
		}
	})
}

func TestEveryPageSpeaksBothLanguages(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		p := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.setup.open = "x"
		link, _, err := w.desk.PasswordLink(context.Background(), audittest.By, dbtest.Realm, p.ID)
		must(t, err)
		w.flow = Flow{Return: "/back", Client: w.app.ID, RedirectURI: "https://app.example.com/cb", Consent: []string{"openid", "print"}}
		for language, words := range map[string][]string{
			"en": {"Welcome to Test", "Sign in", "Create the first administrator", "Choose your password", "There is nothing here", "wants to access your account",
				"You are signed in", "Choose an account", "Sign out?", "You are signed out"},
			"de": {"Willkommen bei Test", "Anmelden", "Erste Verwalterin", "Passwort wählen", "Hier ist nichts", "möchte auf Ihr Konto zugreifen",
				"Sie sind angemeldet", "Konto wählen", "Abmelden?", "Sie sind abgemeldet"},
		} {
			b := w.browser(t, dbtest.Realm)
			b.language = language + "-XX, fr;q=0.5"
			pages := []func(){
				func() { b.get("/") }, func() { b.get("/signin") }, func() { b.get("/setup?link=x") }, func() { b.get("/set-password?link=" + string(link)) },
				func() { b.get("/nowhere") }, func() { b.get("/go").submit("identifier", "ada", "password", password) },
				func() { b.get("/") }, func() { b.get("/accounts") }, func() { b.get("/signout") }, func() { b.submit("do", "here") },
			}
			for i, open := range pages {
				open()
				if !strings.Contains(b.body, words[i]) || !strings.Contains(b.body, `<html lang="`+language+`">`) {
					t.Errorf("%s: %q is missing at %s:\n%s", language, words[i], b.at, b.body)
				}
				if strings.Contains(b.body, "style=") || strings.Contains(b.body, "<style") || regexp.MustCompile(`<script>|\son[a-z]+=`).MatchString(b.body) {
					t.Errorf("%s: something inline", b.at)
				}
				if csp := b.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
					t.Errorf("%s: CSP %q", b.at, csp)
				}
				if b.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: Cache-Control %q", b.at, b.header.Get("Cache-Control"))
				}
			}
		}
	})
}

func TestLanguageCanBeChosen(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := w.browser(t, dbtest.Realm)
		b.get("/signin").shows(200, "/realms/test/signin?lang=de", `aria-current="true">English`)
		b.get("/signin?lang=de").shows(200, "Anmelden")
		b.get("/").shows(200, "Willkommen")
		w.flow = Flow{Return: "/back", UILocales: "fr en"}
		b.get("/go").shows(200, "Sign in") // what the application asks for weighs more
		b.get("/?lang=xx").shows(200, "Willkommen")
	})
}

func TestErrorPages(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := w.browser(t, dbtest.Realm)
		b.get("/nowhere").shows(404, "There is nothing here", "not_found")
		b.get("/signin?flow=nonsense").shows(404, "no longer open", "flow_unknown")
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, httptest.NewRequest("GET", b.base+"/nowhere", nil))
		if rec.Code != 404 || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("without a browser: %d %s", rec.Code, rec.Header().Get("Content-Type"))
		}
		r := httptest.NewRequest("GET", "/", nil)
		rec = httptest.NewRecorder()
		w.Error(rec, r, 400, "redirect_uri_unknown", `the URI <script>alert(1)</script>`)
		if !strings.Contains(rec.Body.String(), "We stopped this for your safety") || strings.Contains(rec.Body.String(), "<script>alert") || rec.Code != 400 {
			t.Errorf("got %d %s", rec.Code, rec.Body)
		}
		if csp := rec.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("CSP %q", csp)
		}
	})
}

func TestFormPostCarriesTheAnswer(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := w.browser(t, dbtest.Realm)
		b.get("/post?to="+url.QueryEscape("https://app.example.com/cb?a=1&b=2")).shows(200, `action="https://app.example.com/cb?a=1&amp;b=2" data-handover`,
			`name="code" value="c"`, `value="&#34;&gt;&lt;script&gt;"`, "<strong>app.example.com</strong>")
		if csp := b.header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self' https://app.example.com") {
			t.Errorf("CSP %q", csp)
		}
		for _, bad := range []string{"javascript:alert(1)", "data:text/html,x", "com.example.app:/cb"} {
			b.get("/post?to="+url.QueryEscape(bad)).shows(400, "can’t be answered")
		}
	})
}

// WB-01, AZ-08: a form of ours never redirects to a web address of somebody
// else, where the browser would hold whatever follows to our form-action.
func TestFormsEndAtAPageThatLeadsOn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := w.browser(t, dbtest.Realm)
		for _, to := range []string{
			"https://app.example.com/cb?a=1&code=c&state=%22%3E%3Cscript%3E%27%3B+url%3D&iss=https%3A%2F%2Fid.example.com",
			"https://app.example.com/cb#code=c&state=%23", "http://[::1]:9/cb?code=c", "https://app.example.com/a;b,c=d~e/cb(1)?x='&code=c",
		} {
			b.get("/on?to="+url.QueryEscape(to)).shows(200, "You are being sent to", `<a class="button" href="http`)
			if b.outside != to || b.header.Get("Location") != "" {
				t.Errorf("led to %q and %q, want %q", b.outside, b.header.Get("Location"), to)
			}
			if strings.Contains(b.body, "/realms/test/on?") {
				t.Errorf("the page, which is there but once, offers itself in another language: %s", b.body)
			}
			for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
				if got := b.header.Get(name); got != want {
					t.Errorf("%s: %q", name, got)
				}
			}
			if csp := b.header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self'") {
				t.Errorf("CSP %q", csp)
			}
		}
		b.get("/on?languages=de&to="+url.QueryEscape("https://app.example.com/cb")).shows(200, "Sie werden weitergeleitet zu")

		// What a program on this device gets leads no further, and systems open
		// the program only if the person pressed something.
		b.get("/on?to=" + url.QueryEscape("com.example.app:/cb?code=c"))
		if b.outside != "com.example.app:/cb?code=c" || b.header.Get("Location") != b.outside {
			t.Errorf("led to %q", b.outside)
		}
		w.toPhotoBook(func(f *Flow) { f.RedirectURI = "com.example.app:/cb" })
		if csp := b.get("/go").header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self' com.example.app:") {
			t.Errorf("CSP %q", csp)
		}
	})
}

func TestRoutesAreLimitedAndNeedALease(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		mux := web.NewMux(web.MuxOptions{})
		w.Mount(mux)
		for _, route := range mux.Routes() {
			if !route.Page || route.LeaseOff || route.CORS != nil || route.Rate == "" {
				t.Errorf("%+v", route)
			}
		}
	})
}

// However a realm is named, its sessions do not get in the way of anything else
// that a browser keeps. Give one of the other cookies the name __Host-cardea-flow,
// -language, -browser-test or -state-test to see it fail.
func TestCookiesOfRealmsAreTheirOwn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		names := []string{dbtest.Realm, "flow", "language", "browser-" + dbtest.Realm, "browser", "state-" + dbtest.Realm}
		for _, name := range names {
			if name != dbtest.Realm {
				_, err := w.realms.Create(context.Background(), audit.System, realm.New{Name: name})
				must(t, err)
			}
			w.mustPerson(t, name, "ada", "Ada of "+name)
		}
		b := w.browser(t, dbtest.Realm)
		in := func(name string) *browser { b.base = "https://id.example.com/realms/" + name; return b }
		for range 2 {
			for _, name := range names {
				in(name).get("/?lang=de")
				b.signIn("ada").isAt("/")
			}
		}
		for _, name := range names {
			in(name).get("/").shows(200, "Ada of "+name, `lang="de"`)
			if len(b.sessions()) != 1 {
				t.Errorf("%s: %d sessions", name, len(b.sessions()))
			}
		}
	})
}

// A page about a strange address leads nowhere but here.
func TestErrorPagesLinkToNoOtherSite(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for _, path := range []string{"//evil.example/", "//evil.example//x", "/%5cevil.example/", "/\\evil.example/", "/x%2f%2fevil.example/..", "/realms/test//evil.example", "/a%3Fb"} {
			r := httptest.NewRequest("GET", "https://id.example.com/", nil)
			u, err := url.ParseRequestURI(path)
			must(t, err)
			r.URL = u
			r.Header.Set("Accept", "text/html")
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r)
			if rec.Code != 404 || !strings.Contains(rec.Body.String(), "lang=de") {
				t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
			}
			for _, m := range regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(rec.Body.String(), -1) {
				to, err := r.URL.Parse(unescaper.Replace(m[1]))
				if err != nil || to.Host != "" || strings.Contains(m[1], "\\") {
					t.Errorf("%s links to %s", path, m[1])
				}
			}
		}
	})
}
