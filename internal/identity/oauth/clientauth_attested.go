package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/jose"
)

// The headers of draft-ietf-oauth-attestation-based-client-auth as net/http
// writes their names.
const (
	headerAttestation    = "Oauth-Client-Attestation"
	headerAttestationPoP = "Oauth-Client-Attestation-Pop"
)

// The types of the two tokens, and how old a proof may be.
const (
	attestationType    = "oauth-client-attestation+jwt"
	attestationPoPType = "oauth-client-attestation-pop+jwt"
	maxAttestation     = 8 << 10 // bytes
	attestationPoPAge  = 5 * time.Minute
)

// attestationJTI is the purpose under which the ids of proofs are remembered.
const attestationJTI once.Purpose = "client_attestation_pop"

// authAttested verifies that somebody whom the client or its realm trusts
// attests this instance of the client, and that the instance has the attested
// key (draft-ietf-oauth-attestation-based-client-auth, sections 4 and 5.1).
var authAttested = clientAuth{
	method: client.AttestedJWT,
	shows:  anAttestation,
	name:   attestedClient,
	prove:  proveAttested,
	again:  attestedStill,
}

// attestedClient reads whom an attestation is about, to find whose word counts.
func attestedClient(p *presented) string {
	lines := p.request.Header[headerAttestation]
	if len(lines) != 1 {
		return ""
	}
	u, err := jose.Parse(lines[0], maxAttestation)
	if err != nil {
		return ""
	}
	return u.Subject()
}

func proveAttested(ctx context.Context, s *Server, p *presented, c *client.Client) (string, error) {
	key, source, err := s.attested(ctx, p, c)
	if err != nil {
		return "", err
	}
	if err := s.provesInstance(ctx, p, c, key); err != nil {
		return "", err
	}
	p.instance = key.Thumbprint()
	return source, nil
}

// attestedStill asks whether the attestation would still be taken, but for its
// times.
func attestedStill(ctx context.Context, s *Server, p *presented, c *client.Client) (string, error) {
	if _, err := s.attestation(p, c); err != nil {
		return "", s.badAttestation(p, err)
	}
	return s.sourceOfKeys(ctx, p, c)
}

// attested verifies the attestation and gives the key of the instance, and the
// credential that stands for the trust in its attesters.
func (s *Server) attested(ctx context.Context, p *presented, c *client.Client) (*jose.PublicKey, string, error) {
	verified, err := s.attestation(p, c)
	if err != nil {
		return nil, "", s.badAttestation(p, err)
	}
	if err := s.checkAttestation(verified.Claims, c); err != nil {
		return nil, "", s.badAttestation(p, err)
	}
	key, err := instanceKey(verified.Claims)
	if err != nil {
		return nil, "", s.badAttestation(p, err)
	}
	source, err := s.sourceOfKeys(ctx, p, c)
	return key, source, err
}

// attestation verifies the signature with the keys of the attesters that the
// client names or, where it names none, of those of its realm.
func (s *Server) attestation(p *presented, c *client.Client) (*jose.Verified, error) {
	lines := p.request.Header[headerAttestation]
	if len(lines) != 1 {
		return nil, jose.ErrMalformed
	}
	text := c.AttesterJWKS
	if text == "" {
		text = p.realm.Settings.AttesterJWKS
	}
	keys, err := credential.ParseKeys([]byte(text))
	if err != nil {
		return nil, jose.ErrKey // nobody is trusted
	}
	u, err := jose.Parse(lines[0], maxAttestation)
	if err != nil {
		return nil, err
	}
	return u.Verify(jose.Want{Typ: []string{attestationType}, Keys: keys, Alg: u.Alg})
}

// checkAttestation asks for whom the attestation is and whether it is its time.
func (s *Server) checkAttestation(claims jose.Claims, c *client.Client) error {
	now := s.now()
	sub, err := claims.String("sub")
	if err != nil {
		return err
	}
	exp, err := claims.Time("exp")
	if err != nil {
		return err
	}
	iat, err := claims.Time("iat")
	if err != nil {
		return err
	}
	nbf, err := claims.Time("nbf")
	switch {
	case err != nil:
		return err
	case sub != c.ID, !claims.Has("exp"), !claims.Has("iat"), iat.After(now.Add(jose.MaxSkew)), claims.Has("nbf") && nbf.After(now.Add(jose.MaxSkew)):
		return jose.ErrClaim
	case !now.Before(exp):
		return jose.ErrExpired
	}
	return nil
}

// instanceKey is the key in the attestation's cnf claim (RFC 7800, section 3.2).
func instanceKey(claims jose.Claims) (*jose.PublicKey, error) {
	cnf, err := claims.Object.Object("cnf")
	if err != nil {
		return nil, err
	}
	raw, ok := cnf.Raw("jwk")
	if !ok {
		return nil, jose.ErrClaim
	}
	key, err := jose.ParseJWK(raw)
	if err == nil && key == nil {
		err = jose.ErrBadKey
	}
	return key, err
}

// provesInstance verifies the proof of the attested key: for this issuer and
// nobody else, fresh, and once on all nodes.
func (s *Server) provesInstance(ctx context.Context, p *presented, c *client.Client, key *jose.PublicKey) error {
	lines := p.request.Header[headerAttestationPoP]
	if len(lines) != 1 {
		return s.badClient(p, "send one OAuth-Client-Attestation-PoP header with one proof")
	}
	u, err := jose.Parse(lines[0], maxAttestation)
	if err != nil {
		return s.badAttestation(p, err)
	}
	verified, err := u.Verify(jose.Want{Typ: []string{attestationPoPType}, Keys: jose.Set{key.Named(u.Kid)}, Alg: u.Alg})
	if err != nil {
		return s.badAttestation(p, err)
	}
	issued, jti, err := s.checkInstanceProof(p, c, verified.Claims)
	if err != nil {
		return s.badAttestation(p, err)
	}
	seen, err := s.once.Seen(ctx, p.realm.Name, once.Key{Purpose: attestationJTI, Client: c.ID, Value: key.Thumbprint() + " " + jti,
		From: issued.Add(-jose.MaxSkew), Until: issued.Add(attestationPoPAge + 2*jose.MaxSkew)})
	if err != nil {
		return err
	}
	if seen {
		return s.badClient(p, "the proof of the attested key was used before, or may have been before a failover; make a new one")
	}
	return nil
}

func (s *Server) checkInstanceProof(p *presented, c *client.Client, claims jose.Claims) (issued time.Time, jti string, err error) {
	aud, err := claims.Strings("aud")
	if err != nil {
		return issued, "", err
	}
	if issued, err = claims.Time("iat"); err != nil {
		return issued, "", err
	}
	if jti, err = claims.String("jti"); err != nil {
		return issued, "", err
	}
	// Older drafts have iss: the client itself. Nobody else may say this.
	iss, err := claims.String("iss")
	if err != nil {
		return issued, "", err
	}
	now := s.now()
	switch {
	case len(aud) != 1 || aud[0] != p.realm.Issuer, !claims.Has("iat"), issued.After(now.Add(jose.MaxSkew)), jti == "" || len(jti) > maxJTI, iss != "" && iss != c.ID:
		return issued, "", jose.ErrClaim
	case !now.Before(issued.Add(attestationPoPAge)):
		return issued, "", jose.ErrExpired
	}
	if exp, err := claims.Time("exp"); err != nil || claims.Has("exp") && !now.Before(exp) {
		return issued, "", errors.Join(err, jose.ErrExpired)
	}
	return issued, jti, nil
}

// badAttestation words what is wrong with an attestation or its proof.
func (s *Server) badAttestation(p *presented, err error) error {
	for kind, words := range map[error]string{
		jose.ErrExpired: "the attestation or the proof of its key has expired", jose.ErrSignature: "the signature of the attestation or of the proof of its key does not verify",
		jose.ErrKey: "nobody whom the client or its realm trusts signed the attestation", jose.ErrClaim: "the claims of the attestation or of the proof of its key are not as required",
		jose.ErrAlgorithm: "the algorithm of the attestation or of the proof of its key is not allowed", jose.ErrMalformed: "send one attestation and one proof of its key, each a signed token",
		jose.ErrHeader: "the attestation or the proof of its key has a header that is not allowed", jose.ErrType: "the attestation or the proof of its key has another type",
		jose.ErrBadKey: "the attested key cannot be used",
	} {
		if errors.Is(err, kind) {
			return s.badClient(p, words)
		}
	}
	return err
}
