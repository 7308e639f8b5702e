package oauth

import (
	"context"

	"github.com/cardea-id/cardea/internal/identity/client"
)

// checkResponseType admits the authorization code alone (AZ-04), and only to
// clients that may redeem one.
func checkResponseType(_ context.Context, _ *Server, a *authorization) error {
	switch a.params.Get("response_type") {
	case "code":
	case "":
		return badRequest("response_type is missing")
	default:
		return refuse("unsupported_response_type", "response_type must be code")
	}
	if !a.client.AllowsGrant(client.AuthorizationCode) {
		return refuse("unauthorized_client", "the client may not use the authorization code grant")
	}
	return nil
}
