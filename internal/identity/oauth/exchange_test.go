package oauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

const (
	typeAccess   = "urn:ietf:params:oauth:token-type:access_token"
	typeIdentity = "urn:ietf:params:oauth:token-type:id_token"
	typeJWT      = "urn:ietf:params:oauth:token-type:jwt"
	typeRefresh  = "urn:ietf:params:oauth:token-type:refresh_token"

	first, second = "https://api.example.com", "https://other.example.com"
)

// service is an API that calls another one for those who call it.
func service(identifier string, change ...func(*client.Settings)) func(*client.Settings) {
	return func(s *client.Settings) {
		*s = client.Settings{Name: "API", Type: client.Service, ResourceServer: true, Identifiers: []string{identifier},
			GrantTypes: []string{client.ClientCredentials, client.TokenExchange}, Scopes: []string{"orders:read", "orders:write"},
			Resources: []string{first, second}, ExchangeDelegation: true, ExchangeImpersonation: true}
		for _, f := range change {
			f(s)
		}
	}
}

// exchange asks for another token; pairs change the request.
func (d *door) exchange(id, secret, subject string, pairs ...string) reply {
	d.Helper()
	base := []string{"grant_type", client.TokenExchange, "subject_token", subject, "subject_token_type", typeAccess}
	v := values(values(nil, base...), pairs...)
	var flat []string
	for name := range v {
		flat = append(flat, name, v.Get(name))
	}
	return d.token(id, secret, flat...)
}

// own gets a token for a client itself.
func (d *door) own(id, secret string, pairs ...string) string {
	d.Helper()
	got := d.token(id, secret, append([]string{"grant_type", "client_credentials"}, pairs...)...)
	if got.Error != "" {
		d.Fatalf("%s for itself: %+v", id, got)
	}
	return got.Access
}

func (d *door) mustExchange(id, secret, subject string, pairs ...string) reply {
	d.Helper()
	got := d.exchange(id, secret, subject, pairs...)
	if got.Error != "" {
		d.Fatalf("exchange: %+v", got)
	}
	return got
}

// active reports what introspection says of a token, as an API that may ask
// about all.
func (d *door) active(access string) bool {
	d.Helper()
	_, err := d.Tokens.Recognise(context.Background(), d.realm, access)
	return err == nil
}

func (d *door) serviceOf(id string) string {
	d.Helper()
	c, err := d.Clients.ByID(context.Background(), d.realm, id)
	if err != nil {
		d.Fatal(err)
	}
	return c.Principal
}

// exchanges are the grants that came of exchanges.
func (d *door) exchanges() (found []*grant.Grant) {
	d.Helper()
	all, _, err := d.Grants.List(context.Background(), d.realm, grant.Filter{Dead: true}, 200)
	if err != nil {
		d.Fatal(err)
	}
	return slices.DeleteFunc(all, func(g *grant.Grant) bool { return g.Kind != grant.Exchange })
}

// TestTokenExchange: RFC 8693. An API gets a token for the API behind it, once
// as itself acting for the person and once as the person; both say whom they are
// for and hang on the person's grant.
func TestTokenExchange(t *testing.T) {
	run(t, func(d *door) {
		secret, api := d.app("app"), d.app("api", service(first))
		user := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid orders:read orders:write")
		self := d.own("api", api)

		got := d.mustExchange("api", api, user.Access, "actor_token", self, "actor_token_type", typeAccess, "resource", second, "scope", "orders:read")
		m := d.claims(got.Access)
		if got.Type != "Bearer" || got.Refresh != "" || got.ID != "" || got.Scope != "orders:read" || got.Issued != typeAccess {
			d.Errorf("answer %+v", got)
		}
		for name, want := range map[string]any{"sub": d.ada.ID, "client_id": "api", "aud": second, "scope": "orders:read", "acr": "aal1"} {
			if m[name] != want {
				d.Errorf("%s = %v, want %v", name, m[name], want)
			}
		}
		if want := map[string]any{"sub": d.serviceOf("api")}; !reflect.DeepEqual(m["act"], want) {
			d.Errorf("act = %v, want %v", m["act"], want)
		}
		plain := d.claims(d.mustExchange("api", api, user.Access, "audience", second).Access)
		if plain["act"] != nil || plain["sub"] != d.ada.ID || plain["scope"] != "orders:read orders:write" {
			d.Errorf("impersonation: %v", plain)
		}
		if told := d.introspect("api", api, got.Access); told["active"] != true || !reflect.DeepEqual(told["act"], map[string]any{"sub": d.serviceOf("api")}) {
			d.Errorf("introspection: %v", told)
		}
		// The same again: nothing new is made.
		for range 3 {
			d.mustExchange("api", api, user.Access, "actor_token", self, "actor_token_type", typeAccess)
			d.mustExchange("api", api, user.Access)
		}
		all := d.exchanges()
		if len(all) != 2 {
			d.Errorf("%d grants came of exchanges, want one for each kind", len(all))
		}
		for _, g := range all {
			if g.Parent != d.claims(user.Access)["gid"] || g.Principal != d.ada.ID || g.Client != "api" {
				d.Errorf("grant %+v", g)
			}
		}
	})
}

// TestExchangeIsARight: TK-09. Neither right is there unless it was given, and
// one does not stand in for the other.
func TestExchangeIsARight(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		user := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid orders:read").Access
		d.refuse(d.exchange("app", secret, user), 400, "unauthorized_client")
		for name, one := range map[string]struct {
			delegation, impersonation bool
		}{"none": {false, false}, "delegation": {true, false}, "impersonation": {false, true}} {
			api := d.app(name, service(first, func(s *client.Settings) {
				s.ExchangeDelegation, s.ExchangeImpersonation = one.delegation, one.impersonation
			}))
			acting := d.exchange(name, api, user, "actor_token", d.own(name, api), "actor_token_type", typeAccess)
			if alone := d.exchange(name, api, user); one.impersonation != (alone.Error == "") || !one.impersonation && alone.Error != "unauthorized_client" {
				d.Errorf("%s without an actor: %+v", name, alone)
			}
			if one.delegation != (acting.Error == "") || !one.delegation && acting.Error != "unauthorized_client" {
				d.Errorf("%s with an actor: %+v", name, acting)
			}
		}
	})
}

// TestExchangeTakesOnlyWhatItShould: TK-09, JW-03. Every other kind of token as
// subject and as actor, tokens for somebody else, and parameters that do not go
// together.
func TestExchangeTakesOnlyWhatItShould(t *testing.T) {
	run(t, func(d *door) {
		secret, api := d.app("app"), d.app("api", service(first))
		other, cookie := d.app("other", service("https://elsewhere.example")), d.signIn(d.ada)
		user := d.tokens(cookie, "app", secret, "scope", "openid offline_access orders:read")
		code := d.code(cookie, request("app"))
		self := d.own("api", api)
		delegated := d.mustExchange("api", api, user.Access, "actor_token", self, "actor_token_type", typeAccess, "resource", first).Access
		acting := []string{"actor_token", self, "actor_token_type", typeAccess}
		with := func(pairs ...string) []string { return append(slices.Clone(acting), pairs...) }
		for name, one := range map[string]struct {
			id, secret, subject string
			pairs               []string
			code                string
		}{
			"no subject":                      {"api", api, "", nil, "invalid_request"},
			"no subject type":                 {"api", api, user.Access, []string{"subject_token_type", ""}, "invalid_request"},
			"an unknown type":                 {"api", api, user.Access, []string{"subject_token_type", "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"},
			"a refresh token":                 {"app", secret, user.Refresh, []string{"subject_token_type", typeRefresh}, "unauthorized_client"},
			"a refresh token by its type":     {"api", api, user.Refresh, []string{"subject_token_type", typeRefresh}, "invalid_request"},
			"a refresh token as access token": {"api", api, user.Refresh, nil, "invalid_request"},
			"a code":                          {"api", api, code, nil, "invalid_request"},
			"an ID token as access token":     {"api", api, user.ID, nil, "invalid_request"},
			"an access token as ID token":     {"api", api, user.Access, []string{"subject_token_type", typeIdentity}, "invalid_request"},
			"another client's ID token":       {"api", api, user.ID, []string{"subject_token_type", typeIdentity}, "invalid_request"},
			"nonsense":                        {"api", api, "a.b.c", nil, "invalid_request"},
			"a token for another API":         {"other", other, user.Access, nil, "invalid_request"},
			"a changed token":                 {"api", api, user.Access[:len(user.Access)-4] + "AAAA", nil, "invalid_request"},
			"an actor without a type":         {"api", api, user.Access, []string{"actor_token", self}, "invalid_request"},
			"a type without an actor":         {"api", api, user.Access, []string{"actor_token_type", typeAccess}, "invalid_request"},
			"an actor that is nonsense":       {"api", api, user.Access, []string{"actor_token", "x", "actor_token_type", typeAccess}, "invalid_request"},
			"the subject as actor":            {"api", api, self, acting, "invalid_request"},
			"another client's token as actor": {"api", api, delegated, []string{"actor_token", user.Access, "actor_token_type", typeAccess}, "invalid_request"},
			"a delegated token as actor":      {"api", api, self, []string{"actor_token", delegated, "actor_token_type", typeAccess}, "invalid_request"},
			"a wish for a refresh token":      {"api", api, user.Access, with("requested_token_type", typeRefresh), "invalid_request"},
			"a wish for an ID token":          {"api", api, user.Access, with("requested_token_type", typeIdentity), "invalid_request"},
			"a scope beyond the token":        {"api", api, user.Access, with("scope", "orders:write"), "invalid_scope"},
			"a scope beyond the client":       {"api", api, user.Access, with("scope", "profile"), "invalid_scope"},
			"a resource beyond the client":    {"api", api, user.Access, with("resource", "https://third.example"), "invalid_target"},
			"an audience beyond the client":   {"api", api, user.Access, with("audience", "https://third.example"), "invalid_target"},
		} {
			got := d.exchange(one.id, one.secret, one.subject, one.pairs...)
			if got.Status != 400 || got.Error != one.code || got.Access != "" {
				d.Errorf("%s: %d %q (%s), want %q", name, got.Status, got.Error, got.Words, one.code)
			}
		}
		for name, text := range map[string]string{"a refresh token": user.Refresh, "a code": code, "another client's ID token": user.ID, "another client's access token": user.Access,
			"a sealed token of nobody": "cdo_" + strings.Repeat("x", 100), "a password": "turquoise walrus"} {
			for _, tokenType := range []string{typeAccess, typeIdentity, typeJWT, typeRefresh} {
				got := d.exchange("api", api, delegated, "actor_token", text, "actor_token_type", tokenType)
				if got.Status != 400 || got.Error != "invalid_request" || got.Access != "" {
					d.Errorf("%s as actor of type %s: %d %q (%s)", name, tokenType, got.Status, got.Error, got.Words)
				}
			}
		}
		d.app("spa", public)
		d.refuse(d.exchange("spa", "", user.Access), 400, "unauthorized_client")
	})
}

// TestExchangeNeverWidens: TK-09. The new token has no scope, no audience and no
// time that the subject's grant, the shown token or the client lacks, whichever
// is least.
func TestExchangeNeverWidens(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		api := d.app("api", service(first, func(s *client.Settings) {
			s.Scopes, s.Resources = append(s.Scopes, "cardea:admin", "profile"), append(s.Resources, "https://third.example", "https://id.example/api/v1")
		}))
		d.app("narrow-app", func(s *client.Settings) { s.Resources = []string{first} })
		cookie := d.signIn(d.ada)
		wide := d.tokens(cookie, "app", secret, "scope", "openid orders:read orders:write")
		narrow := d.mustExchange("api", api, wide.Access, "scope", "orders:read", "resource", first)
		d.refuse(d.exchange("api", api, narrow.Access, "scope", "orders:write"), 400, "invalid_scope")
		d.refuse(d.exchange("api", api, wide.Access, "scope", "profile"), 400, "invalid_scope")
		d.refuse(d.exchange("api", api, wide.Access, "scope", "cardea:admin"), 400, "invalid_scope")
		d.refuse(d.exchange("api", api, wide.Access, "resource", "https://third.example"), 400, "invalid_target")
		if m := d.claims(d.mustExchange("api", api, wide.Access).Access); m["scope"] != "orders:read orders:write" || !reflect.DeepEqual(m["aud"], []any{first, second}) {
			d.Errorf("with nothing named: %v", m)
		}
		// A token shortly before its end gives one that ends with it.
		d.Clock.Advance(9 * time.Minute)
		late := d.mustExchange("api", api, wide.Access)
		if end := d.claims(wide.Access)["exp"]; d.claims(late.Access)["exp"] != end || late.Expires > 60 {
			d.Errorf("ends at %v after %d seconds, want %v", d.claims(late.Access)["exp"], late.Expires, end)
		}
		d.Clock.Advance(time.Minute)
		d.refuse(d.exchange("api", api, wide.Access), 400, "invalid_request")

		// What the subject's client may no longer have, nobody has through it.
		wide = d.tokens(cookie, "app", secret, "scope", "openid orders:read orders:write")
		if err := d.change("app", func(s *client.Settings) { s.Scopes = []string{"openid", "orders:read", "offline_access"} }); err != nil {
			t.Fatal(err)
		}
		d.refuse(d.exchange("api", api, wide.Access, "scope", "orders:write"), 400, "invalid_scope")
		if got := d.mustExchange("api", api, wide.Access); got.Scope != "orders:read" {
			d.Errorf("scope %q", got.Scope)
		}
	})
}

// TestActorsAreNeverLost: TK-09. Whoever acts for whoever acts is written down,
// the present one outermost, through impersonation too and in sealed tokens; a
// fifth is refused.
func TestActorsAreNeverLost(t *testing.T) {
	run(t, func(d *door) {
		// Four actors and a long issuer need more than the usual 1 KiB.
		if _, err := d.Realms.Update(context.Background(), audit.System, d.realm, 0, realm.Change{Settings: map[string]any{"max_token_bytes": 1200}}); err != nil {
			t.Fatal(err)
		}
		secret := d.app("app")
		token := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid orders:read").Access
		var want map[string]any
		var secrets []string
		for i, name := range []string{"s-1", "s-2", "s-3", "s-4", "s-5"} {
			made := d.app(name, service(first, func(s *client.Settings) {
				if i == 1 {
					s.AccessTokenFormat = client.Opaque
				}
			}))
			secrets = append(secrets, made)
			got := d.exchange(name, made, token, "actor_token", d.own(name, made), "actor_token_type", typeAccess, "resource", first)
			if i == 4 {
				d.refuse(got, 400, "invalid_request")
				break
			}
			if got.Error != "" {
				d.Fatalf("%s: %+v", name, got)
			}
			next := map[string]any{"sub": d.serviceOf(name)}
			if want != nil {
				next["act"] = want
			}
			token, want = got.Access, next
			if told := d.introspect(name, made, token); !reflect.DeepEqual(told["act"], want) {
				d.Errorf("%s: act = %v, want %v", name, told["act"], want)
			}
		}
		alone := d.mustExchange("s-5", secrets[4], token, "resource", first)
		if got := d.claims(alone.Access)["act"]; !reflect.DeepEqual(got, want) {
			d.Errorf("impersonation: act = %v, want %v", got, want)
		}
	})
}

// TestExchangedTokensDie: LC-02. The death of anything that an exchanged token
// comes of, or of whoever acts, is its own; and one of them can die alone.
func TestExchangedTokensDie(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		for i, one := range []struct {
			name string
			kill func(app, api, parent string, own reply) error
		}{
			{"the person's grant", func(_, _, parent string, _ reply) error {
				return d.Grants.Revoke(ctx, audit.System, d.realm, parent, "test")
			}},
			{"the person's application", func(app, _, _ string, _ reply) error {
				return d.Grants.DisableClient(ctx, audit.System, d.realm, app, 0, nil)
			}},
			{"the client", func(_, api, _ string, _ reply) error {
				return d.Grants.DisableClient(ctx, audit.System, d.realm, api, 0, nil)
			}},
			{"the actor", func(_, api, _ string, _ reply) error {
				return d.Grants.SuspendPrincipal(ctx, audit.System, d.realm, d.serviceOf(api), "test", nil)
			}},
			{"the session", func(_, _, parent string, _ reply) error {
				g, err := d.Grants.ByID(ctx, d.realm, parent)
				if err != nil {
					return err
				}
				return d.Grants.EndSession(ctx, audit.System, d.realm, g.Session, "test")
			}},
		} {
			app, api := "app-"+string(rune('a'+i)), "api-"+string(rune('a'+i))
			secret, theirs := d.app(app), d.app(api, service(first))
			user := d.tokens(d.signIn(d.ada), app, secret, "scope", "openid orders:read")
			got := d.mustExchange(api, theirs, user.Access, "actor_token", d.own(api, theirs), "actor_token_type", typeAccess)
			further := d.app("further-"+api, service(first))
			next := d.mustExchange("further-"+api, further, got.Access, "resource", first)
			if !d.active(got.Access) || !d.active(next.Access) {
				d.Fatalf("%s: dead before", one.name)
			}
			if err := one.kill(app, api, d.claims(user.Access)["gid"].(string), got); err != nil {
				t.Fatal(err)
			}
			if d.active(got.Access) || d.active(next.Access) {
				d.Errorf("%s died, and what came of it lives", one.name)
			}
			if again := d.exchange("further-"+api, further, got.Access, "resource", first); again.Error != "invalid_request" {
				d.Errorf("%s died, and its token is exchanged: %+v", one.name, again)
			}
		}
		secret, api := d.app("app"), d.app("api", service(first))
		user := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid orders:read")
		one, other := d.mustExchange("api", api, user.Access), d.mustExchange("api", api, user.Access)
		if w := d.do("POST", "/oauth2/revoke", "token="+one.Access, "Authorization", "Basic "+basicOf("api", api)); w.Code != 200 {
			d.Fatalf("revoke: %d %s", w.Code, w.Body)
		}
		if d.active(one.Access) || !d.active(other.Access) || !d.active(user.Access) {
			d.Error("a revoked token does not die alone")
		}
	})
}

// TestOfflineGrantsAreExchanged: what outlives the session does so below, too.
func TestOfflineGrantsAreExchanged(t *testing.T) {
	run(t, func(d *door) {
		secret, api := d.app("app"), d.app("api", service(first))
		user := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid offline_access orders:read")
		before := d.mustExchange("api", api, user.Access)
		g, err := d.Grants.ByID(context.Background(), d.realm, d.claims(user.Access)["gid"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Grants.EndSession(context.Background(), audit.System, d.realm, g.Session, "test"); err != nil {
			t.Fatal(err)
		}
		late := d.app("late", service(first))
		if !d.active(before.Access) || d.mustExchange("late", late, user.Access).Access == "" {
			d.Error("ended with the session")
		}
		// A stolen refresh token takes the family, and what came of it.
		refresh := []string{"grant_type", "refresh_token", "refresh_token", user.Refresh}
		if got := d.token("app", secret, refresh...); got.Error != "" {
			d.Fatalf("refresh: %+v", got)
		}
		d.Clock.Advance(11 * time.Second)
		d.refuse(d.token("app", secret, refresh...), 400, "invalid_grant")
		if d.active(before.Access) {
			d.Error("alive after its family")
		}
	})
}

// TestIDTokensAreExchanged: by the client they are for and nobody else, while
// their grant lives.
func TestIDTokensAreExchanged(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app", func(s *client.Settings) {
			s.GrantTypes, s.ExchangeImpersonation = append(s.GrantTypes, client.TokenExchange), true
		})
		user := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid orders:read")
		got := d.mustExchange("app", secret, user.ID, "subject_token_type", typeIdentity, "scope", "orders:read", "resource", first)
		if m := d.claims(got.Access); m["sub"] != d.ada.ID || m["scope"] != "orders:read" {
			d.Errorf("%v", m)
		}
		d.refuse(d.exchange("app", secret, user.ID, "subject_token_type", typeIdentity, "scope", "orders:write"), 400, "invalid_scope")
		if err := d.Grants.Revoke(context.Background(), audit.System, d.realm, d.claims(user.Access)["gid"].(string), "test"); err != nil {
			t.Fatal(err)
		}
		d.refuse(d.exchange("app", secret, user.ID, "subject_token_type", typeIdentity), 400, "invalid_request")
	})
}

// TestBoundTokensAreExchangedByTheirHolder: CL-04. A token that is bound to a key
// is worth nothing here without it.
func TestBoundTokensAreExchangedByTheirHolder(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app", func(s *client.Settings) {
			s.GrantTypes, s.ExchangeImpersonation = append(s.GrantTypes, client.TokenExchange), true
		})
		p := d.prover()
		post := func(p *prover, pairs ...string) reply {
			head := []string{"Authorization", "Basic " + basicOf("app", secret)}
			if p != nil {
				head = append(head, "DPoP", p.proof("POST", "/oauth2/token", ""))
			}
			return d.read(d.do("POST", "/oauth2/token", values(nil, pairs...).Encode(), head...))
		}
		code := d.code(d.signIn(d.ada), request("app", "scope", "openid orders:read"))
		user := post(p, "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier)
		asked := []string{"grant_type", client.TokenExchange, "subject_token", user.Access, "subject_token_type", typeAccess}
		d.refuse(post(nil, asked...), 400, "invalid_request")
		d.refuse(post(d.prover(), asked...), 400, "invalid_request")
		if got := post(p, asked...); got.Error != "" || got.Type != "DPoP" {
			d.Errorf("by its holder: %+v", got)
		}
	})
}

// login is an issuer that the realm trusts.
type login struct {
	d   *door
	key *jose.Key
	id  string
	iss string
}

func (d *door) trusts(uses []trust.Use, change ...func(*trust.Settings)) *login {
	d.Helper()
	l := &login{d: d, iss: "https://login.example.com"}
	l.key, _ = jose.Generate("k1", jose.ES256)
	s := trust.Settings{Issuer: l.iss, JWKS: string(jose.Set{l.key.Public()}.JSON()), Uses: uses, Scopes: []string{"orders:read", "orders:write"}}
	for _, f := range change {
		f(&s)
	}
	l.iss = s.Issuer
	made, err := d.Trust.Create(context.Background(), audit.System, d.realm, s)
	if err != nil {
		d.Fatal(err)
	}
	l.id = made.ID
	return l
}

// link says that a subject is a principal, and returns the link's id.
func (l *login) link(subject, principal string) string {
	l.d.Helper()
	made, err := l.d.Trust.Link(context.Background(), audit.System, l.d.realm, l.id, subject, principal)
	if err != nil {
		l.d.Fatal(err)
	}
	return made.ID
}

// says makes a token about a subject; a nil value takes a claim away.
func (l *login) says(typ, subject string, pairs ...any) string {
	l.d.Helper()
	return l.signed(l.key, typ, subject, pairs...)
}

func (l *login) signed(k *jose.Key, typ, subject string, pairs ...any) string {
	l.d.Helper()
	now := l.d.Clock.Now()
	claims := map[string]any{"iss": l.iss, "sub": subject, "aud": l.d.issuer(), "jti": rnd(), "iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix()}
	for i := 0; i+1 < len(pairs); i += 2 {
		name := pairs[i].(string)
		if claims[name] = pairs[i+1]; pairs[i+1] == nil {
			delete(claims, name)
		}
	}
	b, err := json.Marshal(claims)
	if err != nil {
		l.d.Fatal(err)
	}
	text, err := jose.Sign(k, typ, b)
	if err != nil {
		l.d.Fatal(err)
	}
	return text
}

// TestTokensOfTrustedIssuersAreExchanged: TK-09, JW-01 to JW-04. Only of an
// issuer that is trusted for it, about somebody who is linked, and as strict as
// any token; what came of one ends with its link and its issuer.
func TestTokensOfTrustedIssuersAreExchanged(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		api := d.app("api", service(first))
		l := d.trusts([]trust.Use{trust.TokenExchange}, func(s *trust.Settings) { s.Scopes = []string{"orders:read"} })
		link := l.link("s-1", d.ada.ID)
		jwt := []string{"subject_token_type", typeJWT}
		got := d.mustExchange("api", api, l.says("JWT", "s-1"), jwt...)
		if m := d.claims(got.Access); m["sub"] != d.ada.ID || m["scope"] != "orders:read" || m["act"] != nil || m["client_id"] != "api" {
			d.Errorf("%v", m)
		}
		if got.Expires > 4*60 {
			d.Errorf("outlives the token that was shown: %d seconds", got.Expires)
		}
		d.mustExchange("api", api, l.says("at+jwt", "s-1"))
		d.mustExchange("api", api, l.says("", "s-1"), "subject_token_type", typeIdentity)
		stranger, _ := jose.Generate("k1", jose.ES256)
		rsa, _ := jose.Generate("k1", jose.RS256)
		for name, text := range map[string]string{
			"an unknown subject":           l.says("JWT", "s-2"),
			"no subject":                   l.says("JWT", ""),
			"a foreign key":                l.signed(stranger, "JWT", "s-1"),
			"a foreign key of other kind":  l.signed(rsa, "JWT", "s-1"),
			"another issuer":               l.says("JWT", "s-1", "iss", "https://evil.example"),
			"no issuer":                    l.says("JWT", "s-1", "iss", nil),
			"another audience":             l.says("JWT", "s-1", "aud", "https://elsewhere.example"),
			"no audience":                  l.says("JWT", "s-1", "aud", nil),
			"no end":                       l.says("JWT", "s-1", "exp", nil),
			"an end long ago":              l.says("JWT", "s-1", "exp", d.Clock.Now().Add(-time.Minute).Unix()),
			"an end far away":              l.says("JWT", "s-1", "exp", d.Clock.Now().Add(time.Hour).Unix()),
			"a time ahead":                 l.says("JWT", "s-1", "nbf", d.Clock.Now().Add(2*time.Minute).Unix()),
			"an actor":                     l.says("JWT", "s-1", "act", map[string]any{"sub": "s-9"}),
			"a binding":                    l.says("JWT", "s-1", "cnf", map[string]any{"jkt": "x"}),
			"an identity assertion":        l.says("oauth-id-jag+jwt", "s-1"),
			"a logout token":               l.says("logout+jwt", "s-1"),
			"a proof":                      l.says("dpop+jwt", "s-1"),
			"a may_act for another client": l.says("JWT", "s-1", "may_act", map[string]any{"iss": d.issuer(), "client_id": "app"}),
			"a may_act without issuer":     l.says("JWT", "s-1", "may_act", map[string]any{"client_id": "api"}),
			"an empty may_act":             l.says("JWT", "s-1", "may_act", map[string]any{}),
			"a may_act that is no object":  l.says("JWT", "s-1", "may_act", "api"),
		} {
			if refused := d.exchange("api", api, text, jwt...); refused.Status != 400 || refused.Error != "invalid_request" {
				d.Errorf("%s: %d %q (%s)", name, refused.Status, refused.Error, refused.Words)
			}
		}
		d.mustExchange("api", api, l.says("JWT", "s-1", "may_act", map[string]any{"iss": d.issuer(), "client_id": "api"}), jwt...)
		d.refuse(d.exchange("api", api, l.says("at+jwt", "s-1"), "subject_token_type", typeIdentity), 400, "invalid_request")
		d.refuse(d.exchange("api", api, l.says("JWT", "s-1"), "subject_token_type", typeAccess), 400, "invalid_request")
		d.refuse(d.exchange("api", api, l.says("JWT", "s-1"), append(jwt, "scope", "orders:write")...), 400, "invalid_scope")
		d.refuse(d.exchange("api", api, l.says("JWT", "s-1", "scope", "other"), jwt...), 400, "invalid_scope")

		// The link, and then the issuer, end; what came of them ends too.
		end := func(ctx context.Context, id string) error {
			return d.Grants.RevokeCredential(ctx, audit.System, d.realm, id, "test", nil)
		}
		found, err := d.Trust.LinkByID(ctx, d.realm, l.id, link)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Trust.Unlink(ctx, audit.System, d.realm, found, end); err != nil {
			t.Fatal(err)
		}
		if d.active(got.Access) {
			d.Error("the link is gone, and what came of it lives")
		}
		d.refuse(d.exchange("api", api, l.says("JWT", "s-1"), jwt...), 400, "invalid_request")
		l.link("s-1", d.ada.ID)
		got = d.mustExchange("api", api, l.says("JWT", "s-1"), jwt...)
		if err := d.Trust.Delete(ctx, audit.System, d.realm, l.id, end); err != nil {
			t.Fatal(err)
		}
		if d.active(got.Access) {
			d.Error("the issuer is gone, and what came of it lives")
		}
		d.refuse(d.exchange("api", api, l.says("JWT", "s-1"), jwt...), 400, "invalid_request")
	})
}

// TestTrustIsForOneUse: an issuer that is trusted for another use is not trusted.
func TestTrustIsForOneUse(t *testing.T) {
	run(t, func(d *door) {
		api := d.app("api", service(first))
		l := d.trusts([]trust.Use{trust.JWTBearer, trust.IDJAG})
		l.link("s-1", d.ada.ID)
		d.refuse(d.exchange("api", api, l.says("JWT", "s-1"), "subject_token_type", typeJWT), 400, "invalid_request")
	})
}

// TestActorsOfTrustedIssuers: RFC 8693, section 4.4. may_act names who may act,
// by what the issuer calls them or by what we do.
func TestActorsOfTrustedIssuers(t *testing.T) {
	run(t, func(d *door) {
		api := d.app("api", service(first))
		l := d.trusts([]trust.Use{trust.TokenExchange}, func(s *trust.Settings) { s.Audiences = []string{"https://shared.example", d.issuer()} })
		robot, err := d.People.Create(context.Background(), audit.System, d.realm, principal.New{Kind: principal.Service, Name: "robot"})
		if err != nil {
			t.Fatal(err)
		}
		l.link("s-1", d.ada.ID)
		l.link("r-1", robot.ID)
		self := d.serviceOf("api")
		for name, one := range map[string]struct {
			mayAct, actor any
			want          string
		}{
			"nobody is named":              {nil, l.says("JWT", "r-1"), robot.ID},
			"the issuer's own":             {map[string]any{"sub": "r-1"}, l.says("JWT", "r-1"), robot.ID},
			"somebody else of the issuer":  {map[string]any{"sub": "r-2"}, l.says("JWT", "r-1"), ""},
			"the actor of another issuer":  {map[string]any{"sub": "r-1", "iss": "https://evil.example"}, l.says("JWT", "r-1"), ""},
			"one of ours":                  {map[string]any{"sub": self, "iss": d.issuer()}, d.own("api", api), self},
			"one of ours as the issuer's":  {map[string]any{"sub": self}, d.own("api", api), ""},
			"one of ours, another client":  {map[string]any{"sub": self, "iss": d.issuer(), "client_id": "app"}, d.own("api", api), ""},
			"nobody, with a may_act":       {map[string]any{}, l.says("JWT", "r-1"), ""},
			"the actor is the subject":     {nil, l.says("JWT", "s-1"), ""},
			"an actor that nobody knows":   {nil, l.says("JWT", "r-3"), ""},
			"an actor who acts for others": {nil, l.says("JWT", "r-1", "act", map[string]any{"sub": "r-2"}), ""},
		} {
			got := d.exchange("api", api, l.says("JWT", "s-1", "aud", []string{"x", "https://shared.example"}, "may_act", one.mayAct), "subject_token_type", typeJWT,
				"actor_token", one.actor.(string), "actor_token_type", typeJWT)
			switch {
			case one.want == "" && (got.Error != "invalid_request" || got.Access != ""):
				d.Errorf("%s: %+v", name, got)
			case one.want != "" && (got.Error != "" || !reflect.DeepEqual(d.claims(got.Access)["act"], map[string]any{"sub": one.want})):
				d.Errorf("%s: %+v", name, got)
			}
		}
	})
}

// TestLinkingByEmail: off unless it was switched on, and only with an address
// that both sides have verified; from then on the subject counts.
func TestLinkingByEmail(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		api := d.app("api", service(first))
		jwt := []string{"subject_token_type", typeJWT}
		if _, err := d.People.Create(ctx, audit.System, d.realm, principal.New{Kind: principal.Person, DisplayName: "Eve", Emails: []principal.Email{{Address: "eve@example.com"}}}); err != nil {
			t.Fatal(err)
		}
		strict := d.trusts([]trust.Use{trust.TokenExchange})
		d.refuse(d.exchange("api", api, strict.says("JWT", "s-1", "email", "ada@example.com", "email_verified", true), jwt...), 400, "invalid_request")
		l := d.trusts([]trust.Use{trust.TokenExchange}, func(s *trust.Settings) { s.Issuer, s.LinkByEmail = "https://mail.example.com", true })
		for name, text := range map[string]string{
			"not verified there":        l.says("JWT", "s-1", "email", "ada@example.com"),
			"verified in words":         l.says("JWT", "s-1", "email", "ada@example.com", "email_verified", "true"),
			"denied there":              l.says("JWT", "s-1", "email", "ada@example.com", "email_verified", false),
			"not verified here":         l.says("JWT", "s-1", "email", "eve@example.com", "email_verified", true),
			"nobody's address":          l.says("JWT", "s-1", "email", "nobody@example.com", "email_verified", true),
			"no address, but a subject": l.says("JWT", "ada@example.com", "email_verified", true),
		} {
			if got := d.exchange("api", api, text, jwt...); got.Error != "invalid_request" {
				d.Errorf("%s: %+v", name, got)
			}
		}
		got := d.mustExchange("api", api, l.says("JWT", "s-1", "email", "Ada@Example.com", "email_verified", true), jwt...)
		if sub := d.claims(got.Access)["sub"]; sub != d.ada.ID {
			d.Errorf("sub = %v", sub)
		}
		again := d.mustExchange("api", api, l.says("JWT", "s-1", "email", "bob@example.com", "email_verified", true), jwt...)
		if d.claims(again.Access)["sub"] != d.ada.ID || !strings.HasPrefix(d.ada.ID, "usr_") {
			d.Error("the address counts where the subject is known")
		}
	})
}

// TestExchangesEnd: a token cannot be handed on for ever.
func TestExchangesEnd(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		token := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid orders:read").Access
		api := d.app("api", service(first))
		for n := 1; ; n++ {
			got := d.exchange("api", api, token, "resource", first)
			if got.Error != "" {
				if d.refuse(got, 400, "invalid_request"); n < 4 || n > 8 {
					d.Errorf("refused after %d times", n-1)
				}
				return
			}
			if token = got.Access; n > 8 || !d.active(token) {
				d.Fatalf("exchange %d: %+v", n, got)
			}
		}
	})
}

// TestKeysOfTrustedIssuersAreFetchedSafely: AZ-11. Where an issuer's keys are is
// asked through the guarded fetcher: this machine never is.
func TestKeysOfTrustedIssuersAreFetchedSafely(t *testing.T) {
	run(t, func(d *door) {
		var asked atomic.Int64
		here := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
		defer here.Close()
		api := d.app("api", service(first))
		l := d.trusts([]trust.Use{trust.TokenExchange}, func(s *trust.Settings) { s.JWKS, s.JWKSURI = "", here.URL })
		l.link("s-1", d.ada.ID)
		d.refuse(d.exchange("api", api, l.says("JWT", "s-1"), "subject_token_type", typeJWT), 503, "temporarily_unavailable")
		if asked.Load() != 0 {
			d.Error("this machine was asked for keys")
		}
	})
}
