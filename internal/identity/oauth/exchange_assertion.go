package oauth

import (
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
)

// typeIDJAG is an identity assertion for the authorization server of another
// domain (draft-ietf-oauth-identity-assertion-authz-grant), and profileIDJAG the
// name under which a server says that it takes them.
const (
	typeIDJAG    = "urn:ietf:params:oauth:token-type:id-jag"
	profileIDJAG = "urn:ietf:params:oauth:grant-profile:id-jag"
)

// wantsAssertion reports whether a request is for an identity assertion, whose
// scopes and resources are those of another server.
func (a *asking) wantsAssertion() bool {
	return a.params.Get("grant_type") == client.TokenExchange && a.params.Get("requested_token_type") == typeIDJAG
}

// proveAssertion trades an ID token for an identity assertion. To which servers a
// client may go so, as whom and for what, is a right of its own.
func (s *Server) proveAssertion(a *asking) (proved, error) {
	if a.params.Has("actor_token") || a.params.Has("actor_token_type") {
		return proved{}, badRequest("an identity assertion names no actor")
	}
	if a.params.Get("subject_token_type") != typeIDToken {
		return proved{}, badRequest("an identity assertion is given for an ID token")
	}
	subject, err := s.readParameter(a, "subject_token")
	if err != nil {
		return proved{}, err
	}
	if subject == nil || subject.parent == nil {
		return proved{}, badRequest("an identity assertion is given for an ID token of this issuer")
	}
	audience := a.params.All("audience")
	if len(audience) != 1 {
		return proved{}, badRequest("audience names one authorization server by its issuer")
	}
	there := a.caller.AssertionFor(audience[0])
	if there == nil {
		return proved{}, refuse("invalid_target", "the client gets no identity assertions for that audience")
	}
	scopes, err := assertedScopes(there, a.params.Get("scope"))
	if err != nil {
		return proved{}, err
	}
	for _, resource := range a.resources {
		if !slices.Contains(there.Resources, resource) {
			return proved{}, refuse("invalid_target", "the client may not ask for that resource there")
		}
	}
	claims, err := s.assertedClaims(a, subject)
	if err != nil {
		return proved{}, err
	}
	return proved{grant: subject.parent, scopes: scopes, issued: typeIDJAG, assertion: &token.AssertionRequest{Grant: subject.parent, Audience: there.Issuer,
		ClientID: there.ClientID, Scopes: scopes, Resources: a.resources, Until: subject.expires, Bound: a.bound, Claims: claims}}, nil
}

// assertedScopes are those asked for, or all that the client may have there.
func assertedScopes(there *client.Assertion, text string) ([]string, error) {
	if len(text) > maxScope {
		return nil, refuse("invalid_scope", "scope is longer than 2048 bytes")
	}
	scopes := strings.Fields(text)
	for _, scope := range scopes {
		if !slices.Contains(there.Scopes, scope) {
			return nil, refuse("invalid_scope", "the client may not ask for that scope there")
		}
	}
	if len(scopes) == 0 {
		scopes = slices.Clone(there.Scopes)
	}
	slices.Sort(scopes)
	return slices.Compact(scopes), nil
}

// assertedClaims tell the other server an address by which it may know the person
// already, if the person lets the client have it.
func (s *Server) assertedClaims(a *asking, subject *shown) ([]token.Claim, error) {
	if !subject.within.Scope("email") {
		return nil, nil
	}
	who, err := s.principals.Cached(a.request.Context(), a.realm.Name, subject.principal)
	if err != nil {
		return nil, err
	}
	var list []token.Claim
	for i := range personClaims {
		c := &personClaims[i]
		if value := c.append(nil, who); c.scope == "email" && len(value) > 0 {
			list = append(list, token.Claim{Name: c.name, Value: value})
		}
	}
	return list, nil
}

// identityAssertion is what an identity assertion must be beyond any other
// assertion: about this client, and what it is bound to is shown.
func (a *asking) identityAssertion(f *foreign) error {
	if id, err := f.claims.String("client_id"); err != nil || id != a.caller.ID {
		return wrong("is for another client")
	}
	if !f.claims.Has("cnf") {
		return nil
	}
	cnf, err := f.claims.Object.Object("cnf")
	if err != nil {
		return wrong("has a cnf that cannot be read")
	}
	jkt, err1 := cnf.String("jkt")
	x5t, err2 := cnf.String("x5t#S256")
	if err1 != nil || err2 != nil || jkt == "" && x5t == "" || len(cnf.Members()) != count(jkt, x5t) {
		return wrong("has a cnf that is not understood here")
	}
	if jkt != "" && jkt != a.bound.JKT || x5t != "" && x5t != a.bound.X5T {
		return wrong("is bound to a key or certificate that was not shown")
	}
	return nil
}

// count is how many of the words are there.
func count(words ...string) (n int) {
	for _, w := range words {
		if w != "" {
			n++
		}
	}
	return n
}

// wantGrantAssertion is what an assertion must be, by the type that it has.
func wantGrantAssertion(a *asking, text string) foreignWant {
	want := foreignWant{use: trust.JWTBearer, types: []string{"", "JWT"}, alone: true,
		audience: func(*trust.Issuer) []string { return []string{a.realm.Issuer} }}
	if u, err := jose.Parse(text, token.MaxBytes); err == nil && strings.EqualFold(strings.TrimPrefix(u.Typ, "application/"), token.TypeAssertion) {
		want.use, want.types, want.issuedAt = trust.IDJAG, []string{token.TypeAssertion}, true
	}
	return want
}
