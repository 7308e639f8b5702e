package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/realm"
)

// bearerGrant takes the word of a trusted issuer for an authorization (RFC 7523,
// section 2.1). The assertion is for us alone, lives for a bounded time and
// counts once. Nobody gets more on it than the issuer and the client may have.
type bearerGrant struct{}

// grantJTI is the purpose under which the ids of assertions are remembered.
const grantJTI once.Purpose = "grant_assertion"

func (bearerGrant) prove(s *Server, a *asking) (proved, error) {
	if a.caller.Public() {
		return proved{}, refuse("unauthorized_client", "a public client cannot use assertions")
	}
	text := a.params.Get("assertion")
	if text == "" {
		return proved{}, badRequest("assertion is missing")
	}
	f, err := s.readGrantAssertion(a, text)
	if err != nil {
		return proved{}, badAuthorization(err)
	}
	link, err := s.linked(a, f)
	if err != nil {
		return proved{}, badAuthorization(err)
	}
	x := &shown{principal: link.Principal, link: link, issuer: f.issuer}
	if x.scopes, x.scoped, err = f.scopes(); err != nil {
		return proved{}, badAuthorization(err)
	}
	if x.targets, x.aimed, err = f.resources(); err != nil {
		return proved{}, badAuthorization(err)
	}
	scopes, err := a.exchangedScopes(x)
	if err != nil {
		return proved{}, err
	}
	audience, err := a.exchangedAudience(x, scopes)
	if err != nil {
		return proved{}, err
	}
	if err := s.spendGrantAssertion(a.request.Context(), a.realm, f); err != nil {
		return proved{}, badAuthorization(err)
	}
	g, err := s.grants.ExchangeFor(a.request.Context(), a.actor(), a.caller.Client, grant.Shown{Principal: link.Principal, Credential: link.ID})
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
		return proved{}, badGrant("whom the assertion speaks of, or the link with them, has ended")
	}
	return proved{grant: g, scopes: scopes, audience: audience}, err
}

// readGrantAssertion reads an assertion that is good for an authorization. It is
// for this issuer and nobody else: the address of an endpoint would let an
// assertion for one server pass at another.
func (s *Server) readGrantAssertion(a *asking, text string) (*foreign, error) {
	want := wantGrantAssertion(a, text)
	f, err := s.readForeign(a.request.Context(), a.realm, text, want)
	if err != nil {
		return nil, err
	}
	if want.use == trust.IDJAG {
		return f, a.identityAssertion(f)
	}
	if f.claims.Has("cnf") {
		return nil, wrong("is bound to a key, which is not understood here")
	}
	if id, err := f.claims.String("client_id"); err != nil || f.claims.Has("client_id") && id != a.caller.ID {
		return nil, wrong("is for another client")
	}
	return f, nil
}

// spendGrantAssertion lets each assertion of an issuer through once, on any node,
// and none that the database may have forgotten in a failover.
func (s *Server) spendGrantAssertion(ctx context.Context, rl *realm.Realm, f *foreign) error {
	jti, err := f.claims.String("jti")
	if err != nil || jti == "" || len(jti) > maxJTI {
		return wrong("needs a jti of at most 256 bytes")
	}
	seen, err := s.once.Seen(ctx, rl.Name, once.Key{Purpose: grantJTI, Client: f.issuer.ID, Value: jti, From: f.from, Until: f.expires.Add(time.Minute)})
	if err != nil {
		return err
	}
	if seen {
		return wrong("was used before, or may have been before a failover")
	}
	return nil
}

// badAuthorization words an assertion that is no good (RFC 7523, section 3.1).
func badAuthorization(err error) error {
	var bad *unacceptable
	if errors.As(err, &bad) {
		return badGrant("the assertion " + bad.words)
	}
	return err
}
