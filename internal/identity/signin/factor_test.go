package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
)

// phone is an authenticator app, written apart from the code under test.
type phone struct {
	key []byte
	w   *world
}

func (p phone) code() string {
	m := hmac.New(sha1.New, p.key)
	_ = binary.Write(m, binary.BigEndian, p.w.Clock.Now().Unix()/30)
	sum := m.Sum(nil)
	o := sum[19] & 15
	return fmt.Sprintf("%06d", (uint32(sum[o]&127)<<24|uint32(sum[o+1])<<16|uint32(sum[o+2])<<8|uint32(sum[o+3]))%1_000_000)
}

var secretTag = regexp.MustCompile(`<p class="code secret">([A-Z2-7 ]+)</p>`)

// scan takes the secret from the page that adds an app.
func (b *browser) scan() phone {
	b.t.Helper()
	m := secretTag.FindStringSubmatch(b.body)
	if m == nil {
		b.t.Fatalf("no secret at %s:\n%s", b.at, b.body)
	}
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", ""))
	must(b.t, err)
	return phone{key, b.w}
}

// mustApp gives somebody an authenticator app.
func (w *world) mustApp(t testing.TB, realm string, who *principal.Principal) phone {
	t.Helper()
	draft, err := w.Factors.DraftTOTP(realm, who.ID, "SHA1")
	must(t, err)
	key, err := w.Factors.ReadTOTP(realm, who.ID, draft)
	must(t, err)
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(key.Secret))
	must(t, err)
	p := phone{raw, w}
	_, right, err := w.Factors.AddTOTP(context.Background(), audittest.By, realm, who.ID, draft, "Phone", p.code())
	must(t, err)
	if !right {
		t.Fatal("the app's own code is wrong")
	}
	w.Clock.Advance(time.Minute) // that code is used
	return p
}

// set changes the realm's settings.
func (w *world) set(t testing.TB, pairs ...any) {
	t.Helper()
	changes := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		changes[pairs[i].(string)] = pairs[i+1]
	}
	_, err := w.realms.Update(context.Background(), audittest.By, dbtest.Realm, 0, realm.Change{Settings: changes})
	must(t, err)
}

func TestWhoHasASecondFactorIsAskedForIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		app := w.mustApp(t, dbtest.Realm, ada)
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor).shows(200, "Enter the code from your app", "Ada Lovelace")
		if len(b.sessions()) != 0 {
			t.Fatal("a password alone began a session")
		}
		b.submit("code", "000000").isAt(pathFactor).shows(422, "isn’t right")
		b.submit("code", app.code()).isAt("/").shows(200, "Ada Lovelace")
		one := b.sessions()[0]
		if one.ACR != token.AAL2 || !slices.Equal(one.AMR, []string{"pwd", "otp", "mfa"}) {
			t.Errorf("acr %q, amr %q", one.ACR, one.AMR)
		}
	})
}

func TestAddingAnAppMakesTheSecondLevel(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		b := w.browser(t, dbtest.Realm).signIn("ada").isAt("/")
		before := b.sessions()[0]
		w.toPhotoBook(noConsent, func(f *Flow) { f.Enrol = "totp" })
		b.get("/go").isAt(pathEnrol).shows(200, "Add an authenticator app", `<svg class="qr"`, "otpauth://totp/Test:ada?")
		app := b.scan()
		b.submit("code", "123").shows(422)
		b.submit("code", app.code(), "name", "Phone").isAt(pathEnrol).shows(200, "Get recovery codes")
		b.submit("do", "add").shows(200, "Your recovery codes")
		b.get("/signin/enrol?flow=" + w.flowOf(b)).isAt("/back")
		if !w.outcome.Enrolled || w.outcome.Session.ID != before.ID || w.outcome.Session.ACR != token.AAL2 {
			t.Errorf("outcome %+v", w.outcome)
		}
		w.Clock.Advance(time.Minute)
		// Where there are codes already, what was asked for is all that is added.
		b = w.browser(t, dbtest.Realm).signIn("ada").isAt(pathFactor).submit("code", app.code()).isAt("/")
		b.get("/go").isAt(pathEnrol)
		b.submit("code", b.scan().code(), "name", "Tablet").isAt("/back")
		if !w.outcome.Enrolled {
			t.Errorf("outcome %+v", w.outcome)
		}
	})
}

// flowOf is the flow of the page's link or form.
func (w *world) flowOf(b *browser) string {
	b.t.Helper()
	m := regexp.MustCompile(`flow=(cdw_[A-Za-z0-9_-]+)`).FindStringSubmatch(b.body)
	if m == nil {
		b.t.Fatalf("no flow at %s:\n%s", b.at, b.body)
	}
	return m[1]
}
