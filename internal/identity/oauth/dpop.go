package oauth

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// The headers of RFC 9449 as net/http writes their names.
const (
	headerDPoP      = "Dpop"
	headerDPoPNonce = "Dpop-Nonce"
)

func badProof(description string) *Error { return refuse("invalid_dpop_proof", description) }

// proveKey reads the proof of a request to the token endpoint and gives the
// thumbprint of its key. The proof of an authenticated client counts against
// the client, that of a public one against its key: nobody can use up the
// bound of a client that he only names.
func (s *Server) proveKey(w http.ResponseWriter, r *http.Request, rl *realm.Realm, c *client.Client, lines []string) (string, error) {
	p, err := s.readProof(r, rl, lines, "")
	if err != nil {
		return "", err
	}
	if err := checkProofAlg(rl, c, p); err != nil {
		return "", err
	}
	owner := c.ID
	if c.Public() {
		owner = p.JKT
	}
	if err := s.checkNonce(w, r.Context(), rl, c, p); err != nil {
		return "", err
	}
	return p.JKT, s.spendProof(r.Context(), rl, owner, p)
}

// checkProofAlg holds the signature of a proof to the client's rules, wherever it
// is shown.
func checkProofAlg(rl *realm.Realm, c *client.Client, p *jose.Proof) error {
	if !c.Rules(rl).AllowsAlg(p.Alg) {
		return badProof("the client's profile does not allow the proof's algorithm")
	}
	return nil
}

// readProof reads the one proof that a request may bring and compares it with
// the request (RFC 9449, section 4.3). access is the token it is presented
// with, if any.
func (s *Server) readProof(r *http.Request, rl *realm.Realm, lines []string, access string) (*jose.Proof, error) {
	if len(lines) != 1 {
		return nil, badProof("send one DPoP header with one proof")
	}
	p, err := jose.ParseProof(lines[0])
	if err == nil {
		err = p.Check(jose.ProofWant{Now: s.now(), Method: r.Method, URLs: s.mtls.addresses(rl, r.URL.EscapedPath()), Token: access})
	}
	if err != nil {
		return nil, badProof(proofProblem(err))
	}
	return p, nil
}

// proofProblem words what is wrong with a proof, for whoever writes the client.
func proofProblem(err error) string {
	switch {
	case errors.Is(err, jose.ErrExpired):
		return "the proof is too old"
	case errors.Is(err, jose.ErrSignature):
		return "the proof's signature does not verify with its key"
	case errors.Is(err, jose.ErrBadKey):
		return "the proof's key is missing, private, or of a kind that is not supported"
	case errors.Is(err, jose.ErrAlgorithm):
		return "the proof's algorithm is not supported, or not its key's"
	case errors.Is(err, jose.ErrType):
		return "the proof's type is not dpop+jwt"
	case errors.Is(err, jose.ErrClaim):
		return "the proof's jti, htm, htu, iat or ath is missing or not that of this request"
	}
	return "the proof is malformed"
}

// checkNonce demands a nonce of ours where the client or its realm is to use
// one, and tells the next one (RFC 9449, section 8). A nonce that is not asked
// for is not looked at.
func (s *Server) checkNonce(w http.ResponseWriter, ctx context.Context, rl *realm.Realm, c *client.Client, p *jose.Proof) error {
	if !c.DPoPRequireNonce && !rl.Settings.DPoPNonceRequired() {
		return nil
	}
	key, err := s.ring.Secret(ctx, rl.Name, keyring.Nonce)
	if err != nil {
		return err
	}
	nonces := jose.NewNonces(key)
	w.Header()[headerDPoPNonce] = []string{nonces.At(s.now())}
	if !nonces.Good(p.Nonce, s.now()) {
		return refuse("use_dpop_nonce", "put the nonce of the DPoP-Nonce header into the proof")
	}
	return nil
}

// spendProof lets each proof through once, on any node.
func (s *Server) spendProof(ctx context.Context, rl *realm.Realm, owner string, p *jose.Proof) error {
	seen, err := s.once.Seen(ctx, rl.Name, once.Key{Purpose: once.Proof, Client: owner, Value: p.JKT + " " + p.JTI,
		From: p.Issued.Add(-jose.ProofAhead), Until: p.Issued.Add(2 * jose.ProofAge)})
	if fault.Is(err, fault.TooMany) {
		return err
	}
	if err != nil {
		return err
	}
	if seen {
		return badProof("the proof was used before, or may have been before a failover; make a new one")
	}
	return nil
}

// checkDPoP reads the thumbprint of the key that the code shall be bound to (RFC
// 9449, section 10): the one that is named, or was shown when the request was
// pushed. Both must be the same.
func checkDPoP(_ context.Context, _ *Server, a *authorization) error {
	jkt := a.params.Get("dpop_jkt")
	if jkt != "" && !validChallenge(jkt) { // a SHA-256 in base64url, too
		return badRequest("dpop_jkt is not the thumbprint of a key")
	}
	if jkt != "" && a.key != "" && jkt != a.key {
		return badProof("dpop_jkt names another key than that of the proof")
	}
	a.jkt = cmp.Or(a.key, jkt)
	return nil
}

// addresses are under which a path of the realm can be reached.
func (m MTLS) addresses(rl *realm.Realm, path string) []string {
	if m.URL == "" || rl.Host != "" {
		return []string{rl.Issuer + path}
	}
	return []string{rl.Issuer + path, m.alias(rl, path)}
}

// proofTypes are the ways in which a realm's proofs may be signed, for
// challenges.
func proofTypes(rl *realm.Realm) string {
	return strings.Join(client.RealmRules(&rl.Settings).Algs(), " ")
}
