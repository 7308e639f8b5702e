package oauth

import (
	"context"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// authSecretJWT verifies an assertion that the client authenticated with its
// secret, HS256 only (OpenID Connect Core, section 9). Only a client registered
// for it has a secret that we can compute with.
var authSecretJWT = clientAuth{
	method: client.SecretJWT,
	shows:  aMAC,
	name:   func(p *presented) string { return sharedAssertion(p).Subject() },
	prove:  proveShared,
	again:  sharedStill,
}

// sharedAssertion is the request's assertion if it is made with HS256, or nil.
func sharedAssertion(p *presented) *jose.MAC {
	m, err := jose.ParseMAC(p.params.Get("client_assertion"), maxAssertion)
	if err != nil {
		return nil
	}
	return m
}

func proveShared(ctx context.Context, s *Server, p *presented, c *client.Client) (string, error) {
	if p.params.Get("client_assertion_type") != assertionType {
		return "", s.badClient(p, "client_assertion_type is not the one for JWTs")
	}
	verified, credential, err := s.verifyShared(ctx, p, c)
	if err != nil {
		return "", s.badAssertion(p, err)
	}
	return credential, s.checkAssertion(ctx, p, c, verified)
}

// sharedStill asks whether a secret that the client has today made the
// assertion, which counted when it came.
func sharedStill(ctx context.Context, s *Server, p *presented, c *client.Client) (string, error) {
	_, credential, err := s.verifyShared(ctx, p, c)
	if err != nil {
		return "", s.badAssertion(p, err)
	}
	return credential, nil
}

// verifyShared tries the client's living secrets, of which there are two at
// most, and names the credential that made the assertion.
func (s *Server) verifyShared(ctx context.Context, p *presented, c *client.Client) (*jose.Verified, string, error) {
	secrets, err := s.credentials.SharedSecrets(ctx, c.Realm, c.Principal)
	if err != nil {
		return nil, "", err
	}
	m, refused := sharedAssertion(p), jose.ErrKey
	for _, one := range secrets {
		verified, err := m.Verify([]byte(string(one.Text)), assertionTypes...)
		if err == nil {
			return verified, one.ID, nil
		}
		refused = err
	}
	return nil, "", refused
}
