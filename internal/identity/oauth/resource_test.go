package oauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

func randomText() secret.Text { return secret.New("cdt_") }

func api(identifier string) func(*client.Settings) {
	return func(s *client.Settings) {
		*s = client.Settings{Name: "API", Type: client.Service, ResourceServer: true, Scopes: []string{"x"}, Identifiers: []string{identifier}}
	}
}

// introspect asks as a client what a token means.
func (d *door) introspect(id, secret, token string) map[string]any {
	d.Helper()
	w := d.do("POST", "/oauth2/introspect", url.Values{"token": {token}}.Encode(), "Authorization", "Basic "+basicOf(id, secret))
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != 200 {
		d.Fatalf("introspect: %d %s", w.Code, w.Body)
	}
	return m
}

// TestIntrospection: CL-07. A token means something to the client it was issued
// to and to the resource servers it is for, in either format, and to nobody
// else.
func TestIntrospection(t *testing.T) {
	run(t, func(d *door) {
		for _, format := range []client.TokenFormat{client.JWT, client.Opaque} {
			name := string(format)
			secret := d.app("app-"+name, func(s *client.Settings) { s.AccessTokenFormat = format })
			meant := d.app("meant-"+name, api("https://api.example.com"))
			other := d.app("other-"+name, api("https://else.example.com"))
			any := d.app("any-"+name, api("https://else.example.com"), func(s *client.Settings) { s.IntrospectAny = true })
			stranger := d.app("stranger-"+name, func(s *client.Settings) { s.Resources = []string{"https://api.example.com"} })
			token := d.token("app-"+name, secret, "grant_type", "client_credentials").Access
			for id, pass := range map[string]string{"app": secret, "meant": meant, "any": any} {
				got := d.introspect(id+"-"+name, pass, token)
				if got["active"] != true || got["client_id"] != "app-"+name || got["scope"] != "orders:read orders:write" || got["iss"] != d.issuer() || got["token_type"] != "Bearer" {
					d.Errorf("%s asks: %v", id, got)
				}
			}
			for id, pass := range map[string]string{"other": other, "stranger": stranger} {
				if got := d.introspect(id+"-"+name, pass, token); got["active"] != false || len(got) != 1 {
					d.Errorf("%s asks: %v", id, got)
				}
			}
			for _, junk := range []string{"x", token + "x", token[:len(token)-1], "cdo_x", "cdr_x", "a.b.c"} {
				if got := d.introspect("any-"+name, any, junk); got["active"] != false || len(got) != 1 {
					d.Errorf("%.20s: %v", junk, got)
				}
			}
			d.Clock.Advance(11 * time.Minute)
			if got := d.introspect("meant-"+name, meant, token); got["active"] != false {
				d.Errorf("expired: %v", got)
			}
		}
		d.app("spa", public)
		if w := d.do("POST", "/oauth2/introspect", "token=x&client_id=spa"); w.Code != 401 {
			d.Errorf("a public client: %d", w.Code)
		}
		if w := d.do("POST", "/oauth2/introspect", "token=x"); w.Code != 401 {
			d.Errorf("nobody: %d", w.Code)
		}
	})
}

// TestSignedIntrospection: the answer as a JWT for the caller alone (RFC 9701).
func TestSignedIntrospection(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		token := d.token("app", secret, "grant_type", "client_credentials").Access
		w := d.do("POST", "/oauth2/introspect", "token="+token, "Authorization", "Basic "+basicOf("app", secret), "Accept", "application/token-introspection+jwt")
		if w.Header().Get("Content-Type") != "application/token-introspection+jwt" {
			d.Fatalf("%v %s", w.Header(), w.Body)
		}
		got := d.claims(w.Body.String())
		inner, _ := got["token_introspection"].(map[string]any)
		if got["iss"] != d.issuer() || got["aud"] != "app" || inner["active"] != true || got["sub"] != nil || got["exp"] != nil {
			d.Errorf("%v", got)
		}
		// It is no access token, though we signed it.
		if d.alive(w.Body.String()) || d.introspect("app", secret, w.Body.String())["active"] != false {
			d.Error("the answer passes for a token")
		}
	})
}

// TestRefreshTokenIntrospection: its client alone learns of it.
func TestRefreshTokenIntrospection(t *testing.T) {
	run(t, func(d *door) {
		secret, other := d.app("app"), d.app("other")
		got := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid offline_access")
		if m := d.introspect("app", secret, got.Refresh); m["active"] != true || m["sub"] != d.ada.ID || m["client_id"] != "app" {
			d.Errorf("its client: %v", m)
		}
		if m := d.introspect("other", other, got.Refresh); m["active"] != false || len(m) != 1 {
			d.Errorf("another client: %v", m)
		}
		if err := d.Grants.SuspendPrincipal(context.Background(), audit.System, d.realm, d.ada.ID, "test", nil); err != nil {
			d.Fatal(err)
		}
		if m := d.introspect("app", secret, got.Refresh); m["active"] != false {
			d.Errorf("suspended: %v", m)
		}
	})
}

// TestRevocation: LC-07. Its own tokens only, 200 for what is unknown, a
// refresh token takes its access tokens along, and a token of a client's own
// dies alone.
func TestRevocation(t *testing.T) {
	run(t, func(d *door) {
		secret, other := d.app("app"), d.app("other")
		d.app("spa", public)
		cookie := d.signIn(d.ada)
		revoke := func(id, secret, token string) int {
			d.Helper()
			if secret == "" {
				return d.do("POST", "/oauth2/revoke", url.Values{"token": {token}, "client_id": {id}}.Encode()).Code
			}
			return d.do("POST", "/oauth2/revoke", url.Values{"token": {token}}.Encode(), "Authorization", "Basic "+basicOf(id, secret)).Code
		}
		byRefresh := d.tokens(cookie, "app", secret, "scope", "openid offline_access")
		byAccess := d.tokens(cookie, "app", secret, "scope", "openid offline_access")
		for _, token := range []string{byRefresh.Refresh, byRefresh.Access, "unknown", "cdr_unknown", "a.b.c"} {
			if got := revoke("other", other, token); got != 200 {
				d.Errorf("another client: %d", got)
			}
		}
		if !d.alive(byRefresh.Access) {
			d.Error("another client revoked a token")
		}
		if got := revoke("app", secret, byRefresh.Refresh); got != 200 || d.alive(byRefresh.Access) || !d.alive(byAccess.Access) {
			d.Errorf("by refresh token: %d", got)
		}
		d.refuse(d.token("app", secret, "grant_type", "refresh_token", "refresh_token", byRefresh.Refresh), 400, "invalid_grant")
		if got := revoke("app", secret, byAccess.Access); got != 200 || d.alive(byAccess.Access) {
			d.Errorf("by access token: %d", got)
		}
		d.refuse(d.token("app", secret, "grant_type", "refresh_token", "refresh_token", byAccess.Refresh), 400, "invalid_grant")
		if got := revoke("app", secret, byAccess.Access); got != 200 {
			d.Errorf("once more: %d", got)
		}
		spa := d.tokens(cookie, "spa", "")
		if got := revoke("spa", "", spa.Access); got != 200 || d.alive(spa.Access) {
			d.Errorf("a public client: %d", got)
		}
		one := d.token("app", secret, "grant_type", "client_credentials").Access
		two := d.token("app", secret, "grant_type", "client_credentials").Access
		if got := revoke("app", secret, one); got != 200 || d.introspect("app", secret, one)["active"] != false || d.introspect("app", secret, two)["active"] != true {
			d.Errorf("a token of the client's own: %d", got)
		}
		if got := revoke("app", "wrong", two); got != 401 {
			d.Errorf("wrong secret: %d", got)
		}
		if w := d.do("POST", "/oauth2/revoke", "x=y", "Authorization", "Basic "+basicOf("app", secret)); w.Code != 400 {
			d.Errorf("no token: %d", w.Code)
		}
	})
}

// TestUserInfo: claims by scope and by the claims parameter, in plain and
// signed, and RFC 6750's words for what is missing.
func TestUserInfo(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app", func(s *client.Settings) { s.Scopes = append(s.Scopes, "address", "phone") })
		signed := d.app("signed", func(s *client.Settings) { s.UserInfoAlg = "EdDSA" })
		if _, err := d.People.Update(context.Background(), audit.System, d.realm, d.ada.ID, 0, principal.Change{Profile: &principal.Profile{
			GivenName: "Ada", Nickname: "Countess", PhoneNumber: "+44 20 7946 0000", Address: principal.Address{Locality: "London", StreetAddress: "12 St James's Square"}}}); err != nil {
			d.Fatal(err)
		}
		cookie := d.signIn(d.ada)
		info := func(head ...string) map[string]any {
			d.Helper()
			w := d.do("GET", "/oauth2/userinfo", "", head...)
			m := map[string]any{}
			if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != 200 {
				d.Fatalf("%d %s", w.Code, w.Body)
			}
			return m
		}
		all := d.tokens(cookie, "app", secret, "scope", "openid profile email address phone")
		m := info("Authorization", "Bearer "+all.Access)
		for name, want := range map[string]any{"sub": d.ada.ID, "name": "Ada Example", "given_name": "Ada", "nickname": "Countess", "email": "ada@example.com", "email_verified": true,
			"phone_number": "+44 20 7946 0000", "phone_number_verified": false} {
			if m[name] != want {
				d.Errorf("%s is %v, want %v", name, m[name], want)
			}
		}
		if a, _ := m["address"].(map[string]any); a["locality"] != "London" || len(a) != 2 {
			d.Errorf("address: %v", m["address"])
		}
		few := d.tokens(cookie, "app", secret, "scope", "openid", "claims", `{"userinfo":{"email":{"essential":true},"nonsense":null},"id_token":{"nickname":null}}`)
		if m = info("Authorization", "bearer "+few.Access); len(m) != 2 || m["email"] != "ada@example.com" {
			d.Errorf("claims parameter: %v", m)
		}
		if id := d.claims(few.ID); id["nickname"] != "Countess" || id["email"] != nil {
			d.Errorf("claims parameter, ID token: %v", id)
		}
		if w := d.do("POST", "/oauth2/userinfo", url.Values{"access_token": {all.Access}}.Encode()); w.Code != 200 {
			d.Errorf("token in a form: %d %s", w.Code, w.Body)
		}
		// A header that carries no token of ours is no second way.
		if w := d.do("POST", "/oauth2/userinfo", url.Values{"access_token": {all.Access}}.Encode(), "Authorization", "Basic "+basicOf("app", secret)); w.Code != 200 {
			d.Errorf("token in a form beside Basic: %d %s", w.Code, w.Body)
		}
		jwt := d.tokens(cookie, "signed", signed)
		w := d.do("GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+jwt.Access)
		if c := d.claims(w.Body.String()); w.Header().Get("Content-Type") != "application/jwt" || c["iss"] != d.issuer() || c["aud"] != "signed" || c["sub"] != d.ada.ID {
			d.Errorf("signed: %v %v", w.Header(), c)
		}
		if both := d.tokens(cookie, "app", secret, "resource", "https://api.example.com"); !d.alive(both.Access) || len(d.claims(both.Access)["aud"].([]any)) != 2 {
			d.Error("with openid a token for an API is for userinfo too")
		}
		narrow := d.tokens(cookie, "app", secret, "scope", "orders:read", "resource", "https://api.example.com")
		own := d.token("app", secret, "grant_type", "client_credentials")
		for name, v := range map[string]struct {
			method, path, body, header, challenge string
			status                                int
		}{
			"nothing":            {"GET", "", "", "", `Bearer realm="` + d.issuer() + `"`, 401},
			"junk":               {"GET", "", "", "Bearer x", `error="invalid_token"`, 401},
			"ID token":           {"GET", "", "", "Bearer " + all.ID, `error="invalid_token"`, 401},
			"no token":           {"GET", "", "", "Bearer", `error="invalid_request"`, 400},
			"for an API alone":   {"GET", "", "", "Bearer " + narrow.Access, `error="insufficient_scope"`, 403},
			"of a client itself": {"GET", "", "", "Bearer " + own.Access, `error="insufficient_scope", scope="openid"`, 403},
			"in the address":     {"GET", "?access_token=" + all.Access, "", "", `error="invalid_request"`, 400},
			"two ways":           {"POST", "", "access_token=" + all.Access, "Bearer " + all.Access, `error="invalid_request"`, 400},
		} {
			var head []string
			if v.header != "" {
				head = []string{"Authorization", v.header}
			}
			w := d.do(v.method, "/oauth2/userinfo"+v.path, v.body, head...)
			if w.Code != v.status || !strings.Contains(w.Header().Get("WWW-Authenticate"), v.challenge) {
				d.Errorf("%s: %d %q", name, w.Code, w.Header().Get("WWW-Authenticate"))
			}
			there := apptest.Issuer + "/.well-known/oauth-protected-resource" + strings.TrimPrefix(d.issuer(), apptest.Issuer)
			if got := w.Header().Get("WWW-Authenticate"); !strings.Contains(got, `, resource_metadata="`+there+`"`) {
				d.Errorf("%s: it does not lead to the metadata: %q", name, got)
			}
		}
		// RFC 6750, section 3.1: who tries what is not taken is told no error.
		other := d.do("GET", "/oauth2/userinfo", "", "Authorization", "Basic YTpi")
		if got := other.Header().Get("WWW-Authenticate"); other.Code != 401 || strings.Contains(got, "error") {
			d.Errorf("Basic: %d %q", other.Code, got)
		}
	})
}

// TestScriptsOfOtherOrigins: WB-04. Registered single-page applications call
// the token endpoint and userinfo, nobody's script reads authorize, and cookies
// never come along.
func TestScriptsOfOtherOrigins(t *testing.T) {
	run(t, func(d *door) {
		d.app("app")
		d.app("spa", public, func(s *client.Settings) { s.RedirectURIs = []string{"https://spa.example.com/cb"} })
		allowed := func(method, path, origin string, head ...string) string {
			d.Helper()
			w := d.do(method, path, "", append(head, "Origin", origin)...)
			if w.Header().Get("Access-Control-Allow-Credentials") != "" {
				d.Errorf("%s: credentials are allowed", path)
			}
			return w.Header().Get("Access-Control-Allow-Origin")
		}
		for _, path := range []string{"/oauth2/token", "/oauth2/userinfo", "/oauth2/revoke"} {
			if got := allowed("OPTIONS", path, "https://spa.example.com", "Access-Control-Request-Method", "POST"); got != "https://spa.example.com" {
				d.Errorf("preflight of %s: %q", path, got)
			}
			for _, origin := range []string{"https://evil.example.com", "https://app.example.com", "http://spa.example.com", "https://spa.example.com:444", "null", "https://spa.example.com.evil.com"} {
				if got := allowed("OPTIONS", path, origin, "Access-Control-Request-Method", "POST"); got != "" {
					d.Errorf("preflight of %s from %s: %q", path, origin, got)
				}
			}
		}
		if got := allowed("GET", "/oauth2/userinfo", "https://spa.example.com"); got != "https://spa.example.com" {
			d.Errorf("userinfo: %q", got)
		}
		for _, path := range []string{"/oauth2/authorize", "/oauth2/logout", "/oauth2/introspect"} {
			for _, method := range []string{"GET", "OPTIONS"} {
				if got := allowed(method, path, "https://spa.example.com", "Access-Control-Request-Method", "GET"); got != "" {
					d.Errorf("%s %s: %q", method, path, got)
				}
			}
		}
		for _, path := range []string{"/oauth2/jwks", "/.well-known/openid-configuration"} {
			if got := allowed("GET", path, "https://evil.example.com"); got != "*" {
				d.Errorf("%s: %q", path, got)
			}
		}
		if err := d.Grants.DisableClient(context.Background(), audit.System, d.realm, "spa", 0, nil); err != nil {
			d.Fatal(err)
		}
		if got := allowed("OPTIONS", "/oauth2/token", "https://spa.example.com", "Access-Control-Request-Method", "POST"); got != "" {
			d.Errorf("a disabled application's origin: %q", got)
		}
	})
}

// TestLogout: SE-10.
func TestLogout(t *testing.T) {
	run(t, func(d *door) {
		secret, other := d.app("app"), d.app("other")
		bye := "https://app.example.com/bye"
		logout := func(cookie string, pairs ...string) (int, string) {
			d.Helper()
			w := d.get("/oauth2/logout?"+values(nil, pairs...).Encode(), cookie)
			return w.Code, w.Header().Get("Location")
		}
		signedIn := func(cookie string) bool {
			d.Helper()
			return d.authorize(cookie, request("app", "prompt", "none")).Has("code")
		}
		cookie := d.signIn(d.ada)
		id := d.tokens(cookie, "app", secret).ID
		for name, pairs := range map[string][]string{
			"unknown address":        {"id_token_hint", id, "post_logout_redirect_uri", "https://evil.example.com/"},
			"longer address":         {"id_token_hint", id, "post_logout_redirect_uri", bye + "/x"},
			"redirect URI":           {"id_token_hint", id, "post_logout_redirect_uri", callback},
			"address without client": {"post_logout_redirect_uri", bye},
			"unknown client":         {"client_id", "nobody", "post_logout_redirect_uri", bye},
			"hint of another client": {"id_token_hint", id, "client_id", "other", "post_logout_redirect_uri", bye},
		} {
			if code, to := logout(cookie, pairs...); code != http.StatusBadRequest || to != "" {
				d.Errorf("%s: %d %s", name, code, to)
			}
		}
		for name, pairs := range map[string][]string{
			"nothing":       nil,
			"a client":      {"client_id", "app", "post_logout_redirect_uri", bye},
			"changed hint":  {"id_token_hint", id[:len(id)-6] + "AAAAAA", "client_id", "app", "post_logout_redirect_uri", bye},
			"another token": {"id_token_hint", d.tokens(cookie, "app", secret).Access, "client_id", "app"},
		} {
			if code, to := logout(cookie, pairs...); code != http.StatusOK || to != "" {
				d.Errorf("%s: %d %s, want the page that asks", name, code, to)
			}
		}
		if !signedIn(cookie) {
			d.Fatal("somebody was signed out unasked")
		}
		// RP-Initiated Logout, section 2: a hint of somebody who is not here, or of
		// a session that is over, has the person asked who is here.
		grace := d.signIn(d.Person(d.T, d.realm, "grace@example.com"))
		if code, to := logout(grace, "id_token_hint", id, "post_logout_redirect_uri", bye); code != http.StatusOK || to != "" || !signedIn(grace) {
			d.Errorf("the hint of somebody who is not here: %d %s", code, to)
		}
		anew := d.signIn(d.ada)
		if code, to := logout(anew, "id_token_hint", id, "post_logout_redirect_uri", bye); code != http.StatusOK || to != "" || !signedIn(anew) {
			d.Errorf("the hint of another session: %d %s", code, to)
		}
		if code, to := logout("", "id_token_hint", id, "post_logout_redirect_uri", bye, "state", "s"); code != http.StatusSeeOther || to != bye+"?state=s" {
			d.Errorf("nobody is signed in: %d %s", code, to)
		}
		got := d.tokens(cookie, "other", other, "scope", "openid offline_access")
		bound := d.tokens(cookie, "other", other)
		d.Clock.Advance(20 * time.Minute) // the hint has expired and still names somebody
		cookieWas := signedIn(cookie)
		code, to := logout(cookie, "id_token_hint", id, "post_logout_redirect_uri", bye, "state", "a b&c")
		if !cookieWas || code != http.StatusSeeOther || to != bye+"?state=a+b%26c" {
			d.Errorf("%d %s", code, to)
		}
		if signedIn(cookie) || d.alive(bound.Access) {
			d.Error("the session lives on")
		}
		if after := d.token("other", other, "grant_type", "refresh_token", "refresh_token", got.Refresh); after.Access == "" {
			d.Errorf("offline access must outlive the session: %+v", after)
		}
	})
}
