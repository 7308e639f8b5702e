package oauth

import (
	"context"
)

// checkPKCE demands an S256 code challenge (RFC 7636; AZ-05). A confidential
// client with the opt-out may send none; what it sends is held to the same rule.
func checkPKCE(_ context.Context, _ *Server, a *authorization) error {
	challenge, method := a.params.Get("code_challenge"), a.params.Get("code_challenge_method")
	if challenge == "" && method == "" && !a.client.RequiresPKCE() && !a.rules().PKCE {
		return nil
	}
	if challenge == "" {
		return badRequest("code_challenge is missing")
	}
	if method != "S256" {
		return badRequest("code_challenge_method must be S256")
	}
	if !validChallenge(challenge) {
		return badRequest("code_challenge is not the S256 challenge of any verifier")
	}
	a.challenge = challenge
	return nil
}
