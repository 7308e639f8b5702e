package oauth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// shared makes a client assertion with a secret; a nil value takes a claim away.
func (d *door) shared(secret, id string, change map[string]any) string {
	d.Helper()
	now := d.Clock.Now()
	claims := map[string]any{"iss": id, "sub": id, "aud": d.issuer(), "jti": rnd(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	for name, v := range change {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	body, err := json.Marshal(claims)
	if err != nil {
		d.Fatal(err)
	}
	return mac(secret, `{"alg":"HS256","typ":"JWT"}`, string(body))
}

func mac(secret, header, body string) string {
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(body))
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func secretJWT(s *client.Settings) { s.AuthMethod = client.SecretJWT }

// assertSecret sends a client assertion to the token endpoint.
func (d *door) assertSecret(assertion string, pairs ...string) reply {
	d.Helper()
	return d.token("", "", append([]string{"grant_type", "client_credentials", "client_assertion", assertion,
		"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, pairs...)...)
}

// TestClientSecretJWT: CL-02. The secret authenticates by HS256 and in
// no other way; what holds of assertions signed with keys holds of these.
func TestClientSecretJWT(t *testing.T) {
	run(t, func(d *door) {
		secret, other := d.app("hmac", secretJWT), d.app("hmac2", secretJWT)
		basic := d.app("basic")
		key, _ := jose.Generate("k1", jose.ES256)
		d.app("keyed", func(s *client.Settings) {
			s.AuthMethod, s.JWKS = client.PrivateKeyJWT, string(jose.Set{key.Public()}.JSON())
		})
		good := d.shared(secret, "hmac", nil)
		if got := d.assertSecret(good, "client_id", "hmac"); got.Access == "" {
			d.Fatalf("a good assertion: %+v", got)
		}
		d.refuse(d.assertSecret(good), 401, "invalid_client") // once
		now := d.Clock.Now()
		for name, change := range map[string]map[string]any{
			"token endpoint as audience": {"aud": d.issuer() + "/oauth2/token"},
			"audience of others too":     {"aud": []string{d.issuer(), "https://evil.example.com"}},
			"issuer of another":          {"iss": "hmac2"},
			"no jti":                     {"jti": nil},
			"no expiry":                  {"exp": nil},
			"expired":                    {"exp": now.Add(-time.Minute).Unix()},
			"48 hours":                   {"exp": now.Add(48 * time.Hour).Unix()},
		} {
			if got := d.assertSecret(d.shared(secret, "hmac", change)); got.Status != 401 || got.Error != "invalid_client" || got.Access != "" {
				d.Errorf("%s: %+v", name, got)
			}
		}
		claims := strings.Split(d.shared(secret, "hmac", nil), ".")[1]
		body, _ := base64.RawURLEncoding.DecodeString(claims)
		for name, assertion := range map[string]string{
			"another client's secret":      d.shared(other, "hmac", nil),
			"a secret kept as hash":        d.shared(basic, "basic", nil),
			"by a client with keys":        d.shared(string(key.Public().JWK()), "keyed", nil),
			"HS512":                        mac(secret, `{"alg":"HS512"}`, string(body)),
			"none":                         mac(secret, `{"alg":"none"}`, string(body)),
			"another type":                 mac(secret, `{"alg":"HS256","typ":"at+jwt"}`, string(body)),
			"a key of its own":             mac(secret, `{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}`, string(body)),
			"a signature with a key":       d.assertion(key, "hmac", nil),
			"an empty secret":              d.shared("", "hmac", nil),
			"a code of all zeros":          strings.Join(strings.Split(good, ".")[:2], ".") + "." + strings.Repeat("A", 43),
			"a subject that there is not":  d.shared(secret, "nobody", nil),
			"the neighbour as its subject": d.shared(secret, "hmac2", nil),
		} {
			if got := d.assertSecret(assertion); got.Status != 401 || got.Error != "invalid_client" || got.Access != "" {
				d.Errorf("%s: %+v", name, got)
			}
		}
		d.refuse(d.token("hmac", secret, "grant_type", "client_credentials"), 401, "invalid_client")
		d.refuse(d.token("", "", "client_id", "hmac", "client_secret", secret, "grant_type", "client_credentials"), 401, "invalid_client")
		d.refuse(d.assertSecret(d.shared(secret, "hmac", nil), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), 401, "invalid_client")
		d.refuse(d.assertSecret(d.shared(secret, "hmac", nil), "client_id", "hmac2"), 400, "invalid_request")
	})
}

// TestSharedSecretsAreRotatedWithoutAGap: CL-01 for secrets that are kept
// sealed: two live, and what was obtained with a revoked one dies.
func TestSharedSecretsAreRotatedWithoutAGap(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		first := d.app("hmac", secretJWT)
		c, err := d.Clients.ByID(ctx, d.realm, "hmac")
		if err != nil {
			d.Fatal(err)
		}
		old, err := d.Credentials.List(ctx, d.realm, c.Principal)
		if err != nil || len(old) != 1 {
			d.Fatalf("%v %v", old, err)
		}
		_, text, err := d.Credentials.AddSealedSecret(ctx, audit.System, d.realm, c.Principal, "next", 0)
		if err != nil {
			d.Fatal(err)
		}
		second := string(text)
		a, b := d.assertSecret(d.shared(first, "hmac", nil)), d.assertSecret(d.shared(second, "hmac", nil))
		if a.Access == "" || b.Access == "" {
			d.Fatalf("both live: %+v %+v", a, b)
		}
		if err := d.Grants.RevokeCredential(ctx, audit.System, d.realm, old[0].ID, "test", nil); err != nil {
			d.Fatal(err)
		}
		d.refuse(d.assertSecret(d.shared(first, "hmac", nil)), 401, "invalid_client")
		seen := func(token string) string {
			return d.do("POST", "/oauth2/introspect", values(nil, "token", token, "client_assertion", d.shared(second, "hmac", nil),
				"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer").Encode()).Body.String()
		}
		if got := seen(a.Access); got != `{"active":false}` {
			d.Errorf("obtained with the revoked secret: %s", got)
		}
		if got := seen(b.Access); !strings.Contains(got, `"active":true`) {
			d.Errorf("obtained with the living secret: %s", got)
		}
	})
}
