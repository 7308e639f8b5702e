package apptest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/realm"
)

// A no is a request that must be refused, whatever works and whatever does not.
type no struct {
	name string
	yes  func() string // what came back if it was let through, or ""
}

// P-11: what must be refused stays refused while the database is whole, cut off,
// silent, and flapping: a dependency that fails never turns a no into a yes.
func TestEveryNoStaysANo(t *testing.T) {
	e, l := startBehind(t)
	w := settle(t, e)
	nos := w.nos(t)
	ask := func(when string) {
		t.Helper()
		var all sync.WaitGroup
		for _, n := range nos {
			all.Go(func() {
				if got := n.yes(); got != "" {
					t.Errorf("%s, %s: let through: %.300s", when, n.name, got)
				}
			})
		}
		all.Wait()
	}
	ask("whole")
	for _, s := range []struct {
		name  string
		state dbtest.LinkState
	}{{"cut", dbtest.Cut}, {"silent", dbtest.Hole}} {
		l.Set(s.state)
		ask("just " + s.name)
		waitFor(t, w, http.StatusServiceUnavailable)
		ask(s.name)
		l.Set(dbtest.Whole)
		ask("back from " + s.name)
		waitFor(t, w, http.StatusOK)
		ask("ready after " + s.name)
	}
	for i := range 5 {
		l.Set(dbtest.Cut)
		ask(fmt.Sprintf("flap %d, cut", i))
		l.Set(dbtest.Whole)
		ask(fmt.Sprintf("flap %d, whole", i))
	}
	waitFor(t, w, http.StatusOK)
	ask("after all")
	// That the refusals meant something: the same requests with what is good.
	// A network from which so many guessed is slowed down, so Bob comes by another.
	e.peer = "203.0.113.7:1"
	v := w.visitor()
	v.mustSignIn(t, "bob@example.com")
	access, refresh := v.tokens(t)
	if c := w.introspect(access); c.text("active") != "true" {
		t.Errorf("a living token: %d %s", c.Code, c.Body)
	}
	if _, in := v.signedIn(); !in {
		t.Error("a living session is not taken")
	}
	if c := w.refresh(refresh); c.Code != http.StatusOK {
		t.Errorf("a living refresh token: %d %s", c.Code, c.Body)
	}
	if c := w.adminCall("GET", "/users", w.admin, nil); c.Code != http.StatusOK {
		t.Errorf("the owner: %d %s", c.Code, c.Body)
	}
}

// waitFor asks until the program is as ready as it should be.
func waitFor(t *testing.T, w *town, status int) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for w.ask("GET", "/readyz", nil, nil).Code != status {
		if time.Now().After(deadline) {
			t.Fatalf("/readyz does not come to say %d", status)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// nos makes one dead thing for each path, and says how each is tried.
func (w *town) nos(t *testing.T) []no {
	t.Helper()
	ctx := context.Background()
	w.Person(t, realm.Default, "ada@example.com")
	w.Person(t, realm.Default, "bob@example.com")
	left := w.Person(t, realm.Default, "left@example.com")
	hunted := "hunted@example.com"
	w.Person(t, realm.Default, hunted)

	ada, out, leaver := w.visitor(), w.visitor(), w.visitor()
	ada.mustSignIn(t, "ada@example.com")
	deadAccess, deadRefresh := ada.tokens(t)
	if c := w.revoke(deadRefresh); c.Code != http.StatusOK {
		t.Fatalf("revoke: %d %s", c.Code, c.Body)
	}
	usedCode := ada.mustCode(t)
	if c := w.redeem(usedCode); c.Code != http.StatusOK {
		t.Fatalf("code: %d %s", c.Code, c.Body)
	}
	foreign, _ := ada.tokens(t) // alive, but no operator's

	leaver.mustSignIn(t, "left@example.com")
	leftAccess, leftRefresh := leaver.tokens(t)
	leftCode := leaver.mustCode(t)
	leaver.jar = frozen{leaver.jar}
	if err := w.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, left.ID, "left", nil); err != nil {
		t.Fatal(err)
	}

	out.mustSignIn(t, "bob@example.com")
	cookies := *out
	cookies.jar = frozen{out.jar}
	if err := w.Grants.SignOutEverywhere(ctx, audit.System, realm.Default, w.idOf(t, "bob@example.com"), "test"); err != nil {
		t.Fatal(err)
	}

	for range 10 {
		v := w.visitor()
		v.signIn(v.formToken(t, "/signin"), hunted, "a wrong password, sadly")
	}
	guess := func(who, password string) func() string {
		v := w.visitor()
		form := v.formToken(t, "/signin")
		return func() string {
			c := v.signIn(form, who, password)
			if c.Code < 400 || len(c.Result().Cookies()) > 0 {
				return fmt.Sprint(c.Code, c.Header())
			}
			return ""
		}
	}
	refused := func(do func() call) func() string {
		return func() string {
			if c := do(); c.Code < 400 {
				return fmt.Sprint(c.Code, " ", c.Body)
			}
			return ""
		}
	}
	inactive := func(token string) func() string {
		return func() string {
			if c := w.introspect(token); c.Code == http.StatusOK && c.text("active") != "false" || c.Code < 400 && c.Code != http.StatusOK {
				return fmt.Sprint(c.Code, " ", c.Body)
			}
			return ""
		}
	}
	userinfo := func(token string) func() string {
		return refused(func() call { return w.ask("GET", "/oauth2/userinfo", nil, bearer(token)) })
	}
	home := func(v *visitor) func() string {
		return func() string {
			if c, in := v.signedIn(); in {
				return fmt.Sprint(c.Code, " signed in")
			}
			return ""
		}
	}
	coded := func(v *visitor) func() string {
		return func() string {
			_, code := v.authorization()
			return code
		}
	}
	return []no{
		{"sign-in, wrong password", w.wrongOnce(t, guess)},
		{"sign-in, nobody", guess("nobody@example.com", Password)},
		{"sign-in, suspended", guess("left@example.com", Password)},
		{"sign-in, guesses used up, right password", guess(hunted, Password)},
		{"refresh, revoked", refused(func() call { return w.refresh(deadRefresh) })},
		{"refresh, of a suspended person", refused(func() call { return w.refresh(leftRefresh) })},
		{"code, used", refused(func() call { return w.redeem(usedCode) })},
		{"code, of a suspended person", refused(func() call { return w.redeem(leftCode) })},
		{"introspection, revoked", inactive(deadAccess)},
		{"introspection, of a suspended person", inactive(leftAccess)},
		{"userinfo, revoked", userinfo(deadAccess)},
		{"userinfo, of a suspended person", userinfo(leftAccess)},
		{"revocation with a wrong secret", refused(func() call {
			return w.ask("POST", "/oauth2/revoke", map[string][]string{"token": {foreign}}, basic("app", "not the secret of the application"))
		})},
		{"token with a wrong secret", refused(func() call {
			return w.ask("POST", "/oauth2/token", map[string][]string{"grant_type": {"refresh_token"}, "refresh_token": {deadRefresh}}, basic("app", "not the secret of the application"))
		})},
		{"admin, no operator", refused(func() call { return w.adminCall("GET", "/users", foreign, nil) })},
		{"admin, revoked", refused(func() call { return w.adminCall("GET", "/users", deadAccess, nil) })},
		{"cookie, signed out", home(&cookies)},
		{"cookie, signed out, authorization", coded(&cookies)},
		{"cookie, of a suspended person", home(leaver)},
		{"cookie, of a suspended person, authorization", coded(leaver)},
	}
}

// wrongOnce tries a wrong password for one of several accounts in turn, so that
// it is not the guess limit that refuses.
func (w *town) wrongOnce(t *testing.T, guess func(who, password string) func() string) func() string {
	var wrong []func() string
	for i := range 5 {
		who := fmt.Sprintf("guessed%d@example.com", i)
		w.Person(t, realm.Default, who)
		wrong = append(wrong, guess(who, "a wrong password, sadly"))
	}
	var turn atomic.Int64
	return func() string { return wrong[turn.Add(1)%int64(len(wrong))]() }
}

// frozen is a browser that keeps sending the cookies it once had.
type frozen struct{ http.CookieJar }

// SetCookies keeps nothing.
func (frozen) SetCookies(*url.URL, []*http.Cookie) {}

func (w *town) idOf(t *testing.T, email string) string {
	t.Helper()
	p, err := w.People.ByIdentifier(context.Background(), realm.Default, email)
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}
