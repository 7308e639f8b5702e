package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// TestDiscovery: both documents say the same and nothing that is not so.
func TestDiscovery(t *testing.T) {
	run(t, func(d *door) {
		w := d.get("/.well-known/openid-configuration", "")
		var doc map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != 200 {
			d.Fatalf("%d %s", w.Code, w.Body)
		}
		oauth := d.get("/.well-known/oauth-authorization-server", "")
		if oauth.Body.String() != w.Body.String() {
			d.Error("the documents differ")
		}
		// RFC 8414, section 3.1: the issuer's path goes behind the well-known one.
		r := httptest.NewRequest("GET", apptest.Issuer+"/.well-known/oauth-authorization-server"+strings.TrimPrefix(d.issuer(), apptest.Issuer), nil)
		inserted := httptest.NewRecorder()
		d.Handler.ServeHTTP(inserted, r)
		if inserted.Body.String() != w.Body.String() {
			d.Errorf("with the path behind: %d %s", inserted.Code, inserted.Body)
		}
		if doc["issuer"] != d.issuer() || doc["authorization_response_iss_parameter_supported"] != true || doc["request_parameter_supported"] != true || doc["require_request_uri_registration"] != true {
			d.Errorf("%v", doc)
		}
		for name := range doc {
			if endpoint, ok := doc[name].(string); ok && strings.HasSuffix(name, "_endpoint") || name == "jwks_uri" {
				path := strings.TrimPrefix(endpoint, d.issuer())
				if name == "jwks_uri" {
					path = strings.TrimPrefix(doc[name].(string), d.issuer())
				}
				if got, post := d.get(path, "").Code, d.do("POST", path, "x=y").Code; got == http.StatusNotFound || post == http.StatusNotFound {
					d.Errorf("%s: nothing at %s", name, path)
				}
			}
		}
		cached := d.do("GET", "/.well-known/openid-configuration", "", "If-None-Match", w.Header().Get("ETag"))
		if cached.Code != http.StatusNotModified || cached.Body.Len() != 0 || !strings.Contains(w.Header().Get("Cache-Control"), "max-age=") {
			d.Errorf("a cached document: %d %v", cached.Code, w.Header())
		}
	})
}

// TestAlgorithms: each client gets what it asked for, ES256 where it asked for
// nothing and RS256 where it asked for OpenID's default; all verify with the
// published keys.
func TestAlgorithms(t *testing.T) {
	run(t, func(d *door) {
		cookie := d.signIn(d.ada)
		for name, v := range map[string]struct {
			change     func(*client.Settings)
			id, access string
		}{
			"plain":  {func(*client.Settings) {}, "ES256", "ES256"},
			"openid": {func(s *client.Settings) { s.OpenIDDefaults = true }, "RS256", "ES256"},
			"named":  {func(s *client.Settings) { s.OpenIDDefaults, s.IDTokenAlg, s.AccessTokenAlg = true, "PS256", "EdDSA" }, "PS256", "EdDSA"},
		} {
			secret := d.app(name, v.change)
			got := d.tokens(cookie, name, secret)
			set, err := jose.ParseSet(d.get("/oauth2/jwks", "").Body.Bytes())
			if err != nil {
				d.Fatal(err)
			}
			for text, want := range map[string]struct{ alg, typ string }{got.ID: {v.id, "JWT"}, got.Access: {v.access, "at+jwt"}} {
				if verified, err := jose.Verify(text, jose.Want{Typ: []string{want.typ}, Keys: set, Alg: want.alg}); err != nil {
					d.Errorf("%s, %s: %v %v", name, want.typ, verified, err)
				}
			}
		}
		w := d.get("/oauth2/jwks", "")
		if cached := d.do("GET", "/oauth2/jwks", "", "If-None-Match", w.Header().Get("ETag")); cached.Code != http.StatusNotModified || strings.Contains(w.Body.String(), `"d"`) {
			d.Errorf("keys: %d %s", cached.Code, w.Body)
		}
	})
}

// TestPairwiseSubjects: clients of two sectors know one person by two names,
// and everything we say about the person to one of them agrees.
func TestPairwiseSubjects(t *testing.T) {
	run(t, func(d *door) {
		pairwise := func(sector string) func(*client.Settings) {
			return func(s *client.Settings) { s.SubjectType, s.Sector = client.Pairwise, sector }
		}
		one, two, same := d.app("one", pairwise("")), d.app("two", pairwise("two.example.com")), d.app("same", pairwise("app.example.com"))
		cookie := d.signIn(d.ada)
		subs := map[string]string{}
		for id, secret := range map[string]string{"one": one, "two": two, "same": same} {
			got := d.tokens(cookie, id, secret)
			sub := d.claims(got.ID)["sub"].(string)
			w := d.do("GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+got.Access)
			if d.claims(got.Access)["sub"] != sub || !strings.Contains(w.Body.String(), `"sub":"`+sub+`"`) || d.introspect(id, secret, got.Access)["sub"] != sub {
				d.Errorf("%s: the tokens and endpoints disagree about %s", id, sub)
			}
			if hint := d.authorize(cookie, request(id, "prompt", "none", "id_token_hint", got.ID)); !hint.Has("code") {
				d.Errorf("%s: the hint is not understood: %v", id, hint)
			}
			subs[id] = sub
		}
		if subs["one"] == d.ada.ID || subs["one"] == subs["two"] || subs["one"] != subs["same"] {
			d.Errorf("subjects: %v", subs)
		}
	})
}

// TestHintOfSomebodyElse: a pairwise client names somebody who is not here. The
// person may sign in; when it is somebody else after all, the client hears so,
// and nobody goes in circles.
func TestHintOfSomebodyElse(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app", func(s *client.Settings) { s.SubjectType = client.Pairwise })
		grace := d.tokens(d.signIn(d.Person(d.T, d.realm, "grace@example.com")), "app", secret)
		b := d.browser()
		d.answer(b.password(b.open(request("app"))))
		got := d.answer(b.password(b.open(request("app", "id_token_hint", grace.ID))))
		if got.Get("error") != "login_required" {
			d.Errorf("%v", got)
		}
	})
}

// TestOpaqueTokens: they do everything that others do and say nothing.
func TestOpaqueTokens(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app", func(s *client.Settings) { s.AccessTokenFormat = client.Opaque })
		got := d.tokens(d.signIn(d.ada), "app", secret)
		if !strings.HasPrefix(got.Access, "cdo_") || !d.alive(got.Access) {
			d.Errorf("%+v", got)
		}
		for _, bad := range []string{got.Access[:len(got.Access)-1], got.Access + "A", flip(got.Access), "cdo_" + got.Access} {
			if d.alive(bad) {
				d.Errorf("%q is taken for %q", bad, got.Access)
			}
		}
		if code := d.do("POST", "/oauth2/revoke", url.Values{"token": {got.Access}}.Encode(), "Authorization", "Basic "+basicOf("app", secret)).Code; code != 200 || d.alive(got.Access) {
			d.Errorf("revoked: %d", code)
		}
	})
}

// TestClaimNamesAreSorted keeps discovery's list free of duplicates.
func TestClaimsSupported(t *testing.T) {
	run(t, func(d *door) {
		var doc struct {
			Claims []string `json:"claims_supported"`
		}
		if err := json.Unmarshal(d.get("/.well-known/openid-configuration", "").Body.Bytes(), &doc); err != nil {
			d.Fatal(err)
		}
		list := slices.Sorted(slices.Values(doc.Claims))
		if len(slices.Compact(list)) != len(doc.Claims) || !slices.Contains(list, "email_verified") || !slices.Contains(list, "sub") {
			d.Errorf("%v", doc.Claims)
		}
	})
}
