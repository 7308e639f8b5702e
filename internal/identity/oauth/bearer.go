package oauth

import (
	"errors"
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Presented is an access token as a request presents it.
type Presented struct {
	Token string // "" when it presents none
	DPoP  bool   // with a proof of possession (RFC 9449, section 7.1)
}

// scheme is the name of the way it is presented in.
func (p Presented) scheme() string {
	if p.DPoP {
		return "DPoP"
	}
	return "Bearer"
}

// bearer finds the access token of a request and asks whether it is alive (RFC
// 6750, section 2). The token comes in the header or, if it needs no proof, in
// a form, in one of them only, and never in the address.
func (s *Server) bearer(w http.ResponseWriter, r *http.Request, rl *realm.Realm) (*token.Token, error) {
	p, err := presentedIn(w, r)
	if err != nil {
		return nil, challenged(rl, p, err)
	}
	if p.Token == "" {
		// Section 3.1: a request without credentials is told nothing but how
		// to bring some.
		return nil, &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "an access token is needed",
			Challenge: challenge(rl, "Bearer"), OrDPoP: true}
	}
	t, err := s.Accept(w, r, rl, p)
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
		return nil, badToken(rl, p)
	}
	var refused *Error
	if errors.As(err, &refused) {
		return nil, challenged(rl, p, err)
	}
	if err != nil {
		return nil, err
	}
	web.Note(r.Context(), "client", t.Client)
	return t, nil
}

// Accept asks whether the token that a request presents may be used: it is
// alive, and the request shows what it is bound to. A proof is spent, and may
// have to hold a nonce, which is then in the answer's headers. Refusals are
// *[Error], and faults for tokens that are no good.
func (s *Server) Accept(w http.ResponseWriter, r *http.Request, rl *realm.Realm, p Presented) (*token.Token, error) {
	var shown token.Binding
	chain, err := s.certificate(r)
	if err != nil {
		return nil, err
	}
	if chain != nil {
		shown.X5T = jose.CertificateThumbprint(chain[0])
	}
	if !p.DPoP {
		return s.tokens.Accept(r.Context(), rl.Name, p.Token, shown)
	}
	proof, err := s.readProof(r, rl, r.Header[headerDPoP], p.Token)
	if err != nil {
		return nil, unauthorized(err)
	}
	shown.JKT = proof.JKT
	t, err := s.tokens.Accept(r.Context(), rl.Name, p.Token, shown)
	if err != nil {
		return nil, err
	}
	c, err := s.clients.Live(r.Context(), rl.Name, t.Client)
	if err != nil {
		return nil, err
	}
	if err := checkProofAlg(rl, c, proof); err != nil {
		return nil, unauthorized(err)
	}
	if err := s.checkNonce(w, r.Context(), rl, c, proof); err != nil {
		return nil, unauthorized(err)
	}
	return t, unauthorized(s.spendProof(r.Context(), rl, proof.JKT, proof))
}

// unauthorized is a refusal of a proof where a token is presented (RFC 9449,
// section 7.1).
func unauthorized(err error) error {
	if e, ok := err.(*Error); ok {
		e.Status = http.StatusUnauthorized
	}
	return err
}

func presentedIn(w http.ResponseWriter, r *http.Request) (Presented, error) {
	query, err := web.Query(r)
	if err != nil {
		return Presented{}, err
	}
	if query.Has("access_token") {
		return Presented{}, badRequest("a token in the address would end in logs and histories; send it in the Authorization header")
	}
	var fromHeader Presented
	if lines := r.Header["Authorization"]; len(lines) > 0 {
		p, present := parsePresented(lines[0])
		if len(lines) > 1 || present && p.Token == "" { // another scheme is as good as no header (RFC 6750, section 3.1)
			return p, badRequest("the Authorization header must be of the form: Bearer token, or DPoP token")
		}
		fromHeader = p
	}
	if r.Method != http.MethodPost || r.ContentLength == 0 && r.Header.Get("Content-Type") == "" {
		return fromHeader, nil
	}
	params, err := web.Form(w, r)
	if err != nil {
		return fromHeader, err
	}
	fromForm := params.Get("access_token")
	if fromHeader.Token != "" && fromForm != "" {
		return fromHeader, badRequest("the token was sent in two ways")
	}
	fromHeader.Token += fromForm
	return fromHeader, nil
}

// badToken is the answer to a token that is not, or no longer, good.
func badToken(rl *realm.Realm, p Presented) *Error {
	e := &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "the access token is unknown, expired, revoked or bound otherwise"}
	return challenged(rl, p, e).(*Error)
}

// tooLittle is the answer to a token without the scope that is needed.
func tooLittle(rl *realm.Realm, t *token.Token, scope string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Description: "the access token lacks a scope",
		Challenge: challenge(rl, tokenType(t.Bound), "error", "insufficient_scope", "scope", scope)}
}

// challenged adds to a refusal of ours what RFC 6750, section 3 and RFC 9449,
// section 7.1 want in WWW-Authenticate.
func challenged(rl *realm.Realm, p Presented, err error) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	algs := ""
	if p.DPoP {
		algs = proofTypes(rl)
	}
	e.Challenge = challenge(rl, p.scheme(), "error", e.Code, "error_description", e.Description, "algs", algs)
	e.OrDPoP = !p.DPoP && e.Code == "invalid_token"
	return e
}

// challenge is a challenge of userinfo. Every one says the realm, and where the
// metadata of its resource are (RFC 9728, section 5.1).
func challenge(rl *realm.Realm, scheme string, params ...string) string {
	return web.Challenge(scheme, append([]string{"realm", rl.Issuer, "resource_metadata", rl.ResourceMetadata("")}, params...)...)
}
