package oauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/trust"
)

const typeJAG = "urn:ietf:params:oauth:token-type:id-jag"

const chat = "https://chat.example"

// wiki is an application that calls another domain's API for its people.
func wiki(issuer string) func(*client.Settings) {
	return func(s *client.Settings) {
		s.GrantTypes = append(s.GrantTypes, client.TokenExchange)
		s.IdentityAssertions = []client.Assertion{{Issuer: issuer, ClientID: "wiki-there", Scopes: []string{"orders:read", "orders:write"}, Resources: []string{first, "https://api.chat.example"}}}
	}
}

// jag asks for an identity assertion.
func (d *door) jag(id, secret, subject, audience string, pairs ...string) reply {
	d.Helper()
	return d.exchange(id, secret, subject, append([]string{"subject_token_type", typeIdentity, "requested_token_type", typeJAG, "audience", audience}, pairs...)...)
}

// TestIdentityAssertionsCrossDomains: ID-JAG, sections 3 and 4. One realm issues,
// another that trusts it accepts, and gives a token for its own API to the client
// as it knows it; once.
func TestIdentityAssertionsCrossDomains(t *testing.T) {
	run(t, func(d *door) {
		d.crossed = true
		there := apptest.IssuerOf(d.other)
		secret := d.app("wiki", wiki(there))
		user := d.tokens(d.signIn(d.ada), "wiki", secret, "scope", "openid email orders:read")
		got := d.jag("wiki", secret, user.ID, there, "scope", "orders:read", "resource", first)
		if got.Error != "" || got.Type != "N_A" || got.Issued != typeJAG || got.Expires != 300 || got.Scope != "orders:read" || got.Refresh != "" {
			d.Fatalf("%+v", got)
		}
		m := d.claims(got.Access)
		for name, want := range map[string]any{"iss": d.issuer(), "sub": d.ada.ID, "aud": there, "client_id": "wiki-there", "scope": "orders:read", "resource": first,
			"acr": "aal1", "email": "ada@example.com", "email_verified": true} {
			if m[name] != want {
				d.Errorf("%s = %v, want %v", name, m[name], want)
			}
		}
		for _, name := range []string{"jti", "exp", "iat", "auth_time"} {
			if m[name] == nil {
				d.Errorf("no %s: %v", name, m)
			}
		}
		head, err := base64.RawURLEncoding.DecodeString(got.Access[:strings.IndexByte(got.Access, '.')])
		if err != nil || !strings.Contains(string(head), `"typ":"oauth-id-jag+jwt"`) {
			d.Errorf("header %s %v", head, err)
		}
		if d.active(got.Access) || d.do("GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+got.Access).Code != 401 {
			d.Error("an assertion passes for an access token")
		}
		whole := d.claims(d.jag("wiki", secret, user.ID, there).Access)
		if whole["scope"] != "orders:read orders:write" || whole["resource"] != nil {
			d.Errorf("with nothing named: %v", whole)
		}

		// The other realm.
		jwks := d.get("/oauth2/jwks", "").Body.String()
		here := d.issuer()
		b := *d
		b.realm, b.other = d.other, d.realm
		bob := b.Person(t, b.realm, "bob@example.com")
		theirs := b.app("wiki-there", worker())
		other := b.app("other-there", worker())
		l := b.trusts([]trust.Use{trust.IDJAG}, func(s *trust.Settings) { s.Issuer, s.JWKS = here, jwks })
		b.refuse(b.assert("wiki-there", theirs, got.Access), 400, "invalid_grant")
		l.link(d.ada.ID, bob.ID)
		b.refuse(b.assert("other-there", other, got.Access), 400, "invalid_grant")
		b.refuse(b.assert("wiki-there", theirs, got.Access, "scope", "orders:write"), 400, "invalid_scope")
		b.refuse(b.assert("wiki-there", theirs, got.Access, "resource", second), 400, "invalid_target")
		answer := b.assert("wiki-there", theirs, got.Access)
		if answer.Error != "" || answer.Scope != "orders:read" || answer.Type != "Bearer" || answer.Refresh != "" {
			d.Fatalf("%+v", answer)
		}
		if m := d.claims(answer.Access); m["iss"] != there || m["sub"] != bob.ID || m["client_id"] != "wiki-there" || m["aud"] != first {
			d.Errorf("%v", m)
		}
		b.refuse(b.assert("wiki-there", theirs, got.Access), 400, "invalid_grant")
		// Whoever made it does not take it.
		d.refuse(d.assert("worker", d.app("worker", worker()), d.jag("wiki", secret, user.ID, there).Access), 400, "invalid_grant")
	})
}

// TestIdentityAssertionsAreARight: to which servers, for which scopes and
// resources, and for an ID token of one's own alone.
func TestIdentityAssertionsAreARight(t *testing.T) {
	run(t, func(d *door) {
		secret, other := d.app("wiki", wiki(chat)), d.app("other", wiki(chat))
		plain := d.app("plain", func(s *client.Settings) { s.GrantTypes = append(s.GrantTypes, client.TokenExchange) })
		cookie := d.signIn(d.ada)
		user := d.tokens(cookie, "wiki", secret, "scope", "openid orders:read")
		poor := d.tokens(cookie, "plain", plain, "scope", "openid")
		for name, one := range map[string]struct {
			got  reply
			code string
		}{
			"another server":           {d.jag("wiki", secret, user.ID, "https://elsewhere.example"), "invalid_target"},
			"no server":                {d.jag("wiki", secret, user.ID, ""), "invalid_request"},
			"a client without any":     {d.jag("plain", plain, poor.ID, chat), "invalid_target"},
			"another client's token":   {d.jag("other", other, user.ID, chat), "invalid_request"},
			"an access token":          {d.jag("wiki", secret, user.Access, chat, "subject_token_type", typeAccess), "invalid_request"},
			"an access token as ID":    {d.jag("wiki", secret, user.Access, chat), "invalid_request"},
			"a scope beyond":           {d.jag("wiki", secret, user.ID, chat, "scope", "admin"), "invalid_scope"},
			"a resource beyond":        {d.jag("wiki", secret, user.ID, chat, "resource", second), "invalid_target"},
			"a resource that is none":  {d.jag("wiki", secret, user.ID, chat, "resource", "x"), "invalid_target"},
			"an actor":                 {d.jag("wiki", secret, user.ID, chat, "actor_token", user.Access, "actor_token_type", typeAccess), "invalid_request"},
			"an access token by right": {d.exchange("wiki", secret, user.Access), "unauthorized_client"},
		} {
			if one.got.Status != 400 || one.got.Error != one.code || one.got.Access != "" {
				d.Errorf("%s: %d %q (%s), want %q", name, one.got.Status, one.got.Error, one.got.Words, one.code)
			}
		}
		if m := d.claims(d.jag("wiki", secret, user.ID, chat).Access); m["email"] != nil {
			d.Errorf("an address that the client may not have: %v", m)
		}
		if err := d.Grants.Revoke(context.Background(), audit.System, d.realm, d.claims(user.Access)["gid"].(string), "test"); err != nil {
			t.Fatal(err)
		}
		d.refuse(d.jag("wiki", secret, user.ID, chat), 400, "invalid_request")
	})
}

// TestIdentityAssertionsAreCheckedInFull: JW-03, JW-04. What makes one an
// identity assertion must be there, and what it is bound to must be shown.
func TestIdentityAssertionsAreCheckedInFull(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("worker", worker())
		l := d.trusts([]trust.Use{trust.IDJAG})
		l.link("s-1", d.ada.ID)
		says := func(pairs ...any) string {
			return l.says("oauth-id-jag+jwt", "s-1", append([]any{"client_id", "worker"}, pairs...)...)
		}
		for name, text := range map[string]string{
			"no client":              says("client_id", nil),
			"another client":         says("client_id", "other"),
			"a number as client":     says("client_id", 1),
			"no time":                says("iat", nil),
			"no jti":                 says("jti", nil),
			"another audience":       says("aud", d.issuer()+"/oauth2/token"),
			"more audiences":         says("aud", []string{d.issuer(), chat}),
			"an unknown subject":     says("sub", "s-2"),
			"an actor":               says("act", map[string]any{"sub": "x"}),
			"a scope that is a list": says("scope", []string{"orders:read"}),
			"a resource of numbers":  says("resource", []int{1}),
			"a binding":              says("cnf", map[string]any{"jkt": "x"}),
			"an unknown binding":     says("cnf", map[string]any{"kid": "x"}),
			"an empty binding":       says("cnf", map[string]any{}),
			"a plain assertion":      l.says("JWT", "s-1", "client_id", "worker"),
		} {
			if got := d.assert("worker", secret, text); got.Status != 400 || got.Error != "invalid_grant" || got.Access != "" {
				d.Errorf("%s: %d %q (%s)", name, got.Status, got.Error, got.Words)
			}
		}
		d.refuse(d.assert("worker", secret, says("resource", "https://third.example")), 400, "invalid_target")
		d.refuse(d.assert("worker", secret, says("scope", "other")), 400, "invalid_scope")
		api := d.app("api", service(first))
		d.refuse(d.exchange("api", api, says(), "subject_token_type", typeJWT), 400, "invalid_request")
		if got := d.assert("worker", secret, says("resource", []string{second})); got.Error != "" || d.claims(got.Access)["aud"] != second {
			d.Errorf("%+v", got)
		}
		// Bound to a key: only with its proof, and the token is bound too.
		p := d.prover()
		text := says("cnf", map[string]any{"jkt": p.jkt})
		ask := func(p *prover) reply {
			return d.read(d.do("POST", "/oauth2/token", values(nil, "grant_type", client.JWTBearer, "assertion", text).Encode(),
				"Authorization", "Basic "+basicOf("worker", secret), "DPoP", p.proof("POST", "/oauth2/token", "")))
		}
		d.refuse(ask(d.prover()), 400, "invalid_grant")
		if got := ask(p); got.Type != "DPoP" || !reflect.DeepEqual(d.claims(got.Access)["cnf"], map[string]any{"jkt": p.jkt}) {
			d.Errorf("%+v", got)
		}
	})
}

// TestIdentityAssertionsAreBound: a client that proves to have a key gets an
// assertion that is worth nothing without it.
func TestIdentityAssertionsAreBound(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("wiki", wiki(chat))
		user := d.tokens(d.signIn(d.ada), "wiki", secret, "scope", "openid")
		p := d.prover()
		v := values(nil, "grant_type", client.TokenExchange, "subject_token", user.ID, "subject_token_type", typeIdentity, "requested_token_type", typeJAG, "audience", chat)
		got := d.read(d.do("POST", "/oauth2/token", v.Encode(), "Authorization", "Basic "+basicOf("wiki", secret), "DPoP", p.proof("POST", "/oauth2/token", "")))
		if !reflect.DeepEqual(d.claims(got.Access)["cnf"], map[string]any{"jkt": p.jkt}) || got.Type != "N_A" {
			d.Errorf("%+v", got)
		}
	})
}

// TestAssertionsAreAnnounced: RFC 8414. What can be exchanged and taken stands in
// both documents.
func TestAssertionsAreAnnounced(t *testing.T) {
	run(t, func(d *door) {
		for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
			var doc struct {
				Grants   []string `json:"grant_types_supported"`
				Profiles []string `json:"authorization_grant_profiles_supported"`
				Chained  []string `json:"identity_chaining_requested_token_types_supported"`
			}
			if err := json.Unmarshal(d.get(path, "").Body.Bytes(), &doc); err != nil {
				d.Fatal(err)
			}
			grants := strings.Join(doc.Grants, " ")
			if !strings.Contains(grants, client.TokenExchange) || !strings.Contains(grants, client.JWTBearer) ||
				!reflect.DeepEqual(doc.Profiles, []string{"urn:ietf:params:oauth:grant-profile:id-jag"}) || !reflect.DeepEqual(doc.Chained, []string{typeJAG}) {
				d.Errorf("%s: %+v", path, doc)
			}
		}
	})
}

// TestAssertionsPassForNothingElse: JW-03. Assertions, ours and others', shown as
// every other kind of token.
func TestAssertionsPassForNothingElse(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("wiki", wiki(chat))
		api := d.app("api", service(first))
		cookie := d.signIn(d.ada)
		user := d.tokens(cookie, "wiki", secret, "scope", "openid orders:read")
		l := d.trusts([]trust.Use{trust.TokenExchange, trust.JWTBearer, trust.IDJAG})
		l.link("s-1", d.ada.ID)
		l.link("wiki", d.serviceOf("wiki"))
		for name, text := range map[string]string{
			"ours":              d.jag("wiki", secret, user.ID, chat).Access,
			"theirs":            l.says("oauth-id-jag+jwt", "s-1", "client_id", "wiki"),
			"theirs, plain":     l.says("JWT", "s-1"),
			"about the client":  l.says("JWT", "wiki", "iss", "wiki"),
			"an access token":   user.Access,
			"their ID token":    l.says("JWT", "s-1", "aud", "wiki"),
			"their logout":      l.says("logout+jwt", "s-1"),
			"their access":      l.says("at+jwt", "s-1"),
			"our ID token":      user.ID,
			"a refresh token":   "cdr_" + strings.Repeat("x", 49),
			"a code of nothing": "cdc_" + strings.Repeat("x", 49),
		} {
			if name != "an access token" {
				if w := d.do("GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+text); w.Code != 401 {
					d.Errorf("%s as access token: %d", name, w.Code)
				}
				if told := d.introspect("api", api, text); told["active"] != false {
					d.Errorf("%s: introspection says %v", name, told)
				}
			}
			got := d.token("", "", "grant_type", "client_credentials", "client_assertion", text, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			if got.Error != "invalid_client" {
				d.Errorf("%s as client assertion: %+v", name, got)
			}
			for _, grant := range [][]string{{"refresh_token", "refresh_token"}, {"authorization_code", "code"}} {
				got := d.token("wiki", secret, "grant_type", grant[0], grant[1], text, "redirect_uri", callback, "code_verifier", verifier)
				if got.Error != "invalid_grant" {
					d.Errorf("%s as %s: %+v", name, grant[1], got)
				}
			}
			if name == "our ID token" {
				continue
			}
			if v := d.authorize(cookie, request("wiki", "prompt", "none", "id_token_hint", text)); v.Get("error") == "" {
				d.Errorf("%s as hint: %v", name, v)
			}
			if got := d.jag("wiki", secret, text, chat); got.Error != "invalid_request" {
				d.Errorf("%s for an identity assertion: %+v", name, got)
			}
		}
	})
}
