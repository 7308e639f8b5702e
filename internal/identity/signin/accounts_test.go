package signin

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/i18n/i18ntest"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
)

func TestSeveralAccountsInOneBrowser(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := w.browser(t, dbtest.Realm)
		var first *session.Session
		for i := range session.MaxInBrowser + 1 {
			name := fmt.Sprint("person", i)
			w.mustPerson(t, dbtest.Realm, name, "")
			b.signIn(name).isAt("/")
			if i == 0 {
				first = b.sessions()[0]
			}
		}
		all := b.sessions()
		if len(all) != session.MaxInBrowser || slices.ContainsFunc(all, func(s *session.Session) bool { return s.ID == first.ID }) {
			t.Errorf("%d sessions", len(all))
		}
		ended, err := w.Sessions.ByID(t.Context(), dbtest.Realm, first.ID)
		must(t, err)
		if ended.Reason != "displaced" {
			t.Errorf("the one that gave way: %+v", ended)
		}
		b.get("/accounts").submit("account", all[2].ID, "do", "signout").isAt("/accounts")
		if left := b.sessions(); len(left) != session.MaxInBrowser-1 || left[0].ID != all[0].ID {
			t.Errorf("after signing one out: %d", len(left))
		}
		// Another browser's session cannot be signed out from here.
		other := w.browser(t, dbtest.Realm).signIn("person0")
		form := fields(b.get("/accounts"))
		form.Set("account", other.sessions()[0].ID)
		form.Set("do", "signout")
		b.send("POST", b.base+"/accounts", form)
		if len(other.sessions()) != 1 {
			t.Error("signed out from another browser")
		}
	})
}

func TestSignOutHereAndEverywhere(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		here, there := w.browser(t, dbtest.Realm).signIn("ada"), w.browser(t, dbtest.Realm).signIn("ada")
		old := here.cookie("__Host-cardea-test")
		here.get("/signout").shows(200, "Sign out?", "Ada").submit("do", "cancel").isAt("/").shows(200, "You are signed in")
		here.get("/signout").submit("do", "here").isAt("/signedout").shows(200, "You are signed out")
		here.setCookie("__Host-cardea-test", old)
		here.get("/").shows(200, "Welcome to Test") // SE-04: it is dead, not only forgotten
		there.get("/").shows(200, "You are signed in")
		here.signIn("ada").get("/signout").submit("do", "everywhere").isAt("/signedout")
		there.get("/").shows(200, "Welcome to Test")
		here.get("/signout").isAt("/signedout")
	})
}

func TestApplicationsSignOutWithAQuestion(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "")
		b := w.browser(t, dbtest.Realm).signIn("ada")
		b.get("/leave").shows(200, "You came here from <strong>Photo &lt;Book&gt;</strong>")
		if csp := b.header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self'") {
			t.Errorf("CSP %q", csp)
		}
		form := fields(b)
		for field, value := range map[string]string{"target": "https://evil.example/", "state": "other"} {
			bad := url.Values{}
			for k, v := range form {
				bad[k] = v
			}
			bad.Set(field, value)
			bad.Set("do", "here")
			b.send("POST", b.base+"/signout", bad)
			if b.outside != "" {
				t.Errorf("sent to %s", b.outside)
			}
			b.shows(403)
		}
		b.get("/leave").submit("do", "here").shows(200, "One moment")
		if b.outside != "https://app.example.com/bye?state=s%26t&x=1" {
			t.Errorf("sent to %q", b.outside)
		}
		if len(b.sessions()) != 0 {
			t.Error("still signed in")
		}
		// Without a session nobody vouches for a target that a form names.
		form.Set("target", "https://evil.example/")
		b.send("POST", b.base+"/signout", form)
		b.isAt("/signedout")
	})
}

func TestSetUp(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := w.browser(t, dbtest.Realm)
		b.get("/setup").shows(404, "This link is no longer good")
		b.get("/setup?link=wrong").shows(404, "This link is no longer good")
		w.setup.open = "good"
		b.get("/setup?link=good").shows(200, "This person will run Test", "At least 15 characters", `autocomplete="new-password"`, `type="email"`)
		w.setup.err = fault.New(fault.Invalid, "password_common", "private words").WithField("password", "x").WithField("email", "y")
		b.submit("name", "Ada <b>", "email", "ada", "username", "ada", "password", "hunter2hunter2hunter2")
		b.shows(422, "one that everybody tries first", "valid email address", `value="Ada &lt;b&gt;"`)
		if n := strings.Count(b.body, "autofocus"); n != 1 || strings.Index(b.body, "autofocus") < strings.Index(b.body, `id="email"`) {
			t.Errorf("the focus is not on the first wrong field: %s", b.body)
		}
		if strings.Contains(b.body, "hunter2") || strings.Contains(b.body, "private words") {
			t.Errorf("the page tells too much: %s", b.body)
		}
		w.setup.err = nil
		b.submit("name", "Ada", "email", "ada@example.com", "password", password).isAt("/signin")
		if m := w.setup.made; m == nil || m.Name != "Ada" || m.Email != "ada@example.com" || string(m.Password) != password {
			t.Errorf("made %+v", w.setup.made)
		}
		b.get("/setup?link=good").shows(404)
	})
}

// Whoever sets a realm up may be signed in as somebody else, such as the person
// of the demonstration: that account neither stands for the new one nor gets its passkey.
func TestSetUpHasTheNewPersonSignIn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "bob", "Bob")
		b := w.browser(t, dbtest.Realm).signIn("bob")
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.setup.open, w.setup.principal = "good", ada.ID
		b.get("/setup?link=good")
		b.submit("name", "Ada", "email", "ada@example.com", "username", "ada", "password", password).isAt("/signin").shows(200, `value="ada"`)
		b.submit("identifier", "bob", "password", password)
		b.isAt("/signin")
		b.submit("identifier", "ada", "password", password).isAt("/signin/enrol").shows(200, "ada@example.com")
		b.submit("do", "later")
		if all := b.sessions(); len(all) != 2 || all[0].Principal != ada.ID {
			t.Errorf("signed in afterwards: %+v", all)
		}
	})
}

func TestLinksSetAPasswordAndSignNobodyIn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := w.browser(t, dbtest.Realm)
		b.get("/set-password?link=").shows(404, "This link is no longer good")
		p := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		ada := w.browser(t, dbtest.Realm).signIn("ada")
		link, _, err := w.desk.PasswordLink(context.Background(), audittest.By, dbtest.Realm, p.ID)
		must(t, err)
		b.get("/set-password?link="+string(link)).shows(200, "Choose your password", "Ada")
		b.submit("password", "short").shows(422, "Use at least 15 characters", "Ada")
		b.submit("password", "a heron reads the morning paper").isAt("/signin").shows(200, "Your password is saved", `value="ada"`)
		if len(b.sessions()) != 0 {
			t.Error("the link signed somebody in")
		}
		ada.get("/").shows(200, "Welcome")
		b.get("/set-password?link="+string(link)).shows(404, "This link is no longer good")
	})
}

func TestTemplatesUseKnownWords(t *testing.T) {
	words, err := i18n.Load()
	must(t, err)
	s, err := New(Options{Words: words, FormKey: make([]byte, 32)})
	must(t, err)
	i18ntest.Check(t, words, s.look.Pages())
}

func TestScopesAreToldInOrder(t *testing.T) {
	words, err := i18n.Load()
	must(t, err)
	for _, l := range words.Locales() {
		var names []string
		for _, sc := range InWords(l, []string{"a:b", "offline_access", "profile", "<x>", "phone", "openid", "email", "address"}, understoodBy(nil)) {
			names = append(names, sc.Name)
			known := !strings.ContainsAny(sc.Name, ":<")
			if known != (sc.Words != "" && sc.Detail != "" && !strings.HasPrefix(sc.Words, "scope.") && !strings.HasPrefix(sc.Detail, "scope.")) {
				t.Errorf("%s: %+v", l.Tag(), sc)
			}
		}
		if got := strings.Join(names, " "); got != "openid profile email phone address a:b <x> offline_access" {
			t.Errorf("%s: %s", l.Tag(), got)
		}
	}
}

// A scope that is not ours is told in a sentence, with the APIs that know it.
func TestForeignScopesAreToldWithWhereTheyCount(t *testing.T) {
	words, err := i18n.Load()
	must(t, err)
	bookings, billing := resource{Name: "Bookings", Address: "https://b.example", scopes: []string{"read", "write"}}, resource{Address: "https://p.example", scopes: []string{"read"}}
	for _, c := range []struct {
		tag, scope string
		where      []resource
		want       string
	}{
		{"en", "read", nil, "Use the permission “read”"},
		{"en", "read", []resource{bookings, billing}, "Use the permission “read” at Bookings, https://p.example"},
		{"en", "write", []resource{bookings, billing}, "Use the permission “write” at Bookings"},
		{"en", "more", []resource{bookings, billing}, "Use the permission “more”"},
		{"en", "more", []resource{bookings}, "Use the permission “more” at Bookings"},
		{"de", "read", nil, "die Berechtigung „read“ nutzen"},
		{"de", "write", []resource{bookings, billing}, "die Berechtigung „write“ bei Bookings nutzen"},
	} {
		for _, l := range words.Locales() {
			if l.Tag() != c.tag {
				continue
			}
			if got := InWords(l, []string{c.scope}, understoodBy(c.where)); len(got) != 1 || got[0].Words != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		}
	}
}

func TestPeopleAreShownByWhatTheyHave(t *testing.T) {
	email := []principal.Email{{Address: "ada@example.com", Primary: true}}
	for _, c := range []struct {
		p                     principal.Principal
		name, detail, initial string
	}{
		{principal.Principal{DisplayName: "Ada L", Name: "ada", Emails: email}, "Ada L", "ada@example.com", "A"},
		{principal.Principal{Name: "émile"}, "émile", "", "É"},
		{principal.Principal{Emails: email}, "ada@example.com", "", "A"},
		{principal.Principal{Profile: principal.Profile{GivenName: "Ada", FamilyName: "Lovelace"}, Name: "ada"}, "Ada Lovelace", "ada", "A"},
		{principal.Principal{DisplayName: "…"}, "…", "", "·"},
	} {
		if got := person(&c.p); got.Name != c.name || got.Detail != c.detail || got.Initial != c.initial {
			t.Errorf("got %+v, want %s %s %s", got, c.name, c.detail, c.initial)
		}
	}
}
