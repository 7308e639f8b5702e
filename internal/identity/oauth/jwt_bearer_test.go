package oauth_test

import (
	"context"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// worker is a client that gets tokens for what trusted issuers say.
func worker(change ...func(*client.Settings)) func(*client.Settings) {
	return func(s *client.Settings) {
		*s = client.Settings{Name: "Worker", Type: client.Service, GrantTypes: []string{client.JWTBearer}, Scopes: []string{"orders:read", "orders:write", "profile"},
			Resources: []string{first, second}}
		for _, f := range change {
			f(s)
		}
	}
}

// assert asks for a token with an assertion.
func (d *door) assert(id, secret, assertion string, pairs ...string) reply {
	d.Helper()
	return d.token(id, secret, append([]string{"grant_type", client.JWTBearer, "assertion", assertion}, pairs...)...)
}

// TestAssertionsAreGrants: RFC 7523, sections 2.1 and 3. A trusted issuer's word
// gets a token for whom it speaks of, bounded by issuer and client.
func TestAssertionsAreGrants(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("worker", worker())
		l := d.trusts([]trust.Use{trust.JWTBearer})
		link := l.link("s-1", d.ada.ID)
		got := d.assert("worker", secret, l.says("JWT", "s-1"), "resource", second, "scope", "orders:read")
		if got.Error != "" || got.Refresh != "" || got.Issued != "" || got.Type != "Bearer" || got.Scope != "orders:read" {
			d.Fatalf("%+v", got)
		}
		if m := d.claims(got.Access); m["sub"] != d.ada.ID || m["aud"] != second || m["client_id"] != "worker" || m["act"] != nil || m["acr"] != nil {
			d.Errorf("%v", m)
		}
		all := d.assert("worker", secret, l.says("", "s-1", "client_id", "worker"))
		if m := d.claims(all.Access); m["scope"] != "orders:read orders:write" || !reflect.DeepEqual(m["aud"], []any{first, second}) {
			d.Errorf("with nothing named: %v", m)
		}
		if less := d.assert("worker", secret, l.says("JWT", "s-1", "scope", "orders:read other")); less.Scope != "orders:read" {
			d.Errorf("an assertion with a scope: %+v", less)
		}
		d.refuse(d.assert("worker", secret, l.says("JWT", "s-1"), "scope", "profile"), 400, "invalid_scope")
		d.refuse(d.assert("worker", secret, l.says("JWT", "s-1"), "scope", "email"), 400, "invalid_scope")
		d.refuse(d.assert("worker", secret, l.says("JWT", "s-1"), "resource", "https://third.example"), 400, "invalid_target")
		if n := len(d.exchanges()); n != 1 {
			d.Errorf("%d grants, want one for all", n)
		}
		if err := d.Grants.RevokeCredential(context.Background(), audit.System, d.realm, link, "test", nil); err != nil {
			t.Fatal(err)
		}
		if d.active(got.Access) || d.active(all.Access) {
			d.Error("alive after the link")
		}
		d.refuse(d.assert("worker", secret, l.says("JWT", "s-1")), 400, "invalid_grant")
	})
}

// TestNobodySpeaksForADormantAccount: while an account waits to be deleted only its
// owner's own sign-in wakes it, not the word of another issuer.
func TestNobodySpeaksForADormantAccount(t *testing.T) {
	run(t, func(d *door) {
		secret, api := d.app("worker", worker()), d.app("api", service(first))
		l := d.trusts([]trust.Use{trust.JWTBearer, trust.TokenExchange})
		l.link("s-1", d.ada.ID)
		grace := d.Person(t, d.realm, "grace@example.com")
		l.link("s-2", grace.ID)
		ways := map[string]func() reply{
			"acting for somebody": func() reply {
				return d.exchange("api", api, l.says("JWT", "s-2"), "subject_token_type", typeJWT, "actor_token", l.says("JWT", "s-1"), "actor_token_type", typeJWT)
			},
			"jwt-bearer":     func() reply { return d.assert("worker", secret, l.says("JWT", "s-1")) },
			"token exchange": func() reply { return d.exchange("api", api, l.says("JWT", "s-1"), "subject_token_type", typeJWT) },
		}
		for name, ask := range ways {
			if got := ask(); got.Error != "" {
				d.Fatalf("%s before: %+v", name, got)
			}
		}
		ctx := context.Background()
		rl, err := d.Realms.ByName(ctx, d.realm)
		if err != nil {
			d.Fatal(err)
		}
		leaving := *rl
		leaving.Settings.AccountDeletion = realm.On
		if _, err := d.Desk.Leave(ctx, audit.System, &leaving, d.ada.ID); err != nil {
			d.Fatal(err)
		}
		for name, ask := range ways {
			if got := ask(); got.Error != "invalid_grant" && got.Error != "invalid_request" {
				d.Errorf("%s for an account that waits to be deleted: %+v", name, got)
			}
		}
		if err := d.Desk.Stay(ctx, audit.System, d.realm, d.ada.ID); err != nil {
			d.Fatal(err)
		}
		for name, ask := range ways {
			if got := ask(); got.Error != "" {
				d.Errorf("%s afterwards: %+v", name, got)
			}
		}
	})
}

// TestAssertionsAreCheckedInFull: JW-01 to JW-04. Each way in which an assertion
// is not what it must be; none of them uses up a good one.
func TestAssertionsAreCheckedInFull(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("worker", worker())
		l := d.trusts([]trust.Use{trust.JWTBearer}, func(s *trust.Settings) { s.Algorithms = []string{jose.ES256} })
		l.link("s-1", d.ada.ID)
		other := d.trusts([]trust.Use{trust.TokenExchange, trust.IDJAG}, func(s *trust.Settings) { s.Issuer = "https://other.example" })
		other.link("s-1", d.ada.ID)
		stranger, _ := jose.Generate("k1", jose.ES256)
		edwards, _ := jose.Generate("k1", jose.EdDSA)
		now := d.Clock.Now()
		user := d.tokens(d.signIn(d.ada), "app", d.app("app"), "scope", "openid offline_access")
		for name, text := range map[string]string{
			"nonsense":                     "x",
			"an access token of ours":      user.Access,
			"an ID token of ours":          user.ID,
			"a refresh token of ours":      user.Refresh,
			"an issuer for another use":    other.says("JWT", "s-1"),
			"an unknown issuer":            l.says("JWT", "s-1", "iss", "https://evil.example"),
			"no issuer":                    l.says("JWT", "s-1", "iss", nil),
			"our own name":                 l.says("JWT", "s-1", "iss", d.issuer()),
			"a foreign key":                l.signed(stranger, "JWT", "s-1"),
			"an algorithm it may not use":  l.signed(edwards, "JWT", "s-1"),
			"the endpoint as audience":     l.says("JWT", "s-1", "aud", d.issuer()+"/oauth2/token"),
			"others in the audience":       l.says("JWT", "s-1", "aud", []string{d.issuer(), "https://other.example"}),
			"no audience":                  l.says("JWT", "s-1", "aud", nil),
			"no end":                       l.says("JWT", "s-1", "exp", nil),
			"an end in the past":           l.says("JWT", "s-1", "exp", now.Add(-time.Minute).Unix()),
			"an end far ahead":             l.says("JWT", "s-1", "exp", now.Add(7*time.Minute).Unix()),
			"made in the future":           l.says("JWT", "s-1", "iat", now.Add(2*time.Minute).Unix()),
			"not yet good":                 l.says("JWT", "s-1", "nbf", now.Add(2*time.Minute).Unix()),
			"no subject":                   l.says("JWT", "s-1", "sub", nil),
			"an unknown subject":           l.says("JWT", "s-2"),
			"a number as subject":          l.says("JWT", "s-1", "sub", 1),
			"no jti":                       l.says("JWT", "s-1", "jti", nil),
			"a number as jti":              l.says("JWT", "s-1", "jti", 7),
			"another client":               l.says("JWT", "s-1", "client_id", "app"),
			"an actor":                     l.says("JWT", "s-1", "act", map[string]any{"sub": "x"}),
			"a binding":                    l.says("JWT", "s-1", "cnf", map[string]any{"jkt": "x"}),
			"an access token of theirs":    l.says("at+jwt", "s-1"),
			"a client assertion of theirs": l.says("client-authentication+jwt", "s-1"),
			"an identity assertion":        l.says("oauth-id-jag+jwt", "s-1", "client_id", "worker"),
			"a logout token":               l.says("logout+jwt", "s-1"),
		} {
			if got := d.assert("worker", secret, text); got.Status != 400 || got.Error != "invalid_grant" || got.Access != "" {
				d.Errorf("%s: %d %q (%s)", name, got.Status, got.Error, got.Words)
			}
		}
		d.refuse(d.token("worker", secret, "grant_type", client.JWTBearer), 400, "invalid_request")
		good := l.says("JWT", "s-1")
		theirs := d.app("theirs", worker(func(s *client.Settings) { s.GrantTypes = []string{client.ClientCredentials} }))
		d.refuse(d.assert("theirs", theirs, good), 400, "unauthorized_client")
		d.app("spa", public)
		d.refuse(d.assert("spa", "", good), 400, "unauthorized_client")
		d.refuse(d.assert("worker", secret, good, "scope", "email"), 400, "invalid_scope")
		if got := d.assert("worker", secret, good); got.Error != "" {
			d.Errorf("after all that: %+v", got)
		}
		d.refuse(d.assert("worker", secret, good), 400, "invalid_grant")
	})
}

// TestAnAssertionIsSpentOnceOnAllNodes: P-07. The same assertion at once, on two
// nodes where there can be two; another issuer's jti is another.
func TestAnAssertionIsSpentOnceOnAllNodes(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("worker", worker())
		l := d.trusts([]trust.Use{trust.JWTBearer})
		l.link("s-1", d.ada.ID)
		twin := d.trusts([]trust.Use{trust.JWTBearer}, func(s *trust.Settings) { s.Issuer = "https://twin.example" })
		twin.link("s-1", d.ada.ID)
		nodes := []*door{d, d}
		if d.DB.Engine() == db.Postgres {
			other := *d
			other.Env = d.Node(d.T)
			nodes[1] = &other
		}
		for range 3 {
			jti := rnd()
			text := l.says("JWT", "s-1", "jti", jti)
			if got := d.assert("worker", secret, twin.says("JWT", "s-1", "jti", jti)); got.Error != "" {
				d.Errorf("the twin's: %+v", got)
			}
			answers := make([]reply, 8)
			var all sync.WaitGroup
			for i := range answers {
				all.Go(func() { answers[i] = nodes[i%2].assert("worker", secret, text) })
			}
			all.Wait()
			good := 0
			for _, got := range answers {
				if got.Access != "" {
					good++
				} else if got.Error != "invalid_grant" {
					d.Errorf("%+v", got)
				}
			}
			if good != 1 {
				d.Fatalf("%d of %d passed, want one", good, len(answers))
			}
		}
	})
}

// P-10: what a failover may have forgotten is not accepted again. Set From to now
// in spendGrantAssertion to see it fail.
func TestAGrantAssertionIsNotReplayedAfterAFailover(t *testing.T) {
	run(t, func(d *door) {
		d.crossed = true
		secret := d.app("worker", worker())
		l := d.trusts([]trust.Use{trust.JWTBearer})
		l.link("s-1", d.ada.ID)
		if got := d.assert("worker", secret, l.says("JWT", "s-1")); got.Access == "" { // makes the standing grant
			d.Fatalf("a good assertion: %+v", got)
		}
		kept := d.logHeads()
		used := l.says("JWT", "s-1")
		if got := d.assert("worker", secret, used); got.Access == "" {
			d.Fatalf("a good assertion: %+v", got)
		}
		d.Person(d.T, d.realm, "lost@example.com")
		d.failOver(kept)
		d.refuse(d.assert("worker", secret, used), 400, "invalid_grant")
		d.refuse(d.assert("worker", secret, l.says("JWT", "s-1")), 400, "invalid_grant")
		d.Clock.Advance(jose.MaxSkew + time.Second)
		if got := d.assert("worker", secret, l.says("JWT", "s-1")); got.Access == "" {
			d.Errorf("one made later: %+v", got)
		}
	})
}
