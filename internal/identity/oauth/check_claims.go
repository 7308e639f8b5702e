package oauth

import (
	"context"
)

// checkClaims reads the claims parameter (OpenID Connect Core, section 5.5).
func checkClaims(_ context.Context, _ *Server, a *authorization) (err error) {
	a.claims, err = parseClaims(a.params.Get("claims"))
	return err
}
