package oauth

import (
	"context"
	"slices"

	"github.com/cardea-id/cardea/internal/identity/client"
)

// checkClaims reads the claims parameter (OpenID Connect Core, section 5.5).
// To name a claim about the person is to ask for the scope that it belongs to:
// it is ignored where the client may not ask for that scope, and else it is
// shown, agreed to and remembered like the scope. Without openid there is
// nothing that would tell it.
func checkClaims(_ context.Context, _ *Server, a *authorization) (err error) {
	if a.claims, err = parseClaims(a.params.Get("claims")); err != nil {
		return err
	}
	if slices.Contains(a.scopes, client.ScopeOpenID) {
		a.about = a.claims.keep(a.client.AllowsScope).scopes()
	}
	return nil
}

// consents are the scopes that the person must agree to: those asked for, and
// those that stand for claims asked for by name. Sorted.
func (a *authorization) consents() []string {
	all := slices.Concat(a.scopes, a.about)
	slices.Sort(all)
	return slices.Compact(all)
}
