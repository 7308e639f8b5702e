package oauth

import (
	"context"
	"strings"
)

// checkACR reads the wish for a level of assurance. It is voluntary (OpenID
// Connect Core, section 3.1.2.1): a sign-in that could meet it is asked for, and
// where none could, the tokens say what was reached (RFC 9470, section 5).
func checkACR(_ context.Context, _ *Server, a *authorization) error {
	text := a.params.Get("acr_values")
	if len(text) > 1024 {
		return badRequest("acr_values is longer than 1024 bytes")
	}
	a.acr = strings.Fields(text)
	if len(a.acr) > 16 {
		return badRequest("acr_values names more than 16 values")
	}
	return nil
}
