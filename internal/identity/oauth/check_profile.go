package oauth

import (
	"context"

	"github.com/cardea-id/cardea/internal/identity/client"
)

// rules are those that hold for the request's client.
func (a *authorization) rules() client.Rules { return a.client.Rules(a.realm) }

// checkProfile refuses a client whose settings contradict the rules that hold
// for it: whatever it asks for, it could not be answered within them.
func checkProfile(_ context.Context, _ *Server, a *authorization) error {
	if why := a.client.Contradiction(a.rules()); why != "" {
		return refuse("unauthorized_client", "the client's settings contradict its profile: "+why)
	}
	return nil
}
