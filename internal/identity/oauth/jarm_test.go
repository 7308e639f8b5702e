package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// response verifies the signed answer that the browser takes to the client.
func (d *door) response(v url.Values, alg, id string) jose.Claims {
	d.Helper()
	if len(v) != 1 {
		d.Errorf("beside the signed answer: %v", v)
	}
	set, err := jose.ParseSet(d.get("/oauth2/jwks", "").Body.Bytes())
	if err != nil {
		d.Fatal(err)
	}
	got, err := jose.Verify(v.Get("response"), jose.Want{Typ: []string{"oauth-authz-resp+jwt"}, Keys: set, Alg: alg})
	if err != nil {
		d.Fatalf("%v: %v", v, err)
	}
	if err := got.Claims.Check(jose.Expect{Now: d.Clock.Now(), Issuer: d.issuer(), Audience: []string{id}, AloneAud: true, NoSubject: true, MaxLife: 10 * 60e9}); err != nil {
		d.Errorf("%s: %v", got.Payload, err)
	}
	return got.Claims
}

// TestSignedAnswers: JARM. In each mode, codes and errors alike, and nothing
// beside the token.
func TestSignedAnswers(t *testing.T) {
	run(t, func(d *door) {
		d.app("app")
		d.app("pss", func(s *client.Settings) { s.AuthorizationAlg = jose.PS256 })
		d.app("openid", func(s *client.Settings) { s.OpenIDDefaults = true })
		cookie := d.signIn(d.ada)
		for id, alg := range map[string]string{"app": jose.ES256, "pss": jose.PS256, "openid": jose.RS256} {
			for _, mode := range []string{"jwt", "query.jwt", "fragment.jwt"} {
				w := d.opened(cookie, request(id, "response_mode", mode))
				if to := w.Header().Get("Location"); strings.Contains(to, "#") != (mode == "fragment.jwt") {
					d.Errorf("%s: sent to %s", mode, to)
				}
				good := d.response(d.answer(w), alg, id)
				bad := d.response(d.authorize(cookie, request(id, "response_mode", mode, "scope", "nonsense")), alg, id)
				for name, c := range map[string]jose.Claims{"code": good, "error": bad} {
					if state, err := c.String("state"); !c.Has(name) || state != "s-1" || err != nil {
						d.Errorf("%s: %s: %v %v", mode, name, state, err)
					}
				}
			}
		}
		w := d.opened(cookie, request("app", "response_mode", "form_post.jwt"))
		m := hidden.FindAllStringSubmatch(w.Body.String(), -1)
		if w.Code != http.StatusOK || len(m) != 1 || m[0][1] != "response" {
			d.Fatalf("form_post.jwt: %d %v", w.Code, m)
		}
		code, _ := d.response(url.Values{"response": {m[0][2]}}, jose.ES256, "app").String("code")
		if !strings.HasPrefix(code, "cdc_") {
			d.Errorf("form_post.jwt: %q", code)
		}
		// A signed answer is no ID token.
		if got := d.authorize(cookie, request("app", "prompt", "none", "id_token_hint", m[0][2])); got.Get("error") != "invalid_request" {
			d.Errorf("as a hint: %v", got)
		}
		for _, mode := range []string{"JWT", "web_message.jwt", ".jwt", "jwt.jwt", "query.jwt.jwt"} {
			if got := d.authorize(cookie, request("app", "response_mode", mode)); got.Get("error") != "invalid_request" || got.Get("iss") != d.issuer() {
				d.Errorf("%q: %v", mode, got)
			}
		}
	})
}

// TestSignedAnswersCanBeRequired: whatever the request asks for, also where it
// cannot be read, no answer goes out unsigned.
func TestSignedAnswersCanBeRequired(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app", func(s *client.Settings) { s.RequireSignedResponses = true })
		d.app("fragment", func(s *client.Settings) {
			s.RequireSignedResponses, s.ResponseModes = true, []string{"fragment.jwt"}
		})
		cookie := d.signIn(d.ada)
		for name, v := range map[string]url.Values{
			"plain":          request("app"),
			"query":          request("app", "response_mode", "query"),
			"fragment":       request("app", "response_mode", "fragment"),
			"signed":         request("app", "response_mode", "jwt"),
			"nonsense":       request("app", "response_mode", "x"),
			"long state":     request("app", "state", strings.Repeat("x", 3000)),
			"nobody there":   request("app", "prompt", "none", "max_age", "0"),
			"no challenge":   request("app", "code_challenge", ""),
			"pushed":         d.push("app", secret, request("app")),
			"another mode":   request("fragment", "response_mode", "query"),
			"its only mode":  request("fragment", "response_mode", "fragment"),
			"none of its":    request("fragment"),
			"response_type":  request("app", "response_type", "token"),
			"a signed query": request("fragment", "response_mode", "query.jwt"),
		} {
			d.Logf("%s", name)
			d.response(d.authorize(cookie, v), jose.ES256, v.Get("client_id"))
		}
	})
}
