package signin

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	pk "github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
)

const here = "https://id.example.com"

var optionsAttr = regexp.MustCompile(`data-options="([^"]*)"`)

// options are what the page asks the browser for.
func (b *browser) options() []byte {
	b.t.Helper()
	m := optionsAttr.FindStringSubmatch(b.body)
	if m == nil {
		b.t.Fatalf("no options at %s:\n%s", b.at, b.body)
	}
	return []byte(html.UnescapeString(m[1]))
}

// enrol adds a passkey of a to the account of whoever is signed in.
func (b *browser) enrol(a *pk.Authenticator) *browser {
	b.t.Helper()
	b.get(pathNewPasskey)
	if strings.HasSuffix(b.at.Path, "/signin") {
		b.submit("identifier", "ada", "password", password)
	}
	b.isAt(pathEnrol).shows(200, "Create a passkey")
	b.submit("answer", a.Create(b.options()), "name", "Laptop")
	if strings.HasSuffix(b.at.Path, pathEnrol) {
		b.submit("do", "later") // codes for recovery
	}
	return b.isAt("/")
}

// signInBy signs in with a passkey.
func (b *browser) signInBy(a *pk.Authenticator) *browser {
	b.t.Helper()
	b.get("/signin").shows(200, `autocomplete="username webauthn"`)
	return b.submit("answer", a.Get(b.options()))
}

func TestAPasskeySignsInAlone(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		a := pk.New(here)
		w.browser(t, dbtest.Realm).signIn("ada").enrol(a)
		b := w.browser(t, dbtest.Realm).signInBy(a).isAt("/").shows(200, "Ada Lovelace")
		one := b.sessions()[0]
		if one.ACR != token.AAL2 || !slices.Equal(one.AMR, []string{"swk", "user", "mfa"}) {
			t.Errorf("acr %q, amr %q", one.ACR, one.AMR)
		}
		// In a flow, and nowhere else: the challenge is the flow's.
		w.toPhotoBook(noConsent)
		b = w.browser(t, dbtest.Realm).get("/go").isAt("/signin")
		answer := a.Get(b.options())
		other := w.browser(t, dbtest.Realm).get("/go").isAt("/signin")
		other.submit("answer", answer).isAt("/signin/passkey").shows(http.StatusUnprocessableEntity, "didn’t work")
		if len(other.sessions()) != 0 {
			t.Error("a challenge of one browser opened another")
		}
		b.submit("answer", answer).isAt("/back")
		if w.outcome.Session == nil || w.outcome.Session.ACR != token.AAL2 || !w.outcome.Reauthenticated {
			t.Errorf("outcome %+v", w.outcome)
		}
	})
}

// What a sign-in costs at the database, so that nothing creeps in unseen.
func TestASignInByPasskeyAsksLittleOfTheDatabase(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		a := pk.New(here)
		b := w.browser(t, dbtest.Realm).signIn("ada").enrol(a)
		for _, c := range b.jar.Cookies(b.at) {
			if c.Name == sessionCookie(&realm.Realm{Name: dbtest.Realm}) {
				b.setCookie(c.Name, "")
			}
		}
		b.stays = true
		var sent *dbtest.Traffic
		in := func() {
			w.Clock.Advance(time.Hour) // so that there is something to remember
			b.ctx, sent = dbtest.Watch(t.Context())
			b.get("/signin")
			if sent.Trips() != 0 {
				t.Errorf("the page asks the database%s", sent)
			}
			b.submit("answer", a.Get(b.options()))
			if len(b.sessions()) != 1 {
				t.Fatalf("not signed in: %s", b.body)
			}
			b.setCookie(sessionCookie(&realm.Realm{Name: dbtest.Realm}), "")
		}
		in() // fills memories
		in()
		most := map[db.Engine]int{db.SQLite: 12, db.Postgres: 2}[w.Env.DB.Engine()]
		if sent.Trips() > most || sent.Commits() != 1 {
			t.Errorf("%d trips to the database and %d commits, want at most %d and one%s", sent.Trips(), sent.Commits(), most, sent)
		}
	})
}

// The use of a passkey is written down with what comes of it, whatever that is:
// leave it out of settle, keep or save to see this fail.
func TestAnAnswerOfAPasskeyCountsOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		a := pk.New(here)
		w.browser(t, dbtest.Realm).signIn("ada").enrol(a)
		form := func(b *browser) url.Values {
			m := formTag.FindStringSubmatch(b.body[strings.Index(b.body, `data-passkey="get"`)-200:])
			values := url.Values{"answer": {a.Get(b.options())}}
			for _, in := range inputTag.FindAllString(m[2], -1) {
				if n, v := nameAttr.FindStringSubmatch(in), valAttr.FindStringSubmatch(in); n[1] != "answer" {
					values.Set(n[1], unescaper.Replace(v[1]))
				}
			}
			return values
		}
		again := func(b *browser, values url.Values, first string) {
			t.Helper()
			b.send("POST", b.base+"/signin/passkey", values)
			b.isAt(first)
			b.send("POST", b.base+"/signin/passkey", values)
			b.isAt("/signin/passkey").shows(http.StatusUnprocessableEntity, "open for too long")
		}
		b := w.browser(t, dbtest.Realm).get("/signin")
		again(b, form(b), "/")
		// Many at once, of which one gets in.
		b = w.browser(t, dbtest.Realm).get("/signin")
		values, in := form(b), make(chan int)
		for range 4 {
			other := *b
			other.stays, other.jar = true, w.browser(t, dbtest.Realm).jar
			other.jar.SetCookies(b.at, b.jar.Cookies(b.at))
			go func() {
				other.send("POST", other.base+"/signin/passkey", values)
				in <- other.status
			}()
		}
		got := 0
		for range 4 {
			if <-in == http.StatusSeeOther {
				got++
			}
		}
		if got != 1 {
			t.Errorf("one answer signed in %d times", got)
		}
		// Where a page comes before the session, in a flow that is new and in one
		// that was kept.
		w.set(t, "account_deletion", "on")
		re, err := w.realms.ByName(t.Context(), dbtest.Realm)
		must(t, err)
		_, err = w.desk.Leave(t.Context(), audittest.By, re, ada.ID)
		must(t, err)
		b = w.browser(t, dbtest.Realm).get("/signin")
		again(b, form(b), pathKeep)
		w.toPhotoBook(noConsent)
		b = w.browser(t, dbtest.Realm).get("/go")
		again(b, form(b), pathKeep)
	})
}

func TestAPasskeyIsASecondFactor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		a := pk.New(here)
		w.browser(t, dbtest.Realm).signIn("ada").enrol(a)
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor).shows(200, "Use your passkey", "Ada Lovelace")
		if len(b.sessions()) != 0 {
			t.Fatal("a password alone began a session")
		}
		b.submit("answer", a.Get(b.options(), pk.Before(func(p *pk.Parts) { p.Flags &^= pk.UV }))).isAt(pathFactor).shows(http.StatusUnprocessableEntity, "didn’t work")
		b.submit("answer", a.Get(b.options())).isAt("/")
		if one := b.sessions()[0]; one.ACR != token.AAL2 || !slices.Equal(one.AMR, []string{"pwd", "swk", "user", "mfa"}) {
			t.Errorf("acr %q, amr %q", one.ACR, one.AMR)
		}
		// Where only passwords count, nobody is asked for one and none opens.
		w.set(t, "factors", "password")
		b = w.browser(t, dbtest.Realm).get("/signin")
		if strings.Contains(b.body, "data-passkey") {
			t.Error("a passkey is offered where none counts")
		}
		b.signIn("ada").isAt("/")
	})
}

func TestAPasskeyStepsUp(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		a := pk.New(here)
		b := w.browser(t, dbtest.Realm).signIn("ada").enrol(a)
		before := b.sessions()[0]
		w.Clock.Advance(time.Hour)
		w.toPhotoBook(noConsent, func(f *Flow) { f.ACR, f.Within = token.AAL2, 5*time.Minute })
		b.get("/go").isAt("/signin") // all of it is old
		b.submit("answer", a.Get(b.options())).isAt("/back")
		if s := w.outcome.Session; s == nil || s.ID != before.ID || !s.AuthTime.After(before.AuthTime) {
			t.Errorf("outcome %+v", w.outcome)
		}
	})
}

// MF-05: whoever exhausts an account's guesses does not lock out a passkey.
func TestAPasskeyOpensWhereGuessesRanOut(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.set(t, "guess_limit", 2)
		a := pk.New(here)
		w.browser(t, dbtest.Realm).signIn("ada").enrol(a)
		stranger := w.browser(t, dbtest.Realm)
		for range 3 {
			stranger.get("/signin").submit("identifier", "ada", "password", "not the password at all")
		}
		stranger.shows(http.StatusTooManyRequests)
		w.browser(t, dbtest.Realm).signInBy(a).isAt("/")
	})
}

// MF-09: somebody who is only signed in adds no passkey.
func TestAddingAPasskeyTakesAFreshProof(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		first := pk.New(here)
		b := w.browser(t, dbtest.Realm).signIn("ada").enrol(first)
		w.Clock.Advance(6 * time.Minute)
		b.get(pathNewPasskey).isAt(pathFactor).shows(200, "Use your passkey")
		stale := b.at.String()
		b.submit("answer", first.Get(b.options())).isAt(pathEnrol)
		// The device says itself that it has one; we say so, too.
		same := pk.Before(func(p *pk.Parts) { p.ID = first.Keys[0].ID })
		b.submit("answer", pk.New(here).Create(b.options(), same)).isAt(pathEnrol).shows(http.StatusUnprocessableEntity, "already")
		b.submit("answer", pk.New(here).Create(b.options())).isAt(pathEnrol).shows(200, "recovery")
		if b.get(strings.TrimPrefix(stale, b.base)).status != 200 {
			t.Errorf("status %d", b.status)
		}
	})
}

// Whoever came to add a factor on their own may think better of it, at the proof
// that this takes too, and is where they began. Offers are put off instead.
func TestAddingAPasskeyCanBeCancelled(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		first := pk.New(here)
		b := w.browser(t, dbtest.Realm).signIn("ada")
		w.Clock.Advance(6 * time.Minute)
		b.get(pathNewPasskey).isAt("/signin").submit("do", "cancel").isAt(w.PasskeysAt)
		b.signIn("ada").get(pathNewPasskey).isAt(pathEnrol).submit("do", "cancel").isAt(w.PasskeysAt)
		if n := len(b.sessions()); n != 1 {
			t.Errorf("signed in %d times", n)
		}
		b.enrol(first)
		if strings.Contains(b.body, `value="cancel"`) {
			t.Errorf("what was done can be cancelled:\n%s", b.body)
		}
		w.Clock.Advance(6 * time.Minute)
		b.get(pathNewPasskey).isAt(pathFactor).submit("do", "cancel").isAt(w.PasskeysAt)
	})
}

// A device is told to forget a passkey only if it was one of ours.
func TestARemovedPasskeyIsForgotten(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		a := pk.New(here)
		w.browser(t, dbtest.Realm).signIn("ada").enrol(a)
		all, err := w.cores.Credentials.List(t.Context(), dbtest.Realm, ada.ID)
		must(t, err)
		for _, c := range all {
			if _, ok := c.Passkey(); ok {
				must(t, w.cores.Credentials.Revoke(t.Context(), audittest.By, dbtest.Realm, c.ID, "removed"))
			}
		}
		b := w.browser(t, dbtest.Realm).signInBy(a).shows(http.StatusUnprocessableEntity, "was removed", `data-passkey-gone="{&#34;credentialId&#34;:&#34;`+pk.To64(a.Keys[0].ID))
		b.submit("answer", a.Get(b.options(), pk.Before(func(p *pk.Parts) { p.ID, p.User = []byte("another's"), []byte("of another realm") }))).shows(http.StatusUnprocessableEntity, "isn’t known here")
		if strings.Contains(b.body, `aria-invalid="true"`) {
			t.Error("the password is called wrong where none was sent")
		}
		if strings.Contains(b.body, "data-passkey-gone") {
			t.Error("a device is told to forget a passkey that may be another realm's")
		}
	})
}

func TestWellKnownAddressesOfPasskeys(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := w.browser(t, dbtest.Realm)
		b.get("/.well-known/webauthn").shows(http.StatusNotFound)
		w.set(t, "passkey_related_origins", "https://login.example.org")
		b.get("/.well-known/webauthn").shows(200, `{"origins":["https://id.example.com","https://login.example.org"]}`)
		if got := b.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("type %q", got)
		}
		b.get("/.well-known/passkey-endpoints").shows(200, `"enroll":"https://id.example.com/realms/test/passkeys/new"`, `"manage":"https://id.example.com/realms/test/"`)
		w.set(t, "factors", "password")
		b.get("/.well-known/passkey-endpoints").shows(http.StatusNotFound)
	})
}
