package client

import (
	"slices"
	"strings"
)

// Assertion lets a client get identity assertions for the authorization server
// of another domain (draft-ietf-oauth-identity-assertion-authz-grant), which
// knows the client by an id of its own.
type Assertion struct {
	Issuer   string   `json:"issuer"`    // of that server
	ClientID string   `json:"client_id"` // of the client there
	Scopes   []string `json:"scopes,omitempty"`
	// Resources that it may ask for; a request that names none gets none named.
	Resources []string `json:"resources,omitempty"`
}

// AssertionFor returns what the client may get for an authorization server, or
// nil.
func (s *Settings) AssertionFor(issuer string) *Assertion {
	i := slices.IndexFunc(s.IdentityAssertions, func(a Assertion) bool { return a.Issuer == issuer })
	if i < 0 {
		return nil
	}
	return &s.IdentityAssertions[i]
}

func (s *Settings) checkAssertions(p *problems) {
	const field = "identity_assertions"
	if len(s.IdentityAssertions) > maxList {
		p.add(field, "has more than %d entries", maxList)
		return
	}
	if len(s.IdentityAssertions) > 0 && !s.AllowsGrant(TokenExchange) {
		p.add(field, "need the grant type %s", TokenExchange)
	}
	seen := map[string]bool{}
	for _, a := range s.IdentityAssertions {
		switch {
		case !strings.HasPrefix(a.Issuer, "https://") && !strings.HasPrefix(a.Issuer, "http://") || !ValidResource(a.Issuer):
			p.add(field, "%.80q is not the issuer of an authorization server", a.Issuer)
		case seen[a.Issuer]:
			p.add(field, "%.80q is listed twice", a.Issuer)
		case a.ClientID == "" || len(a.ClientID) > maxContact || !printable(a.ClientID):
			p.add(field, "the client has an id at %.80q of at most %d printable characters", a.Issuer, maxContact)
		case len(a.Scopes) > maxList || slices.ContainsFunc(a.Scopes, func(scope string) bool { return !ValidScope(scope) }):
			p.add(field, "a scope for %.80q is none (RFC 6749, appendix A.4)", a.Issuer)
		case len(a.Resources) > maxList || slices.ContainsFunc(a.Resources, func(r string) bool { return !ValidResource(r) }):
			p.add(field, "a resource at %.80q is not an absolute URI without fragment", a.Issuer)
		}
		seen[a.Issuer] = true
	}
}
