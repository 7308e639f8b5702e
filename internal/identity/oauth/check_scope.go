package oauth

import (
	"context"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/identity/client"
)

// scopeOffline asks for access that outlives the session (OpenID Connect Core,
// section 11).
const scopeOffline = "offline_access"

// Bounds of a scope parameter.
const (
	maxScope  = 2048 // bytes
	maxScopes = 50
)

// checkScope reads what the client asks for. Who asks in detail may leave it out
// (RFC 9396, section 3).
func checkScope(_ context.Context, _ *Server, a *authorization) (err error) {
	a.scopes, err = readScope(a.client, a.params.Get("scope"))
	if err == nil && len(a.scopes) == 0 && a.details == nil {
		return refuse("invalid_scope", "scope is missing")
	}
	return err
}

// readScope splits and sorts a scope parameter and holds every scope to what
// the client may ask for.
func readScope(c *client.Client, text string) ([]string, error) {
	if len(text) > maxScope {
		return nil, refuse("invalid_scope", "scope is longer than 2048 bytes")
	}
	scopes := strings.Fields(text)
	if len(scopes) > maxScopes {
		return nil, refuse("invalid_scope", "scope names more than 50 scopes")
	}
	for _, scope := range scopes {
		if !client.ValidScope(scope) {
			return nil, refuse("invalid_scope", "a scope contains characters that none may have")
		}
		if !c.AllowsScope(scope) {
			return nil, refuse("invalid_scope", "the client may not ask for "+scope)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes), nil
}
