package oauth

import (
	"context"
	"strconv"
)

// maxMaxAge keeps arithmetic on times far from its edges, in seconds.
const maxMaxAge = 10 * 365 * 24 * 60 * 60

// checkMaxAge reads how long ago the person may have signed in. A client may
// have registered a default (OpenID Connect Registration, section 2).
func checkMaxAge(_ context.Context, _ *Server, a *authorization) error {
	text := a.params.Get("max_age")
	if text == "" {
		if a.client.DefaultMaxAge > 0 {
			a.maxAge = a.client.DefaultMaxAge
		}
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return badRequest("max_age is not a number of seconds")
	}
	a.maxAge = int64(min(n, maxMaxAge))
	return nil
}
