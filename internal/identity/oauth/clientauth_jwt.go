package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// assertionType names JWT assertions (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Bounds of a client assertion (CL-02).
const (
	maxAssertion     = 4 << 10 // bytes
	maxAssertionLife = 5 * time.Minute
	maxJTI           = 256 // bytes
)

// assertionJTI is the purpose under which assertion ids are remembered.
const assertionJTI once.Purpose = "client_assertion"

// authPrivateKeyJWT verifies an assertion that the client signed with a key
// whose public half is registered (RFC 7523, section 3).
var authPrivateKeyJWT = clientAuth{
	method: client.PrivateKeyJWT,
	shows:  aSignature,
	name:   claimedClient,
	prove:  proveAssertion,
	again:  signedStill,
}

// assertionTypes are the types that an assertion may name: none, for most
// clients, or one of these.
var assertionTypes = []string{"", "JWT", "client-authentication+jwt"}

// signedStill asks whether a key that the client has today signed the
// assertion, which counted when it came: it is not asked for its times again.
func signedStill(ctx context.Context, s *Server, p *presented, c *client.Client) (string, error) {
	_, credential, err := s.verifyAssertion(ctx, p.realm, c, p.params.Get("client_assertion"))
	if err != nil {
		return "", s.badAssertion(p, err)
	}
	return credential, nil
}

// claimedClient reads who an assertion claims to be, to find the keys that may
// have signed it.
func claimedClient(p *presented) string {
	u, err := jose.Parse(p.params.Get("client_assertion"), maxAssertion)
	if err != nil {
		return ""
	}
	return u.Subject()
}

func proveAssertion(ctx context.Context, s *Server, p *presented, c *client.Client) (string, error) {
	if p.params.Get("client_assertion_type") != assertionType {
		return "", s.badClient(p, "client_assertion_type is not the one for JWTs")
	}
	verified, credential, err := s.verifyAssertion(ctx, p.realm, c, p.params.Get("client_assertion"))
	if err != nil {
		return "", s.badAssertion(p, err)
	}
	return credential, s.checkAssertion(ctx, p, c, verified)
}

// checkAssertion compares the claims of an assertion, whose author is known,
// with what they must be, and lets it through once.
func (s *Server) checkAssertion(ctx context.Context, p *presented, c *client.Client, verified *jose.Verified) error {
	expected := s.expectAssertion(p, c)
	if err := verified.Claims.Check(expected); err != nil {
		return s.badAssertion(p, err)
	}
	return s.spendAssertion(ctx, p, c, verified.Claims, expected)
}

// verifyAssertion checks the signature with the client's keys and names the
// credential that the key is.
func (s *Server) verifyAssertion(ctx context.Context, rl *realm.Realm, c *client.Client, assertion string) (*jose.Verified, string, error) {
	u, err := jose.Parse(assertion, maxAssertion)
	if err != nil {
		return nil, "", err
	}
	if c.AuthSigningAlg != "" && u.Alg != c.AuthSigningAlg || !c.Rules(rl).AllowsAlg(u.Alg) {
		return nil, "", jose.ErrAlgorithm
	}
	key, credential, err := s.keyFor(ctx, c, u.Kid, u.Alg)
	if err != nil {
		return nil, "", err
	}
	verified, err := u.Verify(jose.Want{Typ: assertionTypes, Keys: jose.Set{key}, Alg: u.Alg})
	return verified, credential, err
}

// expectAssertion says what an assertion must claim: issued by and about the
// client, for this issuer and nobody else. The endpoint's address as audience
// would let an assertion for one endpoint of a mixed-up issuer pass at another.
func (s *Server) expectAssertion(p *presented, c *client.Client) jose.Expect {
	audience := []string{p.realm.Issuer}
	if c.LegacyAssertionAudience {
		audience = append(audience, s.mtls.addresses(p.realm, pathToken)...)
	}
	return jose.Expect{Now: s.now(), Issuer: c.ID, Subject: c.ID, Audience: audience, AloneAud: true, TextAud: c.Rules(p.realm).IssuerAudience, Skew: 10 * time.Second, MaxLife: maxAssertionLife}
}

// spendAssertion lets each assertion through once, on any node, and none that
// the database may have forgotten in a failover.
func (s *Server) spendAssertion(ctx context.Context, p *presented, c *client.Client, claims jose.Claims, expected jose.Expect) error {
	jti, err := claims.String("jti")
	if err != nil || jti == "" || len(jti) > maxJTI {
		return s.badClient(p, "the assertion needs a jti of at most 256 bytes")
	}
	expires, err := claims.Time("exp")
	if err != nil {
		return s.badAssertion(p, err)
	}
	from, err := claims.Earliest(expected)
	if err != nil {
		return s.badAssertion(p, err)
	}
	seen, err := s.once.Seen(ctx, p.realm.Name, once.Key{Purpose: assertionJTI, Client: c.ID, Value: jti, From: from, Until: expires.Add(time.Minute)})
	if err != nil {
		return err
	}
	if seen {
		return s.badClient(p, "the assertion was used before, or may have been before a failover; make a new one")
	}
	return nil
}

// badAssertion words what is wrong with an assertion. Problems of ours, such
// as an unreachable key set, keep their own error.
func (s *Server) badAssertion(p *presented, err error) error {
	if words, ok := joseProblem(err); ok {
		return s.badClient(p, "the assertion is not accepted: "+words)
	}
	return err
}

// joseProblem words what is wrong with a token that a client made.
func joseProblem(err error) (words string, ok bool) {
	for kind, words := range map[error]string{
		jose.ErrExpired: "it has expired", jose.ErrSignature: "its signature does not verify",
		jose.ErrKey: "no registered key of the client signed it", jose.ErrClaim: "its claims are not as required",
		jose.ErrAlgorithm: "its algorithm is not allowed", jose.ErrMalformed: "it is malformed",
		jose.ErrHeader: "it has a header that is not allowed", jose.ErrType: "it has another type",
		jose.ErrBadKey: "the client's keys cannot be used",
	} {
		if errors.Is(err, kind) {
			return words, true
		}
	}
	return "", false
}
