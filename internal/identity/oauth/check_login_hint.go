package oauth

import (
	"context"
)

// checkLoginHint bounds the hint that fills the sign-in page's first field.
func checkLoginHint(_ context.Context, _ *Server, a *authorization) error {
	if len(a.params.Get("login_hint")) > 256 {
		return badRequest("login_hint is longer than 256 bytes")
	}
	return nil
}
