package oauth

import (
	"context"
	"slices"
)

// responseModes are the ways an answer can take (OAuth 2.0 Multiple Response
// Type Encoding Practices; OAuth 2.0 Form Post Response Mode). Discovery reads
// them too.
var responseModes = []string{"query", "fragment", "form_post"}

// checkResponseMode reads how the client wants its answer.
func checkResponseMode(_ context.Context, _ *Server, a *authorization) error {
	mode := a.params.Get("response_mode")
	if mode == "" {
		mode = "query"
	}
	if !slices.Contains(responseModes, mode) {
		return badRequest("response_mode must be query, fragment or form_post")
	}
	if !a.client.AllowsResponseMode(mode) {
		return badRequest("the client is not registered for this response_mode")
	}
	a.mode = mode
	return nil
}
