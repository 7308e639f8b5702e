package oauth

import (
	"context"
	"strings"
)

// checkACR bounds the wish for a level of assurance. It is voluntary (OpenID
// Connect Core, section 3.1.2.1), and a password reaches one level only: the ID
// token says which.
func checkACR(_ context.Context, _ *Server, a *authorization) error {
	text := a.params.Get("acr_values")
	if len(text) > 1024 {
		return badRequest("acr_values is longer than 1024 bytes")
	}
	if a.acr = strings.Fields(text); len(a.acr) > 16 {
		return badRequest("acr_values names more than 16 values")
	}
	return nil
}
