package oauth

import (
	"context"
)

// maxNonce bounds the value that comes back in the ID token, in bytes.
const maxNonce = 512

// checkNonce reads the nonce (OpenID Connect Core, section 3.1.2.1).
func checkNonce(_ context.Context, _ *Server, a *authorization) error {
	nonce := a.params.Get("nonce")
	if len(nonce) > maxNonce {
		return badRequest("nonce is longer than 512 bytes")
	}
	a.nonce = nonce
	return nil
}
