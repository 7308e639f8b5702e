package oauth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
)

// door is the whole program as one realm's clients and browsers see it.
type door struct {
	*testing.T
	*apptest.Env
	realm, other string
	ada          *principal.Principal
	crossed      bool // the test touches the other realm itself
}

const (
	callback = "https://app.example.com/cb"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// run runs fn on every database, and on SQLite in a second realm too. The realm
// beside must notice nothing.
func run(t *testing.T, fn func(d *door)) {
	t.Helper()
	in := func(engine db.Engine, name, other string) func(*testing.T) {
		return func(t *testing.T) {
			e := apptest.Start(t, engine)
			d := &door{T: t, Env: e, realm: name, other: other}
			before := len(e.Events(t, other))
			d.ada = e.Person(t, d.realm, "ada@example.com")
			fn(d)
			if after := len(e.Events(t, other)); after != before && !d.crossed {
				t.Errorf("realm %s has %d events of what happened in realm %s", other, after-before, name)
			}
		}
	}
	t.Run("sqlite", in(db.SQLite, realm.Default, apptest.Neighbour))
	t.Run("neighbour", in(db.SQLite, apptest.Neighbour, realm.Default))
	t.Run("postgres", in(db.Postgres, realm.Default, apptest.Neighbour))
}

// app is a first-party web application that may do everything; change alters it.
func (d *door) app(id string, change ...func(*client.Settings)) string {
	d.Helper()
	s := client.Settings{Name: "App", Type: client.Web, FirstParty: true, RedirectURIs: []string{callback, callback + "2"},
		PostLogoutRedirectURIs: []string{"https://app.example.com/bye"},
		GrantTypes:             []string{client.AuthorizationCode, client.RefreshToken, client.ClientCredentials},
		Scopes:                 []string{"openid", "profile", "email", "offline_access", "orders:read", "orders:write"},
		Resources:              []string{"https://api.example.com", "https://other.example.com"}}
	for _, f := range change {
		f(&s)
	}
	return d.Client(d.T, d.realm, id, s)
}

func public(s *client.Settings) {
	s.Type, s.AuthMethod, s.GrantTypes = client.SPA, client.None, []string{client.AuthorizationCode, client.RefreshToken}
}

// signIn signs somebody in and returns the browser's cookie.
func (d *door) signIn(who *principal.Principal) string { d.Helper(); return d.signInAs(who, "aal1") }

// signInAs is signIn on a level of assurance.
func (d *door) signInAs(who *principal.Principal, acr string) string {
	d.Helper()
	ctx := context.Background()
	all, err := d.Credentials.List(ctx, d.realm, who.ID)
	if err != nil || len(all) == 0 {
		d.Fatalf("credentials of %s: %v %v", who.ID, all, err)
	}
	begun, err := d.Sessions.Begin(ctx, audit.System, d.realm, session.New{Principal: who.ID, Credential: all[0].ID, ACR: acr, AMR: []string{"pwd"}})
	if err != nil {
		d.Fatal(err)
	}
	return "__Host-cardea-" + d.realm + "=" + string(begun.Secret)
}

// issuer is the realm's issuer.
func (d *door) issuer() string { return apptest.IssuerOf(d.realm) }

// local is a Location within the realm.
func (d *door) local(w *httptest.ResponseRecorder) string {
	return strings.TrimPrefix(strings.TrimPrefix(w.Header().Get("Location"), apptest.Issuer), strings.TrimPrefix(d.issuer(), apptest.Issuer))
}

// do sends a request; head holds headers as pairs.
func (d *door) do(method, path, body string, head ...string) *httptest.ResponseRecorder {
	d.Helper()
	r := httptest.NewRequest(method, d.issuer()+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	d.Handler.ServeHTTP(w, r)
	return w
}

// get is do with GET and a cookie.
func (d *door) get(path, cookie string) *httptest.ResponseRecorder {
	d.Helper()
	if cookie == "" {
		return d.do("GET", path, "")
	}
	return d.do("GET", path, "", "Cookie", cookie)
}

func s256(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// values makes parameters of pairs; later ones replace earlier ones, and an
// empty value takes a parameter away.
func values(base url.Values, pairs ...string) url.Values {
	v := url.Values{}
	for name, list := range base {
		v[name] = list
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

// request is a plain authorization request, with changes.
func request(id string, pairs ...string) url.Values {
	return values(url.Values{"client_id": {id}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"s-1"}, "nonce": {"n-1"},
		"code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"}}, pairs...)
}

// authorize sends an authorization request and returns what the client is told.
func (d *door) authorize(cookie string, v url.Values) url.Values {
	d.Helper()
	w := d.get("/oauth2/authorize?"+v.Encode(), cookie)
	if w.Code != http.StatusSeeOther {
		d.Fatalf("answered %d %s, want 303", w.Code, w.Body)
	}
	return d.answer(w)
}

var refresh = regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]*)">`)

// sent is where the browser goes: by a redirection or, after forms of ours, by
// a page that leads on.
func (d *door) sent(w *httptest.ResponseRecorder) string {
	d.Helper()
	if w.Code == http.StatusSeeOther {
		return w.Header().Get("Location")
	}
	m := refresh.FindStringSubmatch(w.Body.String())
	if w.Code != http.StatusOK || m == nil {
		d.Fatalf("answered %d %s, which leads nowhere", w.Code, w.Body)
	}
	return html.UnescapeString(m[1])
}

// answer reads the answer that the browser takes to the client.
func (d *door) answer(w *httptest.ResponseRecorder) url.Values {
	d.Helper()
	u, err := url.Parse(d.sent(w))
	if err != nil {
		d.Fatal(err)
	}
	if !strings.HasPrefix(u.String(), "https://app.example.com/") {
		d.Fatalf("sent the browser to %s, want the client", u)
	}
	if u.Fragment != "" {
		v, err := url.ParseQuery(u.Fragment)
		if err != nil {
			d.Fatal(err)
		}
		return v
	}
	return u.Query()
}

// code gets an authorization code for somebody who is signed in.
func (d *door) code(cookie string, v url.Values) string {
	d.Helper()
	got := d.authorize(cookie, v)
	if got.Get("code") == "" {
		d.Fatalf("no code: %v", got)
	}
	return got.Get("code")
}

// reply is an answer of the token endpoint.
type reply struct {
	Status  int
	Header  http.Header
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Scope   string `json:"scope"`
	Issued  string `json:"issued_token_type"`
	Details any    `json:"authorization_details"`
	Error   string `json:"error"`
	Words   string `json:"error_description"`
}

// token asks the token endpoint, with the client's secret if it has one.
func (d *door) token(id, secret string, pairs ...string) reply {
	d.Helper()
	v := values(nil, pairs...)
	var head []string
	if secret != "" {
		head = []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
	} else if id != "" {
		v.Set("client_id", id)
	}
	return d.read(d.do("POST", "/oauth2/token", v.Encode(), head...))
}

func (d *door) read(w *httptest.ResponseRecorder) reply {
	d.Helper()
	got := reply{Status: w.Code, Header: w.Header()}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		d.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	return got
}

// redeem redeems a code; pairs change the request.
func (d *door) redeem(id, secret, code string, pairs ...string) reply {
	d.Helper()
	v := values(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}, pairs...)
	var flat []string
	for name := range v {
		flat = append(flat, name, v.Get(name))
	}
	return d.token(id, secret, flat...)
}

// tokens does the whole dance for somebody who is signed in.
func (d *door) tokens(cookie, id, secret string, pairs ...string) reply {
	d.Helper()
	got := d.redeem(id, secret, d.code(cookie, request(id, pairs...)))
	if got.Error != "" {
		d.Fatalf("redeem: %+v", got)
	}
	return got
}

func (d *door) refuse(got reply, status int, code string) {
	d.Helper()
	if got.Status != status || got.Error != code || got.Access != "" {
		d.Errorf("answered %d %q (%s), want %d %q", got.Status, got.Error, got.Words, status, code)
	}
}

// alive reports whether userinfo still answers for an access token.
func (d *door) alive(access string) bool {
	d.Helper()
	w := d.do("GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+access)
	if w.Code != http.StatusOK && w.Code != http.StatusUnauthorized {
		d.Fatalf("userinfo answered %d %s", w.Code, w.Body)
	}
	return w.Code == http.StatusOK
}

// claims decodes a JWT without looking at its signature.
func (d *door) claims(jwt string) map[string]any {
	d.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		d.Fatalf("%q is no JWT", jwt)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		d.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		d.Fatal(err)
	}
	return m
}
