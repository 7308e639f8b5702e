package oauth_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// TestSignedInStraightToCode: somebody who is signed in gets a code at once,
// and it becomes tokens that say what they should.
func TestSignedInStraightToCode(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		got := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid profile orders:read")
		if got.Status != 200 || got.Type != "Bearer" || got.Expires != 600 || got.Refresh != "" || got.Scope != "openid orders:read profile" {
			d.Errorf("tokens: %+v", got)
		}
		id, access := d.claims(got.ID), d.claims(got.Access)
		for name, want := range map[string]any{"iss": d.issuer(), "sub": d.ada.ID, "aud": "app", "nonce": "n-1", "acr": "aal1"} {
			if id[name] != want {
				d.Errorf("ID token: %s is %v, want %v", name, id[name], want)
			}
		}
		if id["name"] != nil || id["at_hash"] == nil || id["auth_time"] == nil {
			d.Errorf("ID token: %v", id)
		}
		if access["client_id"] != "app" || access["scope"] != "openid orders:read profile" || access["sub"] != d.ada.ID {
			d.Errorf("access token: %v", access)
		}
		if !d.alive(got.Access) {
			d.Error("userinfo refuses a fresh token")
		}
	})
}

// TestBadAddressGetsAPage: AZ-03. Neither an unknown client nor an unknown
// redirect URI sends the browser anywhere.
func TestBadAddressGetsAPage(t *testing.T) {
	run(t, func(d *door) {
		d.app("app")
		cookie := d.signIn(d.ada)
		for name, v := range map[string]url.Values{
			"no client":        request("app", "client_id", ""),
			"unknown client":   request("other-app"),
			"junk client":      request("<script>"),
			"no redirect":      request("app", "redirect_uri", ""),
			"unknown redirect": request("app", "redirect_uri", "https://evil.example.com/cb"),
			"longer redirect":  request("app", "redirect_uri", callback+"/x"),
			"with error too":   request("app", "redirect_uri", "https://evil.example.com/cb", "response_type", "token"),
		} {
			w := d.get("/oauth2/authorize?"+v.Encode(), cookie)
			if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
				d.Errorf("%s: %d %v", name, w.Code, w.Header())
			}
			if strings.Contains(w.Body.String(), `="https://evil.example.com`) || strings.Contains(w.Body.String(), "<script>") {
				d.Errorf("%s: the page leads where the request wants", name)
			}
		}
		if err := d.Grants.DisableClient(context.Background(), audit.System, d.realm, "app", 0, nil); err != nil {
			d.Fatal(err)
		}
		if w := d.get("/oauth2/authorize?"+request("app").Encode(), cookie); w.Code != http.StatusBadRequest {
			d.Errorf("disabled client: %d", w.Code)
		}
	})
}

// TestOnlyTheCodeFlow: AZ-04. No token ever leaves through the browser.
func TestOnlyTheCodeFlow(t *testing.T) {
	run(t, func(d *door) {
		d.app("app")
		d.app("no-code", func(s *client.Settings) { s.GrantTypes = []string{client.ClientCredentials} })
		cookie := d.signIn(d.ada)
		for _, kind := range []string{"token", "id_token", "id_token token", "code token", "code id_token", "code id_token token", "none", "CODE", "code code"} {
			if got := d.authorize(cookie, request("app", "response_type", kind)); got.Get("error") != "unsupported_response_type" || got.Has("access_token") || got.Has("id_token") {
				d.Errorf("response_type %q: %v", kind, got)
			}
		}
		if got := d.authorize(cookie, request("app", "response_type", "")); got.Get("error") != "invalid_request" {
			d.Errorf("no response_type: %v", got)
		}
		if got := d.authorize(cookie, request("no-code")); got.Get("error") != "unauthorized_client" {
			d.Errorf("client without the grant: %v", got)
		}
	})
}

// TestPKCEIsDemanded: AZ-05.
func TestPKCEIsDemanded(t *testing.T) {
	run(t, func(d *door) {
		d.app("app")
		d.app("legacy", func(s *client.Settings) { s.PKCEOptional = true })
		cookie := d.signIn(d.ada)
		for name, pairs := range map[string][]string{
			"none":            {"code_challenge", "", "code_challenge_method", ""},
			"plain":           {"code_challenge", verifier, "code_challenge_method", "plain"},
			"no method":       {"code_challenge_method", ""},
			"only a method":   {"code_challenge", ""},
			"too short":       {"code_challenge", "abc"},
			"not base64url":   {"code_challenge", strings.Repeat("*", 43)},
			"stray last bits": {"code_challenge", strings.Repeat("A", 42) + "B"},
		} {
			if got := d.authorize(cookie, request("app", pairs...)); got.Get("error") != "invalid_request" || got.Has("code") {
				d.Errorf("%s: %v", name, got)
			}
		}
		if got := d.authorize(cookie, request("legacy", "code_challenge", "", "code_challenge_method", "")); !got.Has("code") {
			d.Errorf("client with the opt-out: %v", got)
		}
		if got := d.authorize(cookie, request("legacy", "code_challenge_method", "plain")); got.Get("error") != "invalid_request" {
			d.Errorf("client with the opt-out and plain: %v", got)
		}
	})
}

// TestEveryAnswerNamesTheIssuer: AZ-06, in each response mode, errors included.
func TestEveryAnswerNamesTheIssuer(t *testing.T) {
	run(t, func(d *door) {
		d.app("app")
		cookie := d.signIn(d.ada)
		for _, mode := range []string{"", "query", "fragment"} {
			good := d.authorize(cookie, request("app", "response_mode", mode))
			bad := d.authorize(cookie, request("app", "response_mode", mode, "scope", "nonsense"))
			for _, got := range []url.Values{good, bad} {
				if got.Get("iss") != d.issuer() || got.Get("state") != "s-1" {
					d.Errorf("mode %q: %v", mode, got)
				}
			}
			if !good.Has("code") || bad.Get("error") != "invalid_scope" {
				d.Errorf("mode %q: %v %v", mode, good, bad)
			}
		}
		w := d.get("/oauth2/authorize?"+request("app", "response_mode", "fragment").Encode(), cookie)
		if loc := w.Header().Get("Location"); strings.Contains(loc, "?") || !strings.HasPrefix(loc, callback+"#code=") {
			d.Errorf("fragment: %s", loc)
		}
		w = d.get("/oauth2/authorize?"+request("app", "response_mode", "form_post").Encode(), cookie)
		page := w.Body.String()
		if w.Code != 200 || !strings.Contains(page, `action="`+callback+`"`) || !strings.Contains(page, `name="iss"`) || !strings.Contains(page, `name="code"`) || !strings.Contains(page, `value="s-1"`) {
			d.Errorf("form_post: %d %s", w.Code, page)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://app.example.com") {
			d.Errorf("form_post: the page's form may not reach the client: %s", csp)
		}
		if got := d.authorize(cookie, request("app", "response_mode", "web_message")); got.Get("error") != "invalid_request" {
			d.Errorf("unknown mode: %v", got)
		}
	})
}

// TestRequestsAreBounded: AZ-07.
func TestRequestsAreBounded(t *testing.T) {
	run(t, func(d *door) {
		d.app("app")
		cookie := d.signIn(d.ada)
		base := "/oauth2/authorize?" + request("app").Encode()
		for _, twice := range []string{"client_id=app", "redirect_uri=" + url.QueryEscape(callback), "state=s-2", "scope=openid", "nonce=n-2", "x=1&x=2", "response_type=code"} {
			if w := d.get(base+"&"+twice, cookie); w.Code == http.StatusSeeOther {
				d.Errorf("a second %s went through to %s", twice, w.Header().Get("Location"))
			}
		}
		if got := d.authorize(cookie, request("app", "unknown", "x", "display", "touch", "claims_locales", "de")); !got.Has("code") {
			d.Errorf("unknown parameters are not ignored: %v", got)
		}
		for name, pairs := range map[string][]string{
			"scope":       {"scope", "openid " + strings.Repeat("x", 3000)},
			"many scopes": {"scope", strings.Repeat("openid ", 60)},
			"state":       {"state", strings.Repeat("x", 3000)},
			"nonce":       {"nonce", strings.Repeat("x", 600)},
			"acr_values":  {"acr_values", strings.Repeat("x ", 20)},
			"login_hint":  {"login_hint", strings.Repeat("x", 300)},
			"ui_locales":  {"ui_locales", strings.Repeat("de ", 20)},
			"claims":      {"claims", `{"userinfo":{"` + strings.Repeat("x", 5000) + `":null}}`},
			"claims deep": {"claims", strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)},
			"claims bad":  {"claims", `{"userinfo":[]}`},
			"claims dup":  {"claims", `{"userinfo":{},"userinfo":{}}`},
			"max_age":     {"max_age", "-1"},
			"max_age bad": {"max_age", "soon"},
			"prompt":      {"prompt", "whatever"},
			"prompt none": {"prompt", "none login"},
			"resource":    {"resource", "https://unknown.example.com"},
		} {
			if got := d.authorize(cookie, request("app", pairs...)); got.Get("error") == "" || got.Has("code") {
				d.Errorf("%s: %v", name, got)
			}
		}
		if got := d.authorize(cookie, request("app", "registration", "x")); got.Get("error") != "registration_not_supported" {
			d.Errorf("registration: %v", got)
		}
		if w := d.get("/oauth2/authorize?"+request("app", "login_hint", strings.Repeat("x", 9000)).Encode(), cookie); w.Code != http.StatusBadRequest {
			d.Errorf("oversized request: %d", w.Code)
		}
	})
}

// TestFormsEndIn303: AZ-08. A form that was posted to us is not carried on.
func TestFormsEndIn303(t *testing.T) {
	run(t, func(d *door) {
		d.app("app")
		w := d.do("POST", "/oauth2/authorize", request("app").Encode(), "Origin", "https://app.example.com", "Sec-Fetch-Site", "cross-site")
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(d.local(w), "/oauth2/authorize?") {
			d.Fatalf("posted request: %d %v %s", w.Code, w.Header(), w.Body)
		}
		got := d.answer(d.get(d.local(w), d.signIn(d.ada)))
		if !got.Has("code") || got.Get("state") != "s-1" {
			d.Errorf("posted request: %v", got)
		}
		w = d.do("POST", "/oauth2/logout", "state=x")
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(d.local(w), "/oauth2/logout?") {
			d.Errorf("posted logout: %d %v", w.Code, w.Header())
		}
	})
}

// TestConsentIsRemembered: AZ-09. It is asked for once per client and scope,
// and again when it was taken back.
func TestConsentIsRemembered(t *testing.T) {
	run(t, func(d *door) {
		third := func(s *client.Settings) { s.FirstParty = false }
		secret := d.app("third", third)
		d.app("fourth", third)
		cookie, ctx := d.signIn(d.ada), context.Background()
		asks := func(id string, pairs ...string) bool {
			d.Helper()
			got := d.authorize(cookie, request(id, append(pairs, "prompt", "none")...))
			if !got.Has("code") && got.Get("error") != "consent_required" {
				d.Errorf("%v", got)
			}
			return !got.Has("code")
		}
		if !asks("third") {
			d.Error("nobody was asked")
		}
		w := d.get("/oauth2/authorize?"+request("third").Encode(), cookie)
		if loc := d.local(w); w.Code != http.StatusSeeOther || !strings.HasPrefix(loc, "/consent?flow=") {
			d.Errorf("without prompt=none: %d %s", w.Code, loc)
		}
		if err := d.Grants.Remember(ctx, audit.System, d.realm, d.ada.ID, "third", []string{"openid", "profile"}); err != nil {
			d.Fatal(err)
		}
		if asks("third") || !asks("third", "scope", "openid email") || !asks("fourth") {
			d.Error("consent is not per client and scope")
		}
		got := d.tokens(cookie, "third", secret)
		if err := d.Grants.RevokeConsent(ctx, audit.System, d.realm, d.ada.ID, "third", "test"); err != nil {
			d.Fatal(err)
		}
		if !asks("third") || d.alive(got.Access) {
			d.Error("a consent taken back still counts")
		}
	})
}

// TestPromptAndAge: SE-09. What the client wants to know of the sign-in is held
// to, and the ID token tells the truth about it.
func TestPromptAndAge(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		none := func(cookie string, pairs ...string) string {
			d.Helper()
			return d.authorize(cookie, request("app", append(pairs, "prompt", "none")...)).Get("error")
		}
		if got := none(""); got != "login_required" {
			d.Errorf("prompt=none without a session: %q", got)
		}
		cookie := d.signIn(d.ada)
		began := d.Clock.Now()
		d.Clock.Advance(100 * time.Second)
		if got := none(cookie); got != "" {
			d.Errorf("prompt=none with a session: %q", got)
		}
		if got := none(cookie, "max_age", "100"); got != "" {
			d.Errorf("max_age=100 after 100 s: %q", got)
		}
		if got := none(cookie, "max_age", "99"); got != "login_required" {
			d.Errorf("max_age=99 after 100 s: %q", got)
		}
		if got := none(cookie, "max_age", "0"); got != "login_required" {
			d.Errorf("max_age=0: %q", got)
		}
		for value, want := range map[string]string{"aal1": "", "aal2": "login_required", "aal9": "unmet_authentication_requirements"} {
			if got := none(cookie, "claims", `{"id_token":{"acr":{"essential":true,"values":["`+value+`"]}}}`); got != want {
				d.Errorf("essential acr %s: %q, want %q", value, got, want)
			}
		}
		for _, prompt := range []string{"login", "login consent", "select_account"} {
			w := d.get("/oauth2/authorize?"+request("app", "prompt", prompt).Encode(), cookie)
			if loc := d.local(w); w.Code != http.StatusSeeOther || !strings.HasPrefix(loc, "/signin?flow=") && !strings.HasPrefix(loc, "/accounts?flow=") {
				d.Errorf("prompt=%s: %d %s", prompt, w.Code, loc)
			}
		}
		got := d.tokens(cookie, "app", secret, "max_age", "3600")
		if at, ok := d.claims(got.ID)["auth_time"].(float64); !ok || int64(at) != began.Unix() {
			d.Errorf("auth_time is %v, want %d", d.claims(got.ID)["auth_time"], began.Unix())
		}
		grace := d.Person(d.T, d.realm, "grace@example.com")
		other := d.tokens(d.signIn(grace), "app", secret)
		if got := none(cookie, "id_token_hint", other.ID); got != "login_required" {
			d.Errorf("the hint names somebody else: %q", got)
		}
		if got := none(cookie, "id_token_hint", got.ID); got != "" {
			d.Errorf("the hint names who is signed in: %q", got)
		}
		for _, bad := range []string{got.Access, got.ID[:len(got.ID)-4] + "AAAA", "x", "a.b.c"} {
			if got := none(cookie, "id_token_hint", bad); got != "invalid_request" {
				d.Errorf("hint %.20q: %q", bad, got)
			}
		}
		if got := none(cookie, "claims", `{"id_token":{"sub":{"value":"`+grace.ID+`"}}}`); got != "login_required" {
			d.Errorf("the claims parameter names somebody else: %q", got)
		}
	})
}

// TestACRValues: SE-09, RFC 9470, section 5. A level that a sign-in can reach is
// asked for, one that none can reach is not, and the tokens say what is true.
func TestACRValues(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		weak := d.signInAs(d.ada, "aal0")
		none := func(cookie, values string) string {
			return d.authorize(cookie, request("app", "prompt", "none", "acr_values", values)).Get("error")
		}
		for values, want := range map[string]string{"": "", "aal0": "", "aal1": "login_required", "aal9 aal1": "login_required", "aal0 aal1": "", "aal9": "", "AAL1": ""} {
			if got := none(weak, values); got != want {
				d.Errorf("acr_values %q: %q, want %q", values, got, want)
			}
		}
		b := d.browser()
		b.cookies = map[string]string{}
		name, value, _ := strings.Cut(weak, "=")
		b.cookies[name] = value
		got := d.redeem("app", secret, d.answer(b.password(b.open(request("app", "acr_values", "aal1")))).Get("code"))
		for _, token := range []string{got.ID, got.Access} {
			if acr, at := d.claims(token)["acr"], d.claims(token)["auth_time"]; acr != "aal1" || at == nil {
				d.Errorf("after the sign-in: acr %v, auth_time %v", acr, at)
			}
		}
		plain := d.tokens(d.signInAs(d.ada, "aal0"), "app", secret, "acr_values", "aal9")
		if acr := d.claims(plain.Access)["acr"]; acr != "aal0" {
			d.Errorf("what no sign-in reaches: acr %v", acr)
		}
	})
}

// TestSessionsEndCodes: a code dies with the session it came of.
func TestSessionsEndCodes(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		cookie := d.signIn(d.ada)
		code := d.code(cookie, request("app"))
		if err := d.Grants.SignOutEverywhere(context.Background(), audit.System, d.realm, d.ada.ID, "test"); err != nil {
			d.Fatal(err)
		}
		d.refuse(d.redeem("app", secret, code), 400, "invalid_grant")
	})
}
