package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// signer makes the request objects of a client.
type signer struct {
	d   *door
	key *jose.Key
}

// signer registers a client that has keys, whatever it authenticates with, and
// returns its secret.
func (d *door) signer(id string, change ...func(*client.Settings)) (signer, string) {
	d.Helper()
	key, err := jose.Generate("k1", jose.ES256)
	if err != nil {
		d.Fatal(err)
	}
	secret := d.app(id, append([]func(*client.Settings){func(s *client.Settings) {
		s.AuthMethod, s.RequestObjectAlg, s.JWKS = client.SecretBasic, jose.ES256, string(jose.Set{key.Public()}.JSON())
	}}, change...)...)
	return signer{d, key}, secret
}

// object is a request object for an authorization request; change alters its
// claims, and a nil value takes one away.
func (s signer) object(v url.Values, change map[string]any) string {
	s.d.Helper()
	return s.typed("oauth-authz-req+jwt", v, change)
}

func (s signer) typed(typ string, v url.Values, change map[string]any) string {
	s.d.Helper()
	now := s.d.Clock.Now()
	claims := map[string]any{"iss": v.Get("client_id"), "aud": s.d.issuer(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	for name := range v {
		claims[name] = v.Get(name)
	}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	b, err := json.Marshal(claims)
	if err != nil {
		s.d.Fatal(err)
	}
	text, err := jose.Sign(s.key, typ, b)
	if err != nil {
		s.d.Fatal(err)
	}
	return text
}

func by(id, object string) url.Values {
	return url.Values{"client_id": {id}, "request": {object}}
}

// TestSignedRequests: RFC 9101. What the client signed counts, sent along or
// pushed, and nothing that stands beside it.
func TestSignedRequests(t *testing.T) {
	run(t, func(d *door) {
		s, secret := d.signer("app")
		cookie := d.signIn(d.ada)
		v := request("app", "scope", "openid orders:read")
		beside := []string{"scope", "openid orders:write", "state", "s-2", "redirect_uri", callback + "2", "resource", "https://other.example.com",
			"response_type", "token", "prompt", "none", "max_age", "0"}
		change := map[string]any{"resource": []string{"https://api.example.com"}, "max_age": 3600,
			"claims": map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": true, "values": []string{"aal1"}}}}}
		sent := map[string]url.Values{
			"by value": values(by("app", s.object(v, change)), beside...),
			"pushed":   d.push("app", secret, values(by("app", s.object(v, change)), beside...)),
		}
		for name, v := range sent {
			got := d.authorize(cookie, v)
			if got.Get("state") != "s-1" {
				d.Errorf("%s: %v", name, got)
			}
			tokens := d.redeem("app", secret, got.Get("code"))
			aud, _ := json.Marshal(d.claims(tokens.Access)["aud"])
			if tokens.Scope != "openid orders:read" || strings.Contains(string(aud), "other.example.com") || !strings.Contains(string(aud), "api.example.com") {
				d.Errorf("%s: %+v for %s", name, tokens, aud)
			}
		}
	})
}

// TestSignedRequestsOutliveTheirObject: what the client signed stays asked for
// while the person signs in, though the object expires.
func TestSignedRequestsOutliveTheirObject(t *testing.T) {
	run(t, func(d *door) {
		s, _ := d.signer("app", func(s *client.Settings) { s.RequireSignedRequestObject = true })
		b := d.browser()
		page := b.open(by("app", s.object(request("app"), nil)))
		d.Clock.Advance(10 * time.Minute)
		if got := d.answer(b.password(page)); !got.Has("code") {
			d.Errorf("%v", got)
		}
	})
}

// TestRequestObjectsAreChecked: JW-01 to JW-04 for request objects. Each thing
// about one is wrong once; the person sees a page, and who pushed hears it.
func TestRequestObjectsAreChecked(t *testing.T) {
	run(t, func(d *door) {
		s, secret := d.signer("app")
		other, _ := d.signer("other")
		d.app("keyless")
		cookie, now, v := d.signIn(d.ada), d.Clock.Now(), request("app")
		good := s.object(v, nil)
		parts := strings.Split(good, ".")
		header := func(text string) string {
			return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + parts[1]
		}
		ps, _ := jose.Generate("k1", jose.PS256)
		for name, object := range map[string]string{
			"nothing":              "",
			"no JWT":               "x",
			"unsigned":             header(`{"alg":"none","typ":"oauth-authz-req+jwt"}`) + ".",
			"a MAC":                header(`{"alg":"HS256","typ":"oauth-authz-req+jwt"}`) + "." + parts[2],
			"its own key":          header(`{"alg":"ES256","typ":"oauth-authz-req+jwt","jku":"https://evil.example.com"}`) + "." + parts[2],
			"another signature":    header(`{"alg":"ES256","typ":"oauth-authz-req+jwt"}`) + "." + parts[2],
			"another algorithm":    signer{d, ps}.object(v, nil),
			"another's key":        other.object(v, nil),
			"a proof":              s.typed("dpop+jwt", v, nil),
			"a client assertion":   d.assertion(s.key, "app", nil),
			"an access token":      s.typed("at+jwt", v, nil),
			"no issuer":            s.object(v, map[string]any{"iss": nil}),
			"another issuer":       s.object(v, map[string]any{"iss": "other"}),
			"no audience":          s.object(v, map[string]any{"aud": nil}),
			"another audience":     s.object(v, map[string]any{"aud": "https://evil.example.com"}),
			"the endpoint":         s.object(v, map[string]any{"aud": d.issuer() + "/oauth2/authorize"}),
			"no client":            s.object(v, map[string]any{"client_id": nil}),
			"another client":       s.object(v, map[string]any{"client_id": "other"}),
			"an assertion's type":  s.typed("client-authentication+jwt", v, nil),
			"expired":              s.object(v, map[string]any{"exp": now.Add(-time.Minute).Unix()}),
			"90 minutes":           s.object(v, map[string]any{"exp": now.Add(90 * time.Minute).Unix()}),
			"90 minutes ago":       s.object(v, map[string]any{"nbf": now.Add(-90 * time.Minute).Unix()}),
			"61 minutes in all":    s.object(v, map[string]any{"nbf": now.Add(-30 * time.Minute).Unix(), "exp": now.Add(31 * time.Minute).Unix()}),
			"not yet":              s.object(v, map[string]any{"nbf": now.Add(5 * time.Minute).Unix()}),
			"issued later":         s.object(v, map[string]any{"iat": now.Add(5 * time.Minute).Unix()}),
			"a subject":            s.object(v, map[string]any{"sub": "app"}),
			"an object within":     s.object(v, map[string]any{"request": good}),
			"a reference within":   s.object(v, map[string]any{"request_uri": "https://app.example.com/r"}),
			"a parameter of null":  s.object(v, map[string]any{"nonce": nil, "prompt": json.RawMessage("null")}),
			"a list of parameters": s.object(v, map[string]any{"resource": []any{1}}),
			"NUL":                  s.object(v, map[string]any{"state": "a\x00b"}),
		} {
			w := d.opened(cookie, by("app", object))
			d.shown(name, w)
			if !strings.Contains(w.Body.String(), "invalid_request_object") {
				d.Errorf("%s: the page does not name the error", name)
			}
			if got := d.read(d.pushing("app", secret, by("app", object))); got.Status != 400 || got.Error != "invalid_request_object" {
				d.Errorf("%s, pushed: %+v", name, got)
			}
		}
		if got := d.read(d.pushing("app", secret, by("app", s.object(v, map[string]any{"x": strings.Repeat("x", 20<<10)})))); got.Error != "invalid_request_object" {
			d.Errorf("20 KiB: %+v", got)
		}
		d.shown("a client without keys", d.opened(cookie, by("keyless", s.object(request("keyless"), nil))))
		d.shown("of another client", d.opened(cookie, by("other", good)))
		d.shown("two at once", d.opened(cookie, values(by("app", good), "request_uri", "https://app.example.com/r")))
		// A good object with a bad request is answered at the address it names.
		if got := d.authorize(cookie, by("app", s.object(v, map[string]any{"scope": "nonsense"}))); got.Get("error") != "invalid_scope" || got.Get("state") != "s-1" {
			d.Errorf("a bad scope: %v", got)
		}
		d.shown("a bad address", d.opened(cookie, by("app", s.object(v, map[string]any{"redirect_uri": "https://evil.example.com/"}))))
		if got := d.authorize(cookie, by("app", s.object(v, map[string]any{"aud": []string{d.issuer(), "https://else.example.com"}, "nbf": nil}))); !got.Has("code") {
			d.Errorf("an audience among others: %v", got)
		}
	})
}

// TestRequestObjectsOfOpenIDConnect: OpenID Connect Core, section 6 knows no type
// and demands no expiry; FAPI 2.0 Message Signing, section 5.3.1 leaves the type
// to clients and demands the times.
func TestRequestObjectsOfOpenIDConnect(t *testing.T) {
	run(t, func(d *door) {
		s, _ := d.signer("app")
		cookie, timeless := d.signIn(d.ada), map[string]any{"exp": nil, "nbf": nil}
		for _, typ := range []string{"", "JWT", "oauth-authz-req+jwt"} {
			if got := d.authorize(cookie, by("app", s.typed(typ, request("app"), timeless))); !got.Has("code") {
				d.Errorf("type %q: %v", typ, got)
			}
		}
		// An assertion of the client, which is for us too, is no request: also
		// not with all that a request needs, for it has a sub.
		asserted := s.typed("JWT", request("app"), map[string]any{"sub": "app", "jti": rnd()})
		d.shown("an assertion", d.opened(cookie, by("app", asserted)))

		b := d.strictBank("bank", func(s *client.Settings) { s.RequireSignedRequestObject = true })
		for _, typ := range []string{"", "JWT", "oauth-authz-req+jwt"} {
			if got := d.authorize(cookie, b.pushes(by("bank", b.typed(typ, request("bank"), nil)))); !got.Has("code") {
				d.Errorf("fapi2, type %q: %v", typ, got)
			}
		}
		for _, name := range []string{"exp", "nbf"} {
			object := b.typed("JWT", request("bank"), map[string]any{name: nil})
			d.refuse(d.read(d.pushing("bank", "", b.proved(by("bank", object)))), 400, "invalid_request_object")
		}
	})
}

// TestRequestObjectIsNoAssertion: JW-03, the other way around.
func TestRequestObjectIsNoAssertion(t *testing.T) {
	run(t, func(d *door) {
		s, _ := d.signer("app", func(s *client.Settings) { s.AuthMethod = client.PrivateKeyJWT })
		object := s.object(request("app"), map[string]any{"sub": "app", "jti": rnd(), "exp": d.Clock.Now().Add(time.Minute).Unix()})
		d.refuse(d.token("", "", "grant_type", "client_credentials", "client_assertion", object,
			"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), 401, "invalid_client")
	})
}

// TestSignedRequestsCanBeRequired: a client that signs is not answered
// otherwise, at any endpoint.
func TestSignedRequestsCanBeRequired(t *testing.T) {
	run(t, func(d *door) {
		s, secret := d.signer("app", func(s *client.Settings) { s.RequireSignedRequestObject = true })
		cookie := d.signIn(d.ada)
		if got := d.authorize(cookie, request("app")); got.Get("error") != "invalid_request" || got.Has("code") {
			d.Errorf("unsigned: %v", got)
		}
		d.refuse(d.read(d.pushing("app", secret, request("app"))), 400, "invalid_request")
		if got := d.authorize(cookie, d.push("app", secret, by("app", s.object(request("app"), nil)))); !got.Has("code") {
			d.Errorf("signed and pushed: %v", got)
		}
		if got := d.authorize(cookie, by("app", s.object(request("app"), nil))); !got.Has("code") {
			d.Errorf("signed: %v", got)
		}
	})
}

// TestRequestsAreFetchedWhereRegistered: AZ-11. An address that is not
// registered is never asked, one of this machine is not reached.
func TestRequestsAreFetchedWhereRegistered(t *testing.T) {
	run(t, func(d *door) {
		asked := 0
		server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
		defer server.Close()
		_, secret := d.signer("app", func(s *client.Settings) { s.RequestURIs = []string{server.URL + "/registered"} })
		cookie := d.signIn(d.ada)
		for _, uri := range []string{server.URL + "/other", server.URL + "/registered?x", server.URL + "/registered", "https://evil.example.com/", "urn:x", "file:///etc/passwd", ""} {
			v := url.Values{"client_id": {"app"}, "request_uri": {uri}}
			w := d.opened(cookie, v)
			d.shown(uri, w)
			if !strings.Contains(w.Body.String(), "invalid_request_uri") && uri != "" {
				d.Errorf("%s: the page does not name the error", uri)
			}
			d.refuse(d.read(d.pushing("app", secret, v)), 400, "invalid_request")
		}
		if asked > 0 {
			d.Errorf("this machine was asked %d times", asked)
		}
		slowed := false
		for range 500 {
			slowed = slowed || d.opened("", url.Values{"client_id": {"app"}, "request_uri": {"https://elsewhere.example.com/"}}).Code == http.StatusTooManyRequests
		}
		if !slowed {
			d.Error("one address may ask as often as it likes")
		}
	})
}
