package oauth

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// FuzzBasic reads Authorization headers: whatever is read means the same when
// it is written again.
func FuzzBasic(f *testing.F) {
	for _, s := range []string{"Basic YXBwOnNlY3JldA==", "basic  YTpi", "Basic", "Bearer x", "Basic YTolJSU=", "Basic !!!!", "Basic Og=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		id, secret, present, ok := parseBasic(header)
		if ok && !present || !ok && (secret != "" && !present) {
			t.Fatalf("%q: present %v, ok %v", header, present, ok)
		}
		if ok {
			r := httptest.NewRequest("GET", "/", nil)
			r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
			again, secretAgain, _, _ := parseBasic(r.Header.Get("Authorization"))
			if again != id || secretAgain != secret {
				t.Fatalf("%q: %q %q, then %q %q", header, id, secret, again, secretAgain)
			}
		}
		parsePresented(header)
	})
}

// FuzzClaims reads claims parameters: what is accepted is within the bounds.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{`{"userinfo":{"email":{"essential":true},"name":null},"id_token":{"acr":{"values":["a","b",1]},"sub":{"value":"x"}}}`,
		`{}`, `null`, `[]`, `{"userinfo":null}`, `{"userinfo":{"a":1}}`, `{"id_token":{"a":{"essential":"yes"}}}`, `{"userinfo":{"a":null,"a":null}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseClaims(text)
		if err != nil {
			return
		}
		for _, part := range []map[string]claimWanted{c.UserInfo, c.IDToken} {
			if len(part) > maxClaimNames {
				t.Fatalf("%d claims", len(part))
			}
			for name, w := range part {
				if len(name) > maxClaimName || len(w.Values) > maxClaimValues+1 {
					t.Fatalf("%q: %d values", name, len(w.Values))
				}
			}
		}
	})
}

// FuzzRequestObject reads the claims of request objects: whatever becomes
// parameters can be written as a query and means the same again, and nothing
// repeats but resource.
func FuzzRequestObject(f *testing.F) {
	for _, s := range []string{`{"iss":"app","aud":"x","scope":"openid","max_age":3600,"claims":{"id_token":{"acr":null}},"resource":["https://a","https://b"]}`,
		`{"resource":"https://a","authorization_details":[{"type":"a"}]}`, `{"state":"\u0000"}`, `{"prompt":null}`, `{"resource":[1]}`, `{"resource":[]}`, `{}`, `{"a":true,"b":-1.5e3,"c":"&=%"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := jose.ParseObject([]byte(text))
		if err != nil {
			return
		}
		params, err := requestParams(jose.Claims{Object: o})
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Code != "invalid_request_object" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := web.ParseParams(encode(params), "resource")
		if err != nil || encode(again) != encode(params) {
			t.Fatalf("%q: %q, then %q %v", text, encode(params), encode(again), err)
		}
		for _, name := range params.Names() {
			if name != "resource" && len(params.All(name)) != 1 || slices.Contains(notParams, name) {
				t.Fatalf("%q: %s is %q", text, name, params.All(name))
			}
		}
	})
}

// FuzzAuthorize runs the checks that need nothing but the request, and checks
// that the answer to whatever passes is one URL that begins as registered.
func FuzzAuthorize(f *testing.F) {
	for _, s := range []string{
		"client_id=app&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb&response_type=code&scope=openid&state=x&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
		"response_type=code&scope=openid&scope=x", "prompt=none+login&max_age=-1", "claims=%7B%7D&resource=a&resource=b", "state=%0d%0aSet-Cookie:x&response_mode=fragment", "a;b=c", "%zz", "=&&=&",
	} {
		f.Add(s)
	}
	c := &client.Client{ID: "app", Enabled: true, Settings: client.Settings{Type: client.Web, Scopes: []string{"openid", "profile"}, GrantTypes: []string{client.AuthorizationCode},
		RedirectURIs: []string{"https://app.example.com/cb"}}}
	f.Fuzz(func(t *testing.T, raw string) {
		params, err := web.ParseParams(raw, "resource")
		if err != nil {
			return
		}
		a := &authorization{realm: &realm.Realm{Settings: realm.DefaultSettings()}, sent: params, params: params, client: c, mode: "query", maxAge: -1, redirectURI: "https://app.example.com/cb"}
		for _, step := range []step{checkState, checkResponseMode, refuseRegistration, checkResponseType, checkScope, checkPKCE, checkNonce, checkPrompt, checkMaxAge, checkLocales, checkACR, checkClaims, checkLoginHint} {
			if err := step(t.Context(), nil, a); err != nil {
				e, ok := err.(*Error)
				if !ok || e.Code == "" || !utf8.ValidString(e.Description) {
					t.Fatalf("%q: %v", raw, err)
				}
				break
			}
		}
		mode, _ := a.answerMode()
		to := withFields(a.redirectURI, mode, [][2]string{{"code", "x"}, {"state", a.state}})
		if !strings.HasPrefix(to, "https://app.example.com/cb?code=x&") && !strings.HasPrefix(to, "https://app.example.com/cb#code=x&") || strings.ContainsAny(to, "\r\n \x00") {
			t.Fatalf("%q leads to %q", raw, to)
		}
		if encoded := encode(params); encoded != "" {
			again, err := web.ParseParams(encoded, "resource")
			if err != nil || encode(again) != encoded {
				t.Fatalf("%q is kept as %q, read as %v %v", raw, encoded, again, err)
			}
		}
	})
}
