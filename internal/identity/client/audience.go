package client

import "slices"

// Scopes that stand for a resource of Cardea's own.
const (
	ScopeOpenID      = "openid"
	ScopeAdmin       = "cardea:admin"
	ScopeRevocations = "cardea:revocations"
	ScopeDecide      = "cardea:decide"
	ScopeEdge        = "cardea:edge"
	ScopeAgent       = "cardea:agent"
)

// ownResources says which of our own resources a scope opens: what follows the
// issuer in the resource's name.
var ownResources = [...]struct{ scope, path string }{
	{ScopeOpenID, ""}, // userinfo
	{ScopeAdmin, "/api/v1"},
	{ScopeRevocations, "/status-lists"},
	{ScopeDecide, "/access/v1"},
	{ScopeEdge, "/access/v1/edge"},
	{ScopeAgent, "/opa/v1"},
}

// OwnResource is a protected resource that every issuer serves.
type OwnResource struct {
	Scope string
	Path  string // what follows the issuer in its name
}

// OwnResources lists them.
func OwnResources() []OwnResource {
	all := make([]OwnResource, len(ownResources))
	for i, own := range ownResources {
		all[i] = OwnResource{own.scope, own.path}
	}
	return all
}

// AllowsAudience reports whether the client may ask for tokens for an audience:
// one of its resources, or one of the issuer's own whose scope it may ask for.
func (s *Settings) AllowsAudience(issuer, audience string) bool {
	if s.AllowsResource(audience) {
		return true
	}
	for _, own := range ownResources {
		if audience == issuer+own.path && s.AllowsScope(own.scope) {
			return true
		}
	}
	return false
}

// Audience is whom tokens with these scopes are for: the resources asked for,
// or, where none were named, all of the client's and those of the issuer that
// the scopes open (RFC 9068, section 3). With openid the issuer is always among
// them, since it serves userinfo. A token is never for nobody.
func (s *Settings) Audience(issuer string, scopes, resources []string) []string {
	list := slices.Clone(resources)
	if len(resources) == 0 {
		list = slices.Clone(s.Resources)
	}
	for _, own := range ownResources {
		if !slices.Contains(scopes, own.scope) || len(resources) > 0 && own.scope != ScopeOpenID {
			continue
		}
		if name := issuer + own.path; !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		list = append(list, issuer)
	}
	return list
}
