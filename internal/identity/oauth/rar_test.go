package oauth_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/token"
)

// payments registers the types payment and account.
func (d *door) payments() {
	d.Helper()
	for name, schema := range map[string]string{
		"payment": `{"properties":{"type":{},"to":{"type":"string"},"amount":{"pattern":"^[0-9]+[.][0-9]{2}$"},"note":{"type":"string"}},"required":["to","amount"],"additionalProperties":false}`,
		"account": `{"properties":{"type":{},"iban":{"type":"string"}},"additionalProperties":false}`,
		"secret":  `{}`,
	} {
		_, err := d.Details.Put(context.Background(), audit.System, d.realm, 0, detail.Type{Name: name, Schema: schema,
			Words: map[string]string{"en": "Pay {amount} to {to}", "de": "{amount} an {to} zahlen"}})
		if err != nil {
			d.Fatal(err)
		}
	}
}

func detailed(s *client.Settings) { s.DetailTypes = []string{"payment", "account"} }

const (
	toBob   = `{"amount":"1.20","to":"Bob","type":"payment"}`
	toEve   = `{"amount":"9.99","to":"Eve","type":"payment"}`
	account = `{"iban":"DE02","type":"account"}`
)

// TestDetailsAreGranted: RFC 9396. What was asked for in detail is in the token,
// the token response, introspection and the grant; a token request may leave
// details out and change none.
func TestDetailsAreGranted(t *testing.T) {
	run(t, func(d *door) {
		d.payments()
		for _, format := range []client.TokenFormat{client.JWT, client.Opaque} {
			id := "app-" + string(format)
			secret := d.app(id, detailed, func(s *client.Settings) { s.AccessTokenFormat = format })
			cookie := d.signIn(d.ada)
			all := "[" + toBob + "," + toEve + "," + account + "]"
			v := request(id, "authorization_details", `[{"type":"payment","to":"Bob","amount":"1.20"}, `+toEve+`,`+account+`]`, "scope", "offline_access")
			code := d.code(cookie, v)
			for name, bad := range map[string]string{"changed": strings.Replace(toBob, "1.20", "2.20", 1), "another": `{"type":"account","iban":"DE03"}`, "of no type": `{"type":"secret"}`} {
				d.Logf("%s", name)
				d.refuse(d.redeem(id, secret, code, "authorization_details", "["+bad+"]"), 400, "invalid_authorization_details")
			}
			got := d.redeem(id, secret, code)
			d.hasDetails("code", id, secret, got, all)
			some := d.token(id, secret, "grant_type", "refresh_token", "refresh_token", got.Refresh, "authorization_details", "["+account+","+toBob+"]")
			d.hasDetails("refresh for some", id, secret, some, "["+toBob+","+account+"]")
			d.refuse(d.token(id, secret, "grant_type", "refresh_token", "refresh_token", some.Refresh, "authorization_details", "["+strings.Replace(toBob, "Bob", "Eve", 1)+"]"), 400, "invalid_authorization_details")
			whole := d.token(id, secret, "grant_type", "refresh_token", "refresh_token", some.Refresh)
			d.hasDetails("refresh", id, secret, whole, all)
			if err := d.change(id, func(s *client.Settings) { s.DetailTypes = []string{"account"} }); err != nil {
				d.Fatal(err)
			}
			d.hasDetails("a type taken from the client", id, secret, d.token(id, secret, "grant_type", "refresh_token", "refresh_token", whole.Refresh), "["+account+"]")
		}
	})
}

// hasDetails looks for details wherever they are told.
func (d *door) hasDetails(what, id, secret string, got reply, want string) {
	d.Helper()
	if got.Access == "" {
		d.Fatalf("%s: %+v", what, got)
	}
	same := func(where string, v any) {
		d.Helper()
		if text, err := json.Marshal(v); err != nil || string(text) != want {
			d.Errorf("%s, %s: %s %v, want %s", what, where, text, err, want)
		}
	}
	same("token response", got.Details)
	same("introspection", d.introspect(id, secret, got.Access)["authorization_details"])
	if strings.Count(got.Access, ".") == 2 && d.claims(got.Access)["authorization_details_hash"] == nil {
		same("token", d.claims(got.Access)["authorization_details"])
	}
}

// TestDetailsTooLargeForATokenAreHashed: TK lean tokens. The token keeps its
// bound and names what it could not carry; introspection tells it whole.
func TestDetailsTooLargeForATokenAreHashed(t *testing.T) {
	run(t, func(d *door) {
		d.payments()
		long := `{"amount":"1.20","note":"` + strings.Repeat("x", 900) + `","to":"Bob","type":"payment"}`
		for _, format := range []client.TokenFormat{client.JWT, client.Opaque} {
			id := "app-" + string(format)
			secret := d.app(id, detailed, func(s *client.Settings) { s.AccessTokenFormat = format })
			got := d.tokens(d.signIn(d.ada), id, secret, "authorization_details", "["+long+","+toEve+","+account+"]", "scope", "offline_access")
			d.hasDetails("all", id, secret, got, "["+long+","+toEve+","+account+"]")
			if format == client.JWT {
				claims := d.claims(got.Access)
				if claims["authorization_details"] != nil || claims["authorization_details_hash"] != token.DetailsHash("["+long+","+toEve+","+account+"]") || len(got.Access) > 1024 {
					d.Errorf("%d bytes: %v", len(got.Access), claims)
				}
			}
			some := d.token(id, secret, "grant_type", "refresh_token", "refresh_token", got.Refresh, "authorization_details", "["+long+","+account+"]")
			d.hasDetails("some", id, secret, some, "["+long+","+account+"]")
			small := d.token(id, secret, "grant_type", "refresh_token", "refresh_token", some.Refresh, "authorization_details", "["+account+"]")
			d.hasDetails("few", id, secret, small, "["+account+"]")
			// Nothing would hold what a client asks for itself.
			d.refuse(d.token(id, secret, "grant_type", "client_credentials", "authorization_details", "["+long+"]"), 400, "invalid_request")
		}
	})
}

// TestClientsAskInDetailForThemselves: client_credentials.
func TestClientsAskInDetailForThemselves(t *testing.T) {
	run(t, func(d *door) {
		d.payments()
		secret := d.app("app", detailed)
		got := d.token("app", secret, "grant_type", "client_credentials", "authorization_details", "["+account+"]")
		d.hasDetails("own", "app", secret, got, "["+account+"]")
		if again := d.token("app", secret, "grant_type", "client_credentials"); again.Details != nil || d.claims(again.Access)["authorization_details"] != nil {
			d.Errorf("another token of the same grant: %+v", again)
		}
	})
}

// TestOtherTokensGiveNothingInDetail: where nothing can be granted in detail, a
// client hears so.
func TestOtherTokensGiveNothingInDetail(t *testing.T) {
	run(t, func(d *door) {
		d.payments()
		secret := d.app("orders", service(first, detailed))
		subject := d.own("orders", secret)
		d.refuse(d.exchange("orders", secret, subject, "authorization_details", "["+account+"]"), 400, "invalid_authorization_details")
		bearer := d.app("bearer", service(second, detailed, func(s *client.Settings) {
			s.GrantTypes, s.ExchangeDelegation, s.ExchangeImpersonation = []string{client.JWTBearer}, false, false
		}))
		d.refuse(d.token("bearer", bearer, "grant_type", client.JWTBearer, "assertion", "x", "authorization_details", "["+account+"]"), 400, "invalid_authorization_details")
	})
}

// TestDetailsAreRefused: at each place where they can be asked for.
func TestDetailsAreRefused(t *testing.T) {
	run(t, func(d *door) {
		d.payments()
		secret, plain := d.app("app", detailed), d.app("plain")
		cookie := d.signIn(d.ada)
		for name, bad := range map[string]string{
			"empty": "", "no JSON": "x", "an object": toBob, "no type": `[{"to":"Bob"}]`, "unknown type": `[{"type":"unknown"}]`,
			"a type of others": `[{"type":"secret"}]`, "no fit": `[{"type":"payment","to":"Bob","amount":"1"}]`, "more than fits": "[" + strings.Replace(toBob, `"to"`, `"x":1,"to"`, 1) + "]",
			"twice": "[" + toBob + "," + toBob + "]", "names twice": `[{"type":"account","type":"account"}]`, "4 KiB": "[" + strings.Replace(toBob, "Bob", strings.Repeat("B", 4096), 1) + "]",
		} {
			v := request("app")
			v.Set("authorization_details", bad)
			if got := d.authorize(cookie, v); got.Get("error") != "invalid_authorization_details" || got.Has("code") {
				d.Errorf("%s: %v", name, got)
			}
			d.refuse(d.read(d.pushing("app", secret, v)), 400, "invalid_authorization_details")
			w := d.do("POST", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "authorization_details": {bad}}.Encode(), "Authorization", "Basic "+basicOf("app", secret))
			d.refuse(d.read(w), 400, "invalid_authorization_details")
		}
		if got := d.authorize(cookie, request("plain", "authorization_details", "["+account+"]")); got.Get("error") != "invalid_authorization_details" {
			d.Errorf("a client without types: %v", got)
		}
		if got := d.authorize(cookie, request("app", "scope", "")); got.Get("error") != "invalid_scope" {
			d.Errorf("neither scope nor details: %v", got)
		}
		d.refuse(d.redeem("app", secret, d.code(cookie, request("app")), "authorization_details", "["+account+"]"), 400, "invalid_authorization_details")
		d.refuse(d.token("plain", plain, "grant_type", "client_credentials", "authorization_details", "["+account+"]"), 400, "invalid_authorization_details")
	})
}

// TestDetailsAreShownAndNotRemembered: the person reads them in words of their
// language, with no markup of the client's, and each time.
func TestDetailsAreShownAndNotRemembered(t *testing.T) {
	run(t, func(d *door) {
		d.payments()
		secret := d.app("third", detailed, func(s *client.Settings) { s.FirstParty = false })
		b := d.browser()
		v := request("third", "scope", "", "authorization_details", `[{"type":"payment","to":"<b>Bob</b>\u202e","amount":"1.20"}]`)
		asked := b.password(b.open(v))
		page := asked.Body.String()
		if !strings.Contains(page, "Pay 1.20 to &lt;b&gt;Bob&lt;/b&gt;\ufffd") || strings.Contains(page, "<b>Bob") {
			d.Fatalf("the page does not say it in words: %s", page)
		}
		if german := b.open(values(v, "ui_locales", "de")).Body.String(); !strings.Contains(german, "1.20 an ") {
			d.Errorf("in German: %s", german)
		}
		got := d.redeem("third", secret, d.answer(b.submit(asked, "do", "allow")).Get("code"))
		if got.Details == nil || got.Scope != "" {
			d.Errorf("%+v", got)
		}
		if again := d.answer(b.open(values(v, "prompt", "none"))); again.Get("error") != "consent_required" {
			d.Errorf("the second time: %v", again)
		}
		pushed := d.push("third", secret, v)
		if got := d.answer(b.submit(b.open(pushed), "do", "deny")); got.Get("error") != "access_denied" {
			d.Errorf("a no: %v", got)
		}
	})
}

// TestDiscoveryNamesDetailTypes: as soon as there are some, and no longer.
func TestDiscoveryNamesDetailTypes(t *testing.T) {
	run(t, func(d *door) {
		named := func() string { return d.get("/.well-known/oauth-authorization-server", "").Body.String() }
		if strings.Contains(named(), "authorization_details_types_supported") {
			d.Error("there are none")
		}
		d.payments()
		if !strings.Contains(named(), `"authorization_details_types_supported":["account","payment","secret"]`) {
			d.Errorf("%s", named())
		}
		if err := d.Details.Delete(context.Background(), audit.System, d.realm, "secret"); err != nil {
			d.Fatal(err)
		}
		if strings.Contains(named(), "secret\"]") {
			d.Errorf("%s", named())
		}
	})
}
