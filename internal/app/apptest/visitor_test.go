package apptest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

const (
	callback = "https://app.example/callback"
	verifier = "a-verifier-of-at-least-forty-three-characters-0"
	audience = "https://api.example"
)

// A call is one request and what became of it.
type call struct {
	*httptest.ResponseRecorder
	took time.Duration
}

// ask sends a request straight to the program's handler. change may be nil.
func (e *Env) ask(method, path string, form url.Values, change func(*http.Request)) call {
	r := httptest.NewRequest(method, Issuer+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if e.peer != "" {
		r.RemoteAddr = e.peer
	}
	if change != nil {
		change(r)
	}
	c := call{ResponseRecorder: httptest.NewRecorder()}
	began := time.Now()
	e.Handler.ServeHTTP(c, r)
	c.took = time.Since(began)
	return c
}

func (c call) text(name string) string {
	v, _ := at(c.Body.Bytes(), "."+name)
	return v
}

// A town is a program with people and applications in it.
type town struct {
	*Env
	app, server string              // secrets of the application and of the API
	owner       func(*http.Request) // how the realm's owner, a program, asks for tokens
	admin       string              // an access token of the owner
}

func settle(t testing.TB, e *Env) *town {
	t.Helper()
	w := &town{Env: e}
	w.app = e.Client(t, realm.Default, "app", client.Settings{Name: "App", Type: client.Web, FirstParty: true, RedirectURIs: []string{callback},
		GrantTypes: []string{client.AuthorizationCode, client.RefreshToken}, Scopes: []string{"openid", "offline_access", "read"}, Resources: []string{audience}})
	w.server = e.Client(t, realm.Default, "server", client.Settings{Name: "API", Type: client.Service, ResourceServer: true, Identifiers: []string{audience}})
	owner, err := e.Operators.SetupAutomation(context.Background(), audit.System, realm.Default, "Owner", wire.Scope)
	if err != nil {
		t.Fatal(err)
	}
	w.owner = basic(owner.ID, string(owner.Secret))
	w.administer(t)
	return w
}

// administer gets the owner a fresh access token.
func (w *town) administer(t testing.TB) {
	t.Helper()
	got := w.ask("POST", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {wire.Scope}, "resource": {Issuer + wire.Path}}, w.owner)
	if w.admin = got.text("access_token"); w.admin == "" {
		t.Fatalf("no token for the owner: %d %s", got.Code, got.Body)
	}
}

// A visitor is somebody's browser.
type visitor struct {
	*town
	jar http.CookieJar
}

func (w *town) visitor() *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{w, jar}
}

func (v *visitor) open(method, path string, form url.Values) call {
	path = strings.TrimPrefix(path, Issuer)
	c := v.ask(method, path, form, func(r *http.Request) {
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Origin", Issuer)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, cookie := range v.jar.Cookies(r.URL) {
			r.AddCookie(cookie)
		}
	})
	to, _ := url.Parse(Issuer)
	v.jar.SetCookies(to, c.Result().Cookies())
	return c
}

// formToken opens a page and reads the token of its form.
func (v *visitor) formToken(t testing.TB, path string) string {
	t.Helper()
	c := v.open("GET", path, nil)
	token, ok := input(c.Body.Bytes(), "form")
	if !ok {
		t.Fatalf("%s has no form: %d %.500s", path, c.Code, c.Body)
	}
	return token
}

// signIn tries a password.
func (v *visitor) signIn(form, who, password string) call {
	return v.open("POST", "/signin", url.Values{"form": {form}, "identifier": {who}, "password": {password}})
}

func (v *visitor) mustSignIn(t testing.TB, who string) {
	t.Helper()
	if c := v.signIn(v.formToken(t, "/signin"), who, Password); c.Code != http.StatusSeeOther {
		t.Fatalf("%s cannot sign in: %d %.500s", who, c.Code, c.Body)
	}
}

// signedIn reports whether the browser's session opens its owner's account.
func (v *visitor) signedIn() (call, bool) {
	c := v.open("GET", "/account", nil)
	return c, c.Code == http.StatusOK && strings.Contains(c.Body.String(), "/signout")
}

const authorize = "/oauth2/authorize"

// authorization asks for a code with the browser's session. The answer is a
// redirect to the application if there is a code.
func (v *visitor) authorization() (call, string) {
	sum := sha256.Sum256([]byte(verifier))
	c := v.open("GET", authorize+"?"+url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {callback}, "scope": {"openid offline_access read"}, "state": {"s"},
		"resource": {audience}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), nil)
	to, err := url.Parse(c.Header().Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), callback) {
		return c, ""
	}
	return c, to.Query().Get("code")
}

func (v *visitor) mustCode(t testing.TB) string {
	t.Helper()
	c, code := v.authorization()
	if code == "" {
		t.Fatalf("no code: %d %s %.500s", c.Code, c.Header().Get("Location"), c.Body)
	}
	return code
}

func (w *town) redeem(code string) call {
	return w.ask("POST", "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}, basic("app", w.app))
}

func (w *town) refresh(token string) call {
	return w.ask("POST", "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, basic("app", w.app))
}

func (w *town) revoke(token string) call {
	return w.ask("POST", "/oauth2/revoke", url.Values{"token": {token}}, basic("app", w.app))
}

func (w *town) introspect(token string) call {
	return w.ask("POST", "/oauth2/introspect", url.Values{"token": {token}}, basic("server", w.server))
}

func (w *town) adminCall(method, path, token string, body any) call {
	text, _ := json.Marshal(body)
	return w.ask(method, wire.Path+path, nil, func(r *http.Request) {
		bearer(token)(r)
		if body != nil {
			*r = *httptest.NewRequest(method, Issuer+wire.Path+path, strings.NewReader(string(text)))
			bearer(token)(r)
			r.Header.Set("Content-Type", "application/json")
		}
	})
}

// tokens signs nobody in; the browser must be. It gives what a code brings.
func (v *visitor) tokens(t testing.TB) (access, refresh string) {
	t.Helper()
	c := v.redeem(v.mustCode(t))
	if c.Code != http.StatusOK {
		t.Fatalf("a fresh code: %d %s", c.Code, c.Body)
	}
	return c.text("access_token"), c.text("refresh_token")
}
