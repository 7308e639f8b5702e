package oauth

import (
	"context"

	"github.com/cardea-id/cardea/internal/fault"
)

// checkClient finds the client that asks.
func checkClient(ctx context.Context, s *Server, a *authorization) error {
	id := a.params.Get("client_id")
	if id == "" {
		return &pageError{"client_missing"}
	}
	c, err := s.clients.Live(ctx, a.realm.Name, id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return &pageError{"client_unknown"}
	}
	if err != nil {
		return err
	}
	a.client = c
	return nil
}
