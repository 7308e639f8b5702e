package oauth

import (
	"context"

	"github.com/cardea-id/cardea/internal/identity/client"
)

// authNone lets a public client say who it is. It proves nothing; what such a
// client may have hangs on the code and its verifier.
var authNone = clientAuth{
	method: client.None,
	shows:  anID,
	name:   func(p *presented) string { return p.params.Get("client_id") },
	prove:  proveNothing,
	again:  proveNothing,
}

func proveNothing(context.Context, *Server, *presented, *client.Client) (string, error) {
	return "", nil
}
