package oauth

import (
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
)

// refreshGrant trades a refresh token for its successor and a new access token
// (RFC 6749, section 6). Each is used once; package grant decides what a second
// use means (P-06).
type refreshGrant struct{}

func (refreshGrant) prove(s *Server, a *asking) (proved, error) {
	text := a.params.Get("refresh_token")
	if text == "" {
		return proved{}, badRequest("refresh_token is missing")
	}
	c := a.caller.Client
	if !c.AllowsScope(scopeOffline) {
		return proved{}, badGrant("the client may no longer have offline access")
	}
	if err := s.checkNarrowing(a, text); err != nil {
		return proved{}, err
	}
	rotation, err := s.grants.Refresh(a.request.Context(), a.actor(), c, text, a.refreshBound())
	if err != nil {
		return proved{}, err
	}
	if rotation.Outcome != grant.OK && rotation.Outcome != grant.Repeated {
		return proved{}, badGrant("the refresh token is not valid for this client, or was used, or has expired")
	}
	g := rotation.Grant
	scopes := slices.DeleteFunc(slices.Clone(a.narrower(g)), func(scope string) bool { return !c.AllowsScope(scope) })
	p := proved{grant: g, scopes: scopes, audience: g.Audience, refresh: rotation.Token, idToken: slices.Contains(scopes, client.ScopeOpenID)}
	return a.narrow(p)
}

// narrower are the scopes of this one access token: those asked for, or the
// grant's. The refresh token keeps all of them (RFC 6749, section 6).
func (a *asking) narrower(g *grant.Grant) []string {
	if text := a.params.Get("scope"); text != "" {
		return grant.Scopes(strings.Fields(text))
	}
	return g.Scopes
}

// checkNarrowing refuses a request for more than was granted before the token
// is used up for it.
func (s *Server) checkNarrowing(a *asking, text string) error {
	if a.params.Get("scope") == "" && len(a.resources) == 0 && a.details == nil {
		return nil
	}
	scopes, err := readScope(a.caller.Client, a.params.Get("scope"))
	if err != nil {
		return err
	}
	g, err := s.grants.KnowsRefresh(a.request.Context(), a.realm.Name, text)
	if fault.Is(err, fault.NotFound) || err == nil && g.Client != a.caller.ID {
		return badGrant("the refresh token is not valid for this client, or was used, or has expired")
	}
	if err != nil {
		return err
	}
	if !g.Allows(scopes) {
		return refuse("invalid_scope", "the grant does not have every scope asked for")
	}
	_, err = a.narrow(proved{grant: g})
	return err
}
