package oauth_test

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// TestSignedBackchannelRequests: CIBA, section 7.1.1. What the client signed
// counts, once, and nothing may stand beside it.
func TestSignedBackchannelRequests(t *testing.T) {
	run(t, func(d *door) {
		key, err := jose.Generate("k1", jose.ES256)
		if err != nil {
			d.Fatal(err)
		}
		other, err := jose.Generate("k1", jose.ES256)
		if err != nil {
			d.Fatal(err)
		}
		mine, theirs := signer{d, key}, signer{d, other}
		secret := d.bank("bank", func(s *client.Settings) {
			s.AuthMethod, s.BackchannelRequestAlg, s.JWKS = client.SecretBasic, jose.ES256, string(jose.Set{key.Public()}.JSON())
		})
		plain := d.bank("plain")
		asks := url.Values{"client_id": {"bank"}, "scope": {"openid email"}, "login_hint": {"ada@example.com"}, "binding_message": {"W4-SCT"}}
		claims := func(pairs ...any) map[string]any {
			m := map[string]any{"jti": rand.Text(), "iat": d.Clock.Now().Unix(), "requested_expiry": 60}
			for i := 0; i+1 < len(pairs); i += 2 {
				m[pairs[i].(string)] = pairs[i+1]
			}
			return m
		}
		ask := func(object string, pairs ...string) backchannel {
			d.Helper()
			return d.call("bank", secret, append([]string{"scope", "", "login_hint", "", "request", object}, pairs...)...)
		}
		good := mine.typed("JWT", asks, claims())
		got := ask(good)
		if got.Status != 200 || got.Expires != 60 {
			d.Fatalf("%+v", got)
		}
		b := d.signedIn(d.signIn(d.ada))
		page := b.approvals()
		if !strings.Contains(page.Body.String(), "W4-SCT") || !strings.Contains(page.Body.String(), "See your email address") {
			d.Errorf("%s", page.Body)
		}
		b.submit(page, "do", "allow")
		if tokens := d.fetchCIBA("bank", secret, got.ID); tokens.Scope != "email openid" {
			d.Errorf("%+v", tokens)
		}
		if got := ask(mine.object(asks, claims("requested_expiry", "60"))); got.Status != 200 || got.Expires != 60 {
			d.Errorf("requested_expiry as a string: %+v", got)
		}
		for name, refused := range map[string]backchannel{
			"a second time":       ask(good),
			"unsigned":            d.call("bank", secret),
			"with a scope beside": ask(mine.object(asks, claims()), "scope", "openid"),
			"with a hint beside":  ask(mine.object(asks, claims()), "login_hint", "bob@example.com"),
			"by another key":      ask(theirs.object(asks, claims())),
			"changed":             ask(flip(mine.object(asks, claims()))),
			"of another client":   ask(mine.object(asks, claims("iss", "plain"))),
			"for another issuer":  ask(mine.object(asks, claims("aud", "https://other.example.com"))),
			"without jti":         ask(mine.object(asks, claims("jti", nil))),
			"without iat":         ask(mine.object(asks, claims("iat", nil))),
			"without nbf":         ask(mine.object(asks, claims("nbf", nil))),
			"without exp":         ask(mine.object(asks, claims("exp", nil))),
			"that has expired":    ask(mine.object(asks, claims("exp", d.Clock.Now().Add(-time.Minute).Unix()))),
			"too long":            ask(mine.object(asks, claims("exp", d.Clock.Now().Add(3*time.Hour).Unix()))),
			"like an assertion":   ask(mine.object(asks, claims("sub", "bank"))),
			"of another type":     ask(mine.typed("dpop+jwt", asks, claims())),
			"with a request":      ask(mine.object(asks, claims("request", "x"))),
			"of two hints":        ask(mine.object(asks, claims("id_token_hint", "x"))),
			"not registered":      d.call("plain", plain, "request", mine.object(asks, claims("iss", "plain"))),
		} {
			if refused.Status != 400 || refused.Error != "invalid_request" || refused.ID != "" {
				d.Errorf("%s: %+v", name, refused)
			}
		}
	})
}

// TestDetailsAreAllowedElsewhere: RFC 9396. What a device or a client asks for
// in detail is shown in words, and granted as it was shown.
func TestDetailsAreAllowedElsewhere(t *testing.T) {
	run(t, func(d *door) {
		d.payments()
		secret := d.bank("bank", detailed)
		d.tv("tvset", detailed)
		if got := d.device("tvset", "authorization_details", `[{"type":"secret"}]`); got.Error != "invalid_authorization_details" {
			d.Errorf("a foreign type: %+v", got)
		}
		if got := d.call("bank", secret, "authorization_details", `[{"type":"payment"}]`); got.Error != "invalid_authorization_details" {
			d.Errorf("against its schema: %+v", got)
		}
		b := d.signedIn(d.signIn(d.ada))
		asked := d.device("tvset", "authorization_details", "["+toBob+"]")
		page := b.typed(asked.UserCode)
		if !strings.Contains(page.Body.String(), "Pay 1.20 to Bob") {
			d.Errorf("the consent page: %s", page.Body)
		}
		b.submit(page, "do", "allow")
		if tokens := d.poll("tvset", asked.Code); tokens.Access == "" || !strings.Contains(fmt.Sprint(d.claims(tokens.Access)["authorization_details"]), "Bob") {
			d.Errorf("%+v", tokens)
		}
		called := d.call("bank", secret, "authorization_details", "["+toEve+"]")
		page = b.approvals()
		if !strings.Contains(page.Body.String(), "Pay 9.99 to Eve") {
			d.Errorf("the approvals page: %s", page.Body)
		}
		b.submit(page, "do", "allow")
		d.hasDetails("back channel", "bank", secret, d.fetchCIBA("bank", secret, called.ID), "["+toEve+"]")
	})
}

// TestProfilesHoldElsewhereToo: a client that contradicts its profile is let in
// nowhere, and who must sign requests cannot leave it out by another door.
func TestProfilesHoldElsewhereToo(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset", func(s *client.Settings) { s.Profile = client.ProfileMCP })
		if got := d.device("tvset"); got.Error != "invalid_target" {
			d.Errorf("mcp without a resource: %+v", got)
		}
		if got := d.device("tvset", "resource", "https://api.example.com"); got.Status != 200 {
			d.Errorf("mcp: %+v", got)
		}
		if got := d.device("tvset", "resource", "https://api.example.com", "request", "a.b.c"); got.Error != "invalid_request" {
			d.Errorf("a signed request of a device: %+v", got)
		}
	})
}
