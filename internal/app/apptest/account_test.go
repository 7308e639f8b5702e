package apptest

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// sends posts to a page of the account with the token that the page shows.
func (v *visitor) sends(t testing.TB, path string, form url.Values) call {
	t.Helper()
	form = clone(form)
	form.Set("form", v.formToken(t, path))
	return v.open("POST", path, form)
}

func clone(form url.Values) url.Values {
	copied := url.Values{}
	for name, values := range form {
		copied[name] = values
	}
	return copied
}

// session is the id of somebody's newest living session.
func (w *town) session(t testing.TB, person string) string {
	t.Helper()
	all, _, err := w.Sessions.List(context.Background(), realm.Default, session.Filter{Principal: person, Live: true}, "", 1)
	if err != nil || len(all) == 0 {
		t.Fatalf("%s has no session: %v", person, err)
	}
	return all[0].ID
}

func (c call) expect(t testing.TB, what string, status int, texts ...string) call {
	t.Helper()
	if c.Code != status {
		t.Errorf("%s: %d %s %s", what, c.Code, c.Header().Get("Location"), heading(c))
	}
	for _, text := range texts {
		if !strings.Contains(c.Body.String()+c.Header().Get("Location"), text) {
			t.Errorf("%s: %q is missing at %s %s", what, text, c.Header().Get("Location"), heading(c))
		}
	}
	return c
}

// heading is what a page says first.
func heading(c call) string {
	_, rest, _ := strings.Cut(c.Body.String(), "<main")
	return rest[:min(len(rest), 600)]
}

// SE-07: people see where they are signed in, and what they end is dead.
func TestPeopleEndTheirSessions(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		lost, here := w.visitor(), w.visitor()
		lost.mustSignIn(t, "ada@example.com")
		old := w.session(t, ada.ID)
		e.Clock.Advance(time.Minute)
		here.mustSignIn(t, "ada@example.com")
		here.open("GET", "/account/devices", nil).expect(t, "the list", 200, old, "This device")
		here.sends(t, "/account/devices", url.Values{"do": {"end"}, "session": {old}}).expect(t, "ending it", 303, "/account/devices?done=session")
		here.open("GET", "/account/devices?done=session", nil).expect(t, "the list after", 200, "That device is signed out")
		if c := here.open("GET", "/account/devices", nil); strings.Contains(c.Body.String(), old) {
			t.Error("the dead session is still listed")
		}
		if _, in := lost.signedIn(); in {
			t.Error("the lost browser is still signed in")
		}
		third := w.visitor()
		third.mustSignIn(t, "ada@example.com")
		here.sends(t, "/account/devices", url.Values{"do": {"others"}}).expect(t, "ending the others", 303, "done=others")
		if _, in := third.signedIn(); in {
			t.Error("another browser is still signed in")
		}
		if _, in := here.signedIn(); !in {
			t.Error("this browser is not signed in any more")
		}
		this := w.session(t, ada.ID)
		w.visitor().mustSignIn(t, "ada@example.com")
		here.sends(t, "/account/devices", url.Values{"do": {"end"}, "session": {this}}).expect(t, "ending this one", 303, "/signout")
	})
}

// People see what became of their account, and what looked wrong about it, in
// words.
func TestPeopleSeeWhatBecameOfTheirAccount(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w, ctx := settle(t, e), t.Context()
		ada := e.Person(t, realm.Default, "ada@example.com")
		by := audit.Actor{Kind: "person", ID: ada.ID, IP: "203.0.113.7"}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		made, err := e.Terms.Create(ctx, audit.System, realm.Default, terms.New{Document: "terms", Version: "1", Title: "Terms", Text: "Be kind."})
		must(err)
		must(e.Terms.Accept(ctx, by, realm.Default, []string{made.ID}))
		r, err := e.Realms.ByName(ctx, realm.Default)
		must(err)
		_, err = e.Desk.Leave(ctx, by, r, ada.ID)
		must(err)
		must(e.Desk.Stay(ctx, by, realm.Default, ada.ID))
		must(e.DB.Update(ctx, realm.Default, func(tx *db.Tx) error {
			before, err := principal.ReplaceEmailTx(tx, by, ada.ID, "other@example.com")
			if err != nil {
				return err
			}
			if err := principal.RestoreEmailsTx(tx, by, ada.ID, before); err != nil {
				return err
			}
			for _, f := range []risk.Finding{
				{Detector: risk.Counter, Reason: "risk.passkey_counter", Args: map[string]string{"old": "9", "new": "3"}},
				{Detector: risk.NewCountry, Reason: "risk.new_country", Args: map[string]string{"country": "FR"}},
				{Detector: risk.NewDevice, Reason: "risk.new_device", Args: map[string]string{"device": "curl"}},
				{Detector: risk.Suspended, Reason: "risk.suspended_right"},
			} {
				audit.Append(tx, audit.Actor{Kind: "anonymous", IP: "203.0.113.8"}, audit.Event{Action: "risk.signal", TargetType: "principal", Target: ada.ID,
					Data: map[string]any{"detector": f.Detector, "reason": f.Reason, "action": "inform", "args": f.Args}})
			}
			return nil
		}))
		v := w.visitor()
		v.mustSignIn(t, "ada@example.com")
		page := v.open("GET", "/account/activity", nil).expect(t, "the history", 200, "Terms accepted", "Asked for the account to be deleted", "Account kept",
			"Email address replaced", "Change of email address taken back", "the count went from 9 to 3", "203.0.113.8", "haven’t signed in from before: France").Body.String()
		for _, not := range []string{"on a device that", "suspended", "risk."} {
			if strings.Contains(page, not) {
				t.Errorf("the history says %q", not)
			}
		}
	})
}

// What a detector opened an incident for was not said by the account's owner, and
// what is about a network is not about who set it off. A sign-in that was refused does
// not tell of its device by itself.
func TestTheHistoryPutsNoWordsIntoAnybodysMouth(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		by := audit.Actor{Kind: "person", ID: ada.ID, IP: "203.0.113.8"}
		open := func(f risk.Finding) {
			t.Helper()
			err := e.DB.Update(t.Context(), realm.Default, func(tx *db.Tx) error {
				_, err := risk.Open(tx, by, risk.Report{Principal: ada.ID, Finding: f})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		signal := func(kind, target string, f risk.Finding, action string) {
			t.Helper()
			err := e.DB.Update(t.Context(), realm.Default, func(tx *db.Tx) error {
				audit.Append(tx, by, audit.Event{Action: "risk.signal", TargetType: kind, Target: target,
					Data: map[string]any{"detector": f.Detector, "reason": f.Reason, "action": action, "args": f.Args}})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		open(risk.Finding{Detector: risk.Travel, Reason: "risk.impossible_travel", Args: map[string]string{"from": "DE", "to": "AU", "km": "14000"}})
		open(risk.Finding{Detector: risk.NotMe, Reason: "risk.restored", Args: map[string]string{}})
		signal("network", "hash", risk.Finding{Detector: risk.Stuffing, Reason: "risk.stuffing", Args: map[string]string{"n": "20"}}, "slow")
		signal("principal", ada.ID, risk.Finding{Detector: risk.NewDevice, Reason: "risk.new_device", Args: map[string]string{"device": "curl"}}, "slow")
		v := w.visitor()
		v.mustSignIn(t, "ada@example.com")
		page := v.open("GET", "/account/activity", nil).expect(t, "the history", 200).Body.String()
		for _, not := range []string{"You said that something wasn", "A network tried passwords", "on a device that"} {
			if strings.Contains(page, not) {
				t.Errorf("the history says %q", not)
			}
		}
		open(risk.NotMine()) // which goes on with the open one
		signal("principal", ada.ID, risk.Finding{Detector: risk.NewDevice, Reason: "risk.new_device", Args: map[string]string{"device": "wget"}}, "lock")
		v.open("GET", "/account/activity", nil).expect(t, "the history", 200, "You said that something wasn", "on a device that", "wget")
	})
}

// Who asks for a link without being signed in is told by where they were, as who
// fails to sign in is; an operator is not.
func TestPeopleSeeWhereLinksWereAskedFor(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		for _, by := range []audit.Actor{{Kind: "anonymous", IP: "203.0.113.7"}, {Kind: "person", ID: "usr_operator", IP: "203.0.113.8"}, {Kind: "system", IP: "203.0.113.9"}} {
			err := e.DB.Update(t.Context(), realm.Default, func(tx *db.Tx) error {
				audit.Append(tx, by, audit.Event{Action: "principal.password_link", TargetType: "person", Target: ada.ID})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		v := w.visitor()
		v.mustSignIn(t, "ada@example.com")
		page := v.open("GET", "/account/activity", nil).expect(t, "the history", 200, "203.0.113.7", "By an administrator", "By the system").Body.String()
		if strings.Contains(page, "203.0.113.8") || strings.Contains(page, "203.0.113.9") {
			t.Error("the history tells where an operator or the server was")
		}
	})
}

// People see who tried to be them in vain, each try on one page only, and it
// goes with them. Names that are nobody's leave nothing behind. Leave Tell out of
// the trace to see it fail.
func TestPeopleSeeFailedAttempts(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		stranger, here := w.visitor(), w.visitor()
		fail := func(who string) {
			t.Helper()
			if c := stranger.signIn(stranger.formToken(t, "/signin"), who, "not the password of anybody"); c.Code == http.StatusSeeOther {
				t.Fatal("a wrong password opens")
			}
		}
		rows := func() (n int64) { // that tell something; one that does not says that somebody was deleted
			t.Helper()
			err := e.DB.View(t.Context(), realm.Default, func(tx *db.Tx) (err error) {
				n, err = db.One(tx, db.Scalar[int64], `SELECT COUNT(*) FROM refusals WHERE realm = $1 AND (n > 0 OR factor <> '' OR ip <> '' OR agent <> '')`, tx.Realm)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		fail("ada@example.com")
		fail("ada@example.com")
		fail("nobody@example.com")
		e.Clock.Advance(time.Minute)
		for range 25 { // so that there are two pages
			here.mustSignIn(t, "ada@example.com")
			e.Clock.Advance(time.Second)
		}
		fail("ada@example.com")
		if err := e.Log.FlushActivity(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := rows(); n != 1 {
			t.Errorf("%d rows, want one for ada alone", n)
		}
		first := here.open("GET", "/account/activity", nil)
		first.expect(t, "the history", 200, "3 failed attempts with a password", "192.0.2.")
		older := regexp.MustCompile(`href="(/account/activity\?before=[^"]*)"`).FindStringSubmatch(first.Body.String())
		if older == nil {
			t.Fatal("there is no second page")
		}
		if c := here.open("GET", older[1], nil); c.Code != 200 || strings.Contains(c.Body.String(), "failed attempts") {
			t.Errorf("told again on the next page: %d", c.Code)
		}
		here.open("GET", "/account", nil).expect(t, "the overview", 200, "3 failed attempts with a password")
		for _, bad := range []string{"x", "1", "1.x", "-1.1", "1.99999999999999999999"} {
			here.open("GET", "/account/activity?before="+bad, nil).expect(t, bad, 400)
		}
		var taken strings.Builder
		rl, err := e.Realms.ByName(t.Context(), realm.Default)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Desk.Export(t.Context(), &taken, rl, ada.ID); err != nil || !strings.Contains(taken.String(), `"count":3`) {
			t.Errorf("%v; taken along: %s", err, taken.String())
		}
		if err := e.Desk.Delete(t.Context(), audit.System, realm.Default, ada.ID, "asked", nil); err != nil {
			t.Fatal(err)
		}
		if n := rows(); n != 0 {
			t.Errorf("%d rows outlive the person", n)
		}
	})
}

// PW-06, SE-08: a password is changed by whoever knows it; everybody else is
// signed out, unless its owner says otherwise.
func TestPeopleChangeTheirPassword(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		const next = "seven lanterns over the quiet harbour"
		here, other := w.visitor(), w.visitor()
		here.mustSignIn(t, "ada@example.com")
		other.mustSignIn(t, "ada@example.com")
		access, refresh := other.tokens(t)
		change := func(form url.Values) call { return here.sends(t, "/account/password", form) }
		change(url.Values{"new": {next}}).expect(t, "without the present one", 422, "right")
		change(url.Values{"password": {"not the present one"}, "new": {next}}).expect(t, "with a wrong one", 422, "right")
		change(url.Values{"password": {Password}, "new": {"short"}}).expect(t, "a short one", 422, "at least 15")
		change(url.Values{"password": {Password}, "new": {"example-example-example"}}).expect(t, "one's own name", 422, "too close to a name")
		change(url.Values{"password": {Password}, "new": {Password}}).expect(t, "the same", 422, "same as the current")

		change(url.Values{"password": {Password}, "new": {next}, "keep": {"yes"}}).expect(t, "kept sessions", 303, "done=password")
		for name, v := range map[string]*visitor{"this": here, "the other": other} {
			if _, in := v.signedIn(); !in {
				t.Errorf("%s browser is signed out although sessions were to be kept", name)
			}
		}
		if c := w.visitor(); c.signIn(c.formToken(t, "/signin"), "ada@example.com", Password).Code == http.StatusSeeOther {
			t.Error("the old password still opens")
		}
		before := w.session(t, ada.ID)
		thief := &visitor{w, copyJar(here)}
		change(url.Values{"password": {next}, "new": {Password}}).expect(t, "everywhere", 303, "done=password")
		if _, in := here.signedIn(); !in || w.session(t, ada.ID) == before {
			t.Error("this browser was to stay signed in, with another session")
		}
		if _, in := other.signedIn(); in {
			t.Error("the other browser is still signed in")
		}
		if _, in := thief.signedIn(); in {
			t.Error("a copied cookie still opens the account")
		}
		if got := w.introspect(access).text("active"); got == "true" {
			t.Error("an access token of before still counts")
		}
		if got := w.refresh(refresh).Code; got != http.StatusBadRequest {
			t.Errorf("a refresh token of before: %d", got)
		}
		here.open("GET", "/account/activity", nil).expect(t, "the history", 200, "Password changed", "Password set")
	})
}

// PW-06: whoever has a passkey is offered it in place of the present password,
// and while its use is fresh the page asks for nothing but the new one.
func TestPeopleChooseAPasswordByAPasskey(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		rl, err := e.Realms.ByName(t.Context(), realm.Default)
		if err != nil {
			t.Fatal(err)
		}
		options, err := e.Passkeys.CreationOptions(t.Context(), rl, ada, "elsewhere")
		if err != nil {
			t.Fatal(err)
		}
		device := passkeytest.New(Issuer)
		if _, _, err := e.Passkeys.Register(t.Context(), audit.System, realm.Default, credential.NewPasskey{Principal: ada.ID, Browser: "elsewhere", Answer: device.Create(options)}); err != nil {
			t.Fatal(err)
		}
		v := w.visitor()
		page := v.open("GET", "/signin", nil).Body.String()
		form := page[strings.Index(page, `action="/signin/passkey"`):]
		token, _ := input([]byte(form), "form")
		asked := regexp.MustCompile(`data-options="([^"]*)"`).FindStringSubmatch(page)
		v.open("POST", "/signin/passkey", url.Values{"form": {token}, "answer": {device.Get([]byte(html.UnescapeString(asked[1])))}}).expect(t, "signing in", 303)
		e.Clock.Advance(6 * time.Minute)
		const next = "seven lanterns over the quiet harbour"
		v.open("GET", "/account/password", nil).expect(t, "the page", 200, "Use a passkey instead", `name="password"`)
		v.sends(t, "/account/password", url.Values{"do": {"choose"}, "new": {next}}).expect(t, "with a passkey of before", 403)
		led := v.sends(t, "/account/password", url.Values{"do": {"prove"}}).expect(t, "to prove it", 303, "/signin/factor")
		page = v.open("GET", led.Header().Get("Location"), nil).Body.String()
		answer := url.Values{}
		for _, name := range []string{"form", "flow", "by"} {
			value, _ := input([]byte(page), name)
			answer.Set(name, value)
		}
		asked = regexp.MustCompile(`data-options="([^"]*)"`).FindStringSubmatch(page)
		answer.Set("answer", device.Get([]byte(html.UnescapeString(asked[1]))))
		v.open("POST", "/signin/factor", answer).expect(t, "proving it", 303, "/account/password")
		if c := v.open("GET", "/account/password", nil).expect(t, "the page then", 200, "You have just confirmed"); strings.Contains(c.Body.String(), `name="password"`) {
			t.Error("the present password is asked for still")
		}
		v.sends(t, "/account/password", url.Values{"do": {"choose"}, "new": {"short"}}).expect(t, "a short one", 422, "at least 15")
		v.sends(t, "/account/password", url.Values{"do": {"choose"}, "new": {next}}).expect(t, "choosing it", 303, "done=password")
		v.open("GET", "/account/password?done=password", nil).expect(t, "after that", 200, "Your password is changed")

		// Where passwords do not count no page is of them, and password managers are led to none.
		v.open("GET", "/.well-known/change-password", nil).expect(t, "where it is changed", 303, "/account/password")
		held := v.open("GET", "/account/password", nil).expect(t, "the page", 200)
		token, _ = input(held.Body.Bytes(), "form")
		if _, err := e.Realms.Update(t.Context(), audit.System, realm.Default, 0, realm.Change{Settings: map[string]any{"factors": "passkey email"}}); err != nil {
			t.Fatal(err)
		}
		v.open("GET", "/.well-known/change-password", nil).expect(t, "where none counts", 404)
		v.open("GET", "/account/password", nil).expect(t, "the page where none counts", 404, "not offered")
		v.open("POST", "/account/password", url.Values{"form": {token}, "do": {"choose"}, "new": {next + " too"}}).expect(t, "choosing one that does not count", 404)
		if c := v.open("GET", "/account/help", nil).expect(t, "advice", 200, "What a passkey is"); strings.Contains(c.Body.String(), "password is refused") {
			t.Error("the advice is of passwords that do not count")
		}
	})
}

// copyJar copies the cookies that a visitor's browser has now.
func copyJar(v *visitor) http.CookieJar {
	to, _ := url.Parse(Issuer)
	other := v.visitor()
	other.jar.SetCookies(to, v.jar.Cookies(to))
	return other.jar
}

// AZ-09: people see what applications may do, and end it.
func TestPeopleEndApplications(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		e.Client(t, realm.Default, "book", client.Settings{Name: "Photo <Book>", Type: client.Web, RedirectURIs: []string{callback}, GrantTypes: []string{client.AuthorizationCode}, Scopes: []string{"openid", "email"}})
		if err := e.Grants.Remember(t.Context(), audit.System, realm.Default, ada.ID, "book", []string{"openid", "email"}); err != nil {
			t.Fatal(err)
		}
		v := w.visitor()
		v.mustSignIn(t, "ada@example.com")
		access, refresh := v.tokens(t)
		page := v.open("GET", "/account/applications", nil).expect(t, "the list", 200, "Photo &lt;Book&gt;", "See your email address", "has not verified", "Stay connected", ">App<")
		// What has a consent and no grant, such as after it ended that itself, is said to be apart.
		if body := page.Body.String(); strings.Count(body, "Not connected now") != 1 || strings.Contains(body, "Only while you are signed in") {
			t.Error("the list does not tell which applications are connected")
		}
		if strings.Contains(page.Body.String(), "<Book>") {
			t.Error("the name is markup")
		}
		v.sends(t, "/account/applications", url.Values{"client": {"book"}}).expect(t, "ending a consent", 303, "done=app")
		v.sends(t, "/account/applications", url.Values{"client": {"nobody"}}).expect(t, "an unknown application", 404)
		v.sends(t, "/account/applications", url.Values{"client": {"app"}}).expect(t, "ending grants", 303, "done=app")
		if c, err := e.Grants.Consent(t.Context(), realm.Default, ada.ID, "book"); err != nil || c != nil {
			t.Errorf("the consent still stands: %v %v", c, err)
		}
		if w.introspect(access).text("active") == "true" || w.refresh(refresh).Code != http.StatusBadRequest {
			t.Error("the application still has access")
		}
		v.open("GET", "/account/applications?done=app", nil).expect(t, "the list after", 200, "No application uses your account")
	})
}

// LC-04: people change how they are called, and nothing that others vouch for.
func TestPeopleEditTheirProfile(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		v := w.visitor()
		v.mustSignIn(t, "ada@example.com")
		v.sends(t, "/account/profile", url.Values{"name": {"Ada L."}, "given_name": {"Ada"}, "family_name": {"Lovelace"}, "language": {"de"}, "email": {"boss@example.com"},
			"email_verified": {"true"}, "username": {"root"}, "owner": {"usr_x"}, "phone_number": {"+49 30 1234567"}}).expect(t, "saving", 303, "done=profile")
		now, err := e.People.ByID(t.Context(), realm.Default, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		if now.DisplayName != "Ada L." || now.Profile.FamilyName != "Lovelace" || now.Locale != "de" {
			t.Errorf("saved %+v", now)
		}
		if now.Name != ada.Name || now.Email().Address != "ada@example.com" || now.Profile.PhoneNumber != "" || now.Owner != "" {
			t.Errorf("changed more than people may: %+v", now)
		}
		v.open("GET", "/account/profile", nil).expect(t, "in the language of the account", 200, `lang="de"`, "Ada L.")
		v.sends(t, "/account/profile", url.Values{"name": {strings.Repeat("x", 121)}}).expect(t, "a long name", 422)
		v.sends(t, "/account/profile", url.Values{"name": {"a\u202eb"}}).expect(t, "a hidden sign", 422)
		v.sends(t, "/account/profile", url.Values{"name": {"Ada"}, "language": {"tlh"}}).expect(t, "no language of ours", 400)
	})
}

// MF-06: the pages of an account are no way around what the realm demands by now
// of everybody. Leave admitted out to see it fail.
func TestAccountsMeetANewPolicy(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		v := w.visitor()
		v.mustSignIn(t, "ada@example.com")
		token := v.formToken(t, "/account/profile")
		if _, err := e.Realms.Update(t.Context(), audit.System, realm.Default, 0, realm.Change{Settings: map[string]any{"least_acr": "aal2"}}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/account", "/account/devices", "/account/activity", "/account/applications", "/account/password", "/account/profile", "/account/factors"} {
			v.open("GET", path, nil).expect(t, path, 303, "/signin/enrol")
		}
		v.open("POST", "/account/profile", url.Values{"form": {token}, "name": {"Eve"}}).expect(t, "a form of before", 303, "/signin/enrol")
		if now, err := e.People.ByID(t.Context(), realm.Default, ada.ID); err != nil || now.DisplayName == "Eve" {
			t.Errorf("changed by a session below the policy: %v", err)
		}
		v.open("GET", "/account/not-me", nil).expect(t, "to raise the alarm", 200) // which takes nothing more
		// Advice is for everybody, and says nothing of anybody.
		if c := v.open("GET", "/account/help", nil).expect(t, "advice", 200, "What a passkey is"); strings.Contains(c.Body.String(), ada.DisplayName) {
			t.Error("whoever is to prove more is named")
		}
	})
}

// MF-09: to remove a factor takes a fresh proof as strong as the strongest one;
// a session of before is not enough.
func TestPeopleRemoveFactors(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		codes, texts, err := e.Factors.NewRecovery(t.Context(), audit.System, realm.Default, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		v := w.visitor()
		if c := v.signIn(v.formToken(t, "/signin"), "ada@example.com", Password); !strings.Contains(c.Header().Get("Location"), "/signin/factor") {
			t.Fatalf("no second factor asked for: %d %s", c.Code, c.Header().Get("Location"))
		} else {
			at := c.Header().Get("Location")
			page := v.open("GET", at, nil)
			form := url.Values{"code": {string(texts[0])}, "do": {"check"}}
			for _, name := range []string{"form", "flow", "by"} {
				value, _ := input(page.Body.Bytes(), name)
				form.Set(name, value)
			}
			v.open("POST", "/signin/factor", form).expect(t, "the code", 303)
		}
		path := "/account/factors/" + codes.ID
		v.open("GET", "/account/factors", nil).expect(t, "the list", 200, "Recovery codes", "9 codes are left")
		e.Clock.Advance(6 * time.Minute)
		v.sends(t, path, url.Values{"do": {"remove"}}).expect(t, "with a session of before", 303, "/signin")
		if all, _ := e.Credentials.List(t.Context(), realm.Default, ada.ID); len(all) != 2 {
			t.Fatalf("%d credentials, want the password and the codes", len(all))
		}
		v.sends(t, "/account/factors", url.Values{"add": {"totp"}}).expect(t, "adding one", 303, "/signin")
		v.sends(t, "/account/factors", url.Values{"add": {"password"}}).expect(t, "adding what is no factor", 404)
	})
}

// "This wasn't me" ends everything at once, for whoever is signed in and for the
// holder of a link, which works once and changes nothing by being opened.
func TestPeopleSayThatItWasNotThem(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		thief, own := w.visitor(), w.visitor()
		thief.mustSignIn(t, "ada@example.com")
		access, refresh := thief.tokens(t)
		own.mustSignIn(t, "ada@example.com")
		raise := func(v *visitor, link string) call {
			path := "/account/not-me"
			if link != "" {
				path += "?link=" + link
			}
			form := url.Values{"form": {v.formToken(t, path)}}
			if link != "" {
				form.Set("link", link)
			}
			if _, in := thief.signedIn(); !in {
				t.Error("looking at the page changed something")
			}
			return v.open("POST", "/account/not-me", form)
		}
		raise(own, "").expect(t, "saying it", 200, "Everybody is locked out", "choose a new password")
		gone := func() {
			t.Helper()
			for name, v := range map[string]*visitor{"the thief": thief, "the owner": own} {
				if _, in := v.signedIn(); in {
					t.Errorf("%s is still signed in", name)
				}
			}
			if w.introspect(access).text("active") == "true" || w.refresh(refresh).Code != http.StatusBadRequest {
				t.Error("the application still has access")
			}
			stranger := w.visitor()
			stranger.signIn(stranger.formToken(t, "/signin"), "ada@example.com", Password).expect(t, "the old password", http.StatusSeeOther)
			if _, in := stranger.signedIn(); in {
				t.Error("the old password alone opens the account")
			}
			open, _, err := e.Risk.Incidents(t.Context(), realm.Default, risk.Filter{Principal: ada.ID, State: risk.Opened}, "", 10)
			if err != nil || len(open) != 1 || open[0].Detector != risk.NotMe {
				t.Errorf("incidents %v, %v", open, err)
			}
		}
		gone()

		if _, err := e.Passwords.Set(t.Context(), audit.System, realm.Default, ada.ID, Password); err != nil {
			t.Fatal(err)
		}
		if err := e.DB.UpdateRC(t.Context(), realm.Default, func(tx *db.Tx) error { return risk.ForgetTx(tx, ada.ID) }); err != nil {
			t.Fatal(err) // as if its owner had shown the mailbox
		}
		thief.mustSignIn(t, "ada@example.com")
		access, refresh = thief.tokens(t)
		link := secret.New("cdl_")
		err := e.DB.UpdateRC(t.Context(), realm.Default, func(tx *db.Tx) error {
			return e.Once.Put(tx, link, once.Value{Purpose: "not_me", Subject: ada.ID, Expires: tx.Now.Add(time.Hour)})
		})
		if err != nil {
			t.Fatal(err)
		}
		reader := w.visitor()
		raise(reader, string(link)).expect(t, "by a link", 200, "Everybody is locked out")
		gone()
		reader.open("GET", "/account/not-me?link="+string(link), nil).expect(t, "the link again", 404)
		reader.open("GET", "/account/not-me?link=cdl_made-up", nil).expect(t, "no link of ours", 404)
	})
}

// Operators say in their own words what people are told, as text and never as
// markup; where they say nothing, and in other languages, ours stand.
func TestOperatorsEditTheAdvice(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		e.Person(t, realm.Default, "ada@example.com")
		v := w.visitor()
		v.mustSignIn(t, "ada@example.com")
		v.open("GET", "/account/help", nil).expect(t, "our words", 200, "What a passkey is", "never leave the device")
		set := func(text string) error {
			_, err := e.Realms.Update(t.Context(), audit.System, realm.Default, 0, realm.Change{Settings: map[string]any{"advice": text}})
			return err
		}
		if err := set(`{"en": {"report": "Call <b>1234</b>.\n\nDay and night."}}`); err != nil {
			t.Fatal(err)
		}
		c := v.open("GET", "/account/help", nil).expect(t, "their words", 200, "Call &lt;b&gt;1234&lt;/b&gt;.</p>", ">Day and night.", "never leave the device")
		if strings.Contains(c.Body.String(), "everybody is locked out, and the administrators") {
			t.Error("our words are there too")
		}
		v.open("GET", "/account/help?lang=de", nil).expect(t, "another language", 200, "Alle werden ausgesperrt")
		w.visitor().open("GET", "/account/help", nil).expect(t, "who is signed out", 200, "Call &lt;b&gt;1234&lt;/b&gt;.</p>", "What a passkey is")
		for _, bad := range []string{`{"en": {"other": "x"}}`, `{"en": "x"}`, `{"en": {"report": "a\u202eb"}}`, `{"en": {"report": "` + strings.Repeat("x", 2001) + `"}}`} {
			if err := set(bad); err == nil {
				t.Errorf("%.40s was taken", bad)
			}
		}
	})
}

// mine are forms that would change something if the ids in them were the
// sender's own, by page.
func (w *town) mine(t testing.TB, person string) map[string]url.Values {
	return map[string]url.Values{
		"/account/devices":      {"do": {"end"}, "session": {w.session(t, person)}},
		"/account/applications": {"client": {"book"}},
		"/account/password":     {"password": {Password}, "new": {"seven lanterns over the quiet harbour"}},
		"/account/profile":      {"name": {"Mallory"}},
		"/account/factors":      {"add": {"totp"}},
		"/account/factors/{id}": {"do": {"remove"}},
		"/account/not-me":       {},
	}
}

// Nobody changes anybody else's account: not with their ids, not without a
// session or with one that ended, not with a form that was shown to another
// account or browser, and not from another site.
func TestNobodyChangesAnothersAccount(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ada, ben := e.Person(t, realm.Default, "ada@example.com"), e.Person(t, realm.Default, "ben@example.com")
		e.Client(t, realm.Default, "book", client.Settings{Name: "Book", Type: client.Web, RedirectURIs: []string{callback}, GrantTypes: []string{client.AuthorizationCode}, Scopes: []string{"openid"}})
		for person, application := range map[string]string{ada.ID: "book", ben.ID: "app"} {
			if err := e.Grants.Remember(t.Context(), audit.System, realm.Default, person, application, []string{"openid"}); err != nil {
				t.Fatal(err)
			}
		}
		owner, eve := w.visitor(), w.visitor()
		owner.mustSignIn(t, "ada@example.com")
		eve.mustSignIn(t, "ben@example.com")
		for _, more := range []string{"ada@example.com", "ben@example.com"} { // so that there is something to end
			w.visitor().mustSignIn(t, more)
		}
		// Two accounts in one browser: what was shown to one does not count for the other.
		both := w.visitor()
		both.mustSignIn(t, "ada@example.com")
		token := both.formToken(t, "/account/profile")
		both.mustSignIn(t, "ben@example.com")
		both.open("POST", "/account/profile", url.Values{"form": {token}, "name": {"Mallory"}}).expect(t, "after switching accounts", 403)
		both.open("GET", "/account", nil).expect(t, "the current account", 200, "ben@example.com")
		forms := w.mine(t, ada.ID)
		ended := w.visitor()
		ended.mustSignIn(t, "ada@example.com")
		stale := copyJar(ended)
		account, _ := input(ended.open("GET", "/signout", nil).Body.Bytes(), "account")
		ended.sends(t, "/signout", url.Values{"account": {account}, "do": {"here"}}).expect(t, "signing out", 303)
		codes, _, err := e.Factors.NewRecovery(t.Context(), audit.System, realm.Default, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		unchanged := w.unchanged(t, ada.ID, ben.ID)
		seen := 0
		for _, route := range e.Mux.Routes() {
			if route.Door != "account" || route.Method != http.MethodPost {
				continue
			}
			form, known := forms[route.Path]
			if !known {
				t.Errorf("%s: say in mine what somebody else would send there", route.Path)
				continue
			}
			seen++
			path := strings.Replace(route.Path, "{id}", codes.ID, 1)
			with := func(token string) url.Values {
				f := clone(form)
				f.Set("form", token)
				return f
			}
			stranger := w.visitor()
			stranger.formToken(t, "/signin")
			stranger.open("POST", path, with(owner.formToken(t, path))).expect(t, path+" without a session", 303, "/signin")
			thief := &visitor{w, stale}
			thief.open("POST", path, with(owner.formToken(t, path))).expect(t, path+" with a session that ended", 303, "/signin")
			eve.open("POST", path, with(owner.formToken(t, path))).expect(t, path+" with another's form", 403)
			eve.open("POST", path, with("")).expect(t, path+" without a form token", 403)
			owner.open("POST", path, with(owner.formToken(t, other(path)))).expect(t, path+" with another page's form", 403)
			c := owner.ask("POST", path, with(owner.formToken(t, path)), func(r *http.Request) {
				r.Header.Set("Origin", "https://evil.example")
				r.Header.Set("Sec-Fetch-Site", "cross-site")
				for _, cookie := range owner.jar.Cookies(r.URL) {
					r.AddCookie(cookie)
				}
			})
			c.expect(t, path+" from another site", 403)
			unchanged(path)
		}
		if seen != len(forms) {
			t.Errorf("%d pages take forms, %d are known", seen, len(forms))
		}
		// Eve's own forms with Ada's ids.
		eve.sends(t, "/account/devices", forms["/account/devices"]).expect(t, "another's session", 404)
		eve.sends(t, "/account/applications", forms["/account/applications"])
		theirs := "/account/factors/" + codes.ID
		eve.open("GET", theirs, nil).expect(t, "another's factor", 404)
		eve.open("POST", theirs, url.Values{"do": {"remove"}, "form": {eve.formToken(t, "/account/factors")}}).expect(t, "removing another's factor", 403)
		unchanged("with another's ids")
		for _, route := range e.Mux.Routes() {
			if route.Door != "account" || route.Method != http.MethodGet || !strings.HasPrefix(route.Path, "/account") || strings.Contains(route.Path, "{") {
				continue
			}
			c := eve.open("GET", route.Path, nil).expect(t, route.Path, 200)
			for _, hers := range []string{ada.ID, "ada@example.com", codes.ID, forms["/account/devices"].Get("session"), "Book"} {
				if strings.Contains(c.Body.String(), hers) {
					t.Errorf("%s shows %s to somebody else", route.Path, hers)
				}
			}
			if route.Path == "/account/help" { // for everybody, and about nobody
				continue
			}
			w.visitor().open("GET", route.Path, nil).expect(t, route.Path+" without a session", 303, "/signin")
		}
	})
}

func other(path string) string {
	if path == "/account/devices" {
		return "/account/profile"
	}
	return "/account/devices"
}

// unchanged remembers how two people are, to see that they still are.
func (w *town) unchanged(t testing.TB, people ...string) func(what string) {
	state := func() (s string) {
		for _, id := range people {
			p, err := w.People.ByID(context.Background(), realm.Default, id)
			if err != nil {
				t.Fatal(err)
			}
			all, _, err := w.Sessions.List(context.Background(), realm.Default, session.Filter{Principal: id, Live: true}, "", 100)
			if err != nil {
				t.Fatal(err)
			}
			creds, err := w.Credentials.List(context.Background(), realm.Default, id)
			if err != nil {
				t.Fatal(err)
			}
			s += p.DisplayName + p.UpdatedAt.String()
			for _, one := range all {
				s += one.ID
			}
			for _, one := range creds {
				s += one.ID
			}
			c, err := w.Grants.Consent(context.Background(), realm.Default, id, "book")
			if err != nil {
				t.Fatal(err)
			}
			if c != nil {
				s += "consent"
			}
		}
		return s
	}
	before := state()
	return func(what string) {
		t.Helper()
		if after := state(); after != before {
			t.Errorf("%s changed something:\n%s\n%s", what, before, after)
			before = after
		}
	}
}
