package oauth

import (
	"context"

	"github.com/cardea-id/cardea/internal/fault"
)

// checkClient finds the client that asks, where it has not proved who it is.
func checkClient(ctx context.Context, s *Server, a *authorization) error {
	if a.client != nil {
		return nil
	}
	id := a.sent.Get("client_id")
	if id == "" {
		return &pageError{"client_missing"}
	}
	c, err := s.application(ctx, a.realm, id)
	if fault.Code(err) == "client_document_unusable" {
		return &pageError{"client_document"}
	}
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return &pageError{"client_unknown"}
	}
	if err != nil {
		return err
	}
	a.client = c
	return nil
}
