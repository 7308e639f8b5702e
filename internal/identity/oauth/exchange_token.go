package oauth

import (
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
)

// The types of tokens that an exchange takes or gives (RFC 8693, section 3).
const (
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	typeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"
)

// foreignTypes are the typ headers that a token of another issuer may have when
// it is shown as a token of a type. No type lets an assertion, a proof or a
// logout token pass.
var foreignTypes = map[string][]string{
	typeAccessToken: {"at+jwt"},
	typeIDToken:     {"", "JWT"},
	typeJWT:         {"", "JWT", "at+jwt"},
}

// shown is a token that was shown in order to be exchanged, or to say who acts.
type shown struct {
	principal string
	parent    *grant.Grant // of a token of ours
	link      *trust.Link  // of a token of another issuer
	expires   time.Time

	within  token.Bounds // what the parent allows
	issuer  *trust.Issuer
	scopes  []string // what the token itself has
	scoped  bool     // it says so; else it has what its grant has
	targets []string // the resources it is for
	aimed   bool     // it says so
	actors  int
	mayAct  jose.Object
	limited bool // mayAct says who may
}

// readShown reads the token of a parameter. It is alive, and the client's to
// use: issued to it, or meant for it. An error of kind unacceptable says what is
// wrong with it.
func (s *Server) readShown(a *asking, text, tokenType string) (*shown, error) {
	if _, known := foreignTypes[tokenType]; !known {
		return nil, wrong("is of a type that is not exchanged here")
	}
	if s.tokens.Ours(a.realm.Name, text) {
		return s.shownAccess(a, text, tokenType)
	}
	u, err := jose.Parse(text, token.MaxBytes)
	switch {
	case err != nil:
		return nil, foreignProblem(err)
	case u.Issuer() != a.realm.Issuer:
		return s.shownForeign(a, text, tokenType)
	case tokenType == typeIDToken:
		return s.shownIdentity(a, text)
	}
	return s.shownAccess(a, text, tokenType)
}

func (s *Server) shownAccess(a *asking, text, tokenType string) (*shown, error) {
	if tokenType == typeIDToken {
		return nil, wrong("is no ID token")
	}
	ctx := a.request.Context()
	t, err := s.tokens.Recognise(ctx, a.realm.Name, text)
	if err != nil {
		return nil, unlessOurs(err, "is unknown, expired or revoked")
	}
	if !heldBy(a, t) {
		return nil, wrong("is neither the client's own nor meant for it")
	}
	// Whoever shows a bound token shows what it is bound to, here too.
	if t.Bound.JKT != "" && t.Bound.JKT != a.bound.JKT || t.Bound.X5T != "" && t.Bound.X5T != a.bound.X5T {
		return nil, wrong("is bound to a key or certificate that was not shown")
	}
	g, err := s.grants.Cached(ctx, a.realm.Name, t.Grant)
	if err != nil {
		return nil, unlessOurs(err, "is unknown, expired or revoked")
	}
	x := &shown{principal: t.Principal, parent: g, expires: t.Expires, scopes: t.Scopes, scoped: true}
	return x, s.bounded(a, x)
}

// heldBy reports whether a token is the caller's to exchange (TK-09).
func heldBy(a *asking, t *token.Token) bool {
	return t.Client == a.caller.ID || a.caller.ResourceServer && slices.ContainsFunc(t.Audience, a.caller.Answers)
}

func (s *Server) shownIdentity(a *asking, text string) (*shown, error) {
	id, err := s.tokens.Identify(a.request.Context(), a.realm.Name, text)
	if err != nil {
		return nil, unlessOurs(err, "is no ID token of this issuer, or has expired")
	}
	if id.Client != a.caller.ID {
		return nil, wrong("is an ID token for another client")
	}
	x := &shown{principal: id.Grant.Principal, parent: id.Grant, expires: id.Expires}
	return x, s.bounded(a, x)
}

// bounded asks whether the grant is alive and what it allows.
func (s *Server) bounded(a *asking, x *shown) (err error) {
	if x.within, err = s.tokens.Bounds(a.request.Context(), x.parent); err != nil {
		return unlessOurs(err, "is of a grant that has ended")
	}
	x.actors = x.within.Actors()
	return nil
}

func (s *Server) shownForeign(a *asking, text, tokenType string) (*shown, error) {
	f, err := s.readForeign(a.request.Context(), a.realm, text, foreignWant{use: trust.TokenExchange, types: foreignTypes[tokenType],
		audience: func(i *trust.Issuer) []string { return i.AudiencesFor(a.realm.Issuer) }})
	if err != nil {
		return nil, err
	}
	if f.claims.Has("cnf") {
		return nil, wrong("is bound to a key, which is not taken from another issuer")
	}
	x := &shown{issuer: f.issuer, expires: f.expires, limited: f.claims.Has("may_act")}
	if x.scopes, x.scoped, err = f.scopes(); err != nil {
		return nil, err
	}
	if x.mayAct, err = f.claims.Object.Object("may_act"); err != nil {
		return nil, wrong("has a may_act that cannot be read")
	}
	if x.link, err = s.linked(a, f); err != nil {
		return nil, err
	}
	x.principal = x.link.Principal
	return x, nil
}

// unlessOurs words a token that is no good, and leaves failures of ours alone.
func unlessOurs(err error, words string) error {
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
		return wrong(words)
	}
	return err
}

// has reports whether tokens that come of this one may have a scope.
func (x *shown) has(scope string) bool {
	if x.scoped && !slices.Contains(x.scopes, scope) {
		return false
	}
	if x.parent != nil {
		return x.within.Scope(scope)
	}
	return x.issuer.AllowsScope(scope)
}

// reaches reports whether tokens that come of this one may be for an audience.
// The word of another issuer says nothing of that: the client's registration does.
func (x *shown) reaches(audience string) bool {
	if x.aimed && !slices.Contains(x.targets, audience) {
		return false
	}
	return x.parent == nil || x.within.Audience(audience)
}
