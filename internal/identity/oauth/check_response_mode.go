package oauth

import (
	"context"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/identity/client"
)

// signedMode ends the names of the modes whose answer is signed (JARM, section
// 2.3); alone it asks for the signed mode of the response type.
const signedMode = "jwt"

// responseModes are the ways an answer can take, for discovery.
func responseModes() []string { return append(client.ResponseModes(), signedMode) }

// checkResponseMode reads how the client wants its answer.
func checkResponseMode(_ context.Context, _ *Server, a *authorization) error {
	mode := a.params.Get("response_mode")
	switch mode {
	case "":
		mode = "query"
	case signedMode:
		mode = "query.jwt"
	}
	if !slices.Contains(client.ResponseModes(), mode) {
		return badRequest("response_mode must be one of " + strings.Join(responseModes(), ", "))
	}
	if a.signsAnswer() && !strings.HasSuffix(mode, ".jwt") {
		mode += ".jwt"
	}
	if !a.client.AllowsResponseMode(mode) {
		return badRequest("the client is not registered for this response_mode")
	}
	a.mode = mode
	return nil
}

// signsAnswer reports whether the client gets no answer that is not signed.
func (a *authorization) signsAnswer() bool { return a.rules().SignedResponses }
