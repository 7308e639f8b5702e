package oauth

import (
	"context"
)

// maxState bounds the client's own value, in bytes.
const maxState = 2048

// checkState reads the value that the client gets back (RFC 6749, section
// 4.1.1). It is sent back with every answer from here on.
func checkState(_ context.Context, _ *Server, a *authorization) error {
	state := a.params.Get("state")
	if len(state) > maxState {
		return badRequest("state is longer than 2048 bytes")
	}
	a.state = state
	return nil
}
