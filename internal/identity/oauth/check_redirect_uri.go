package oauth

import (
	"context"
)

// checkRedirectURI holds the address of the answer to those registered (AZ-01).
// It must be in the request, also where the client has only one: whoever builds
// the request says where it ends.
func checkRedirectURI(_ context.Context, _ *Server, a *authorization) error {
	uri := a.params.Get("redirect_uri")
	if uri == "" {
		return &pageError{"redirect_uri_missing"}
	}
	if !a.client.AllowsRedirect(uri) {
		return &pageError{"redirect_uri_unknown"}
	}
	a.redirectURI = uri
	return nil
}
