package oauth

import (
	"context"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/secret"
)

// authBasic reads id and secret from the Authorization header (RFC 6749,
// section 2.3.1).
var authBasic = clientAuth{
	method: client.SecretBasic,
	shows:  aHeader,
	name:   func(p *presented) string { return p.id },
	prove:  proveBasic,
	again:  proveBasic,
}

func proveBasic(ctx context.Context, s *Server, p *presented, c *client.Client) (string, error) {
	return s.proveSecret(ctx, p, c, p.secret)
}

// authPost reads id and secret from the body.
var authPost = clientAuth{
	method: client.SecretPost,
	shows:  aSecret,
	name:   func(p *presented) string { return p.params.Get("client_id") },
	prove:  provePosted,
	again:  provePosted,
}

func provePosted(ctx context.Context, s *Server, p *presented, c *client.Client) (string, error) {
	return s.proveSecret(ctx, p, c, p.params.Get("client_secret"))
}

// proveSecret compares a secret with the client's live ones, in memory and in
// constant time (CL-01).
func (s *Server) proveSecret(ctx context.Context, p *presented, c *client.Client, given string) (string, error) {
	id, err := s.credentials.CheckSecret(ctx, c.Realm, c.Principal, secret.Text(given))
	if fault.Is(err, fault.Unauthenticated) {
		return "", s.badClient(p, "wrong client secret")
	}
	return id, err
}
