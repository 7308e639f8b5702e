package oauth_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// elsewhere reads the query that the browser takes along to a client that may
// be anywhere.
func (d *door) elsewhere(w *httptest.ResponseRecorder) url.Values {
	d.Helper()
	u, err := url.Parse(d.sent(w))
	if err != nil {
		d.Fatal(err)
	}
	return u.Query()
}

// signedIn is a browser in which somebody is signed in already.
func (d *door) signedIn(cookie string) *browser {
	b := d.browser()
	name, value, _ := strings.Cut(cookie, "=")
	b.cookies[name] = value
	return b
}

// info is what userinfo tells.
func (d *door) info(access string) map[string]any {
	d.Helper()
	w := d.do("GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+access)
	m := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != 200 {
		d.Fatalf("%d %s", w.Code, w.Body)
	}
	return m
}

const wantsEmail = `{"userinfo":{"email":null,"phone_number":{"essential":true},"address":null},"id_token":{"email":null,"nickname":null}}`

// TestClaimsAreHeldToTheClientsScopes: AZ-09. The claims parameter is no way
// round the scopes that the client may ask for, not for first parties either,
// and not when the client lost the scope afterwards.
func TestClaimsAreHeldToTheClientsScopes(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("little", func(s *client.Settings) { s.Scopes = []string{"openid"} })
		cookie := d.signIn(d.ada)
		got := d.tokens(cookie, "little", secret, "scope", "openid", "claims", wantsEmail)
		if m, id := d.info(got.Access), d.claims(got.ID); len(m) != 1 || id["email"] != nil {
			d.Errorf("a client that may ask for openid only gets %v and %v", m, id)
		}
		secret = d.app("app")
		got = d.tokens(cookie, "app", secret, "scope", "openid offline_access", "claims", wantsEmail)
		if m, id := d.info(got.Access), d.claims(got.ID); len(m) != 2 || m["email"] != "ada@example.com" || id["email"] != "ada@example.com" {
			d.Errorf("a client that may ask for the email address gets %v and %v", m, id)
		}
		if err := d.change("app", func(s *client.Settings) { s.Scopes = []string{"openid", "offline_access"} }); err != nil {
			d.Fatal(err)
		}
		if m := d.info(got.Access); len(m) != 1 {
			d.Errorf("a client that lost the scope gets %v", m)
		}
		again := d.token("app", secret, "grant_type", "refresh_token", "refresh_token", got.Refresh)
		if id := d.claims(again.ID); id["email"] != nil {
			d.Errorf("a client that lost the scope gets %v in its ID token", id)
		}
	})
}

// TestClaimsAreConsentedTo: AZ-09. A claim that is asked for by name is shown,
// agreed to and remembered like the scope that it belongs to.
func TestClaimsAreConsentedTo(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("third", func(s *client.Settings) { s.FirstParty = false })
		cookie := d.signIn(d.ada)
		if err := d.Grants.Remember(context.Background(), audit.System, d.realm, d.ada.ID, "third", []string{"openid"}); err != nil {
			d.Fatal(err)
		}
		asks := request("third", "scope", "openid", "claims", wantsEmail)
		if got := d.authorize(cookie, values(asks, "prompt", "none")); got.Get("error") != "consent_required" {
			d.Fatalf("nobody was asked for the email address: %v", got)
		}
		b := d.signedIn(cookie)
		page := b.open(asks)
		for _, words := range []string{"Know who you are", "See your email address", "See your profile"} {
			if !strings.Contains(page.Body.String(), words) {
				d.Errorf("the consent page does not say %q", words)
			}
		}
		if strings.Contains(page.Body.String(), "See your phone number") {
			d.Error("the consent page asks for what the client may not have")
		}
		got := d.redeem("third", secret, d.answer(b.submit(page, "do", "allow")).Get("code"))
		if m, id := d.info(got.Access), d.claims(got.ID); got.Scope != "openid" || len(m) != 2 || m["email"] != "ada@example.com" || id["email"] != "ada@example.com" {
			d.Errorf("after consent: scope %q, %v, %v", got.Scope, m, id)
		}
		given, err := d.Grants.Consent(context.Background(), d.realm, d.ada.ID, "third")
		if err != nil || !slices.Equal(given.Scopes, []string{"email", "openid", "profile"}) {
			d.Errorf("remembered: %+v %v", given, err)
		}
		if got := d.authorize(cookie, values(asks, "prompt", "none")); !got.Has("code") {
			d.Errorf("asked twice: %v", got)
		}
		// Without openid there is neither an ID token nor userinfo to tell it.
		if err := d.Grants.Remember(context.Background(), audit.System, d.realm, d.ada.ID, "third", []string{"orders:read"}); err != nil {
			d.Fatal(err)
		}
		if got := d.authorize(cookie, values(asks, "scope", "orders:read", "prompt", "none")); !got.Has("code") {
			d.Errorf("claims without openid: %v", got)
		}
	})
}

// TestNativeClientsAlwaysAsk: AZ-09, RFC 8252, section 8.6. Any program of the
// device may say that it is a public native client, so a person is asked each
// time, unless the redirect URI is one that only the right program receives.
func TestNativeClientsAlwaysAsk(t *testing.T) {
	run(t, func(d *door) {
		const claimed = "https://app.example.com/native"
		native := func(first bool) func(*client.Settings) {
			return func(s *client.Settings) {
				public(s)
				s.Type, s.FirstParty = client.Native, first
				s.RedirectURIs = []string{"http://127.0.0.1/cb", "com.example.app:/cb", claimed}
			}
		}
		d.app("tool", native(false))
		d.app("ours", native(true))
		cookie := d.signIn(d.ada)
		for _, id := range []string{"tool", "ours", client.CLI} {
			if err := d.Grants.Remember(context.Background(), audit.System, d.realm, d.ada.ID, id, []string{"openid", "profile", "cardea:admin"}); err != nil {
				d.Fatal(err)
			}
		}
		for _, id := range []string{"tool", "ours"} {
			for uri, quiet := range map[string]bool{"http://127.0.0.1:4321/cb": false, "com.example.app:/cb": false, claimed: true} {
				got := d.elsewhere(d.get("/oauth2/authorize?"+request(id, "redirect_uri", uri, "prompt", "none").Encode(), cookie))
				if got.Has("code") != quiet || !quiet && got.Get("error") != "consent_required" {
					d.Errorf("%s at %s: %v", id, uri, got)
				}
			}
		}
		asks := request(client.CLI, "redirect_uri", "http://127.0.0.1:4321/callback", "scope", "openid cardea:admin")
		if got := d.elsewhere(d.get("/oauth2/authorize?"+values(asks, "prompt", "none").Encode(), cookie)); got.Get("error") != "consent_required" {
			d.Errorf("the command line, unasked: %v", got)
		}
		b := d.signedIn(cookie)
		for range 2 {
			if got := d.elsewhere(b.submit(b.open(asks), "do", "allow")); !got.Has("code") {
				d.Errorf("the command line, agreed: %v", got)
			}
		}
	})
}
