package oauth

import (
	"context"
)

// refuseRequestObject refuses requests that hide behind an object or an
// address (OpenID Connect Core, section 6 and 7.2.1), which we do not serve.
func refuseRequestObject(_ context.Context, _ *Server, a *authorization) error {
	switch {
	case a.params.Get("request") != "":
		return refuse("request_not_supported", "request objects are not supported")
	case a.params.Get("request_uri") != "":
		return refuse("request_uri_not_supported", "request_uri is not supported")
	case a.params.Get("registration") != "":
		return refuse("registration_not_supported", "registration is not supported")
	}
	return nil
}
