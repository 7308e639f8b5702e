package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

// Kinds of Error for proofs of possession. Only Request and Protect return them.
var (
	// ErrProof: the DPoP proof is missing, wrong, too old or was used before.
	ErrProof = errors.New("invalid DPoP proof")
	// ErrNonce: the DPoP proof needs the nonce that Challenge sends.
	ErrNonce = errors.New("DPoP nonce needed")
	// ErrBound: the token is bound to a key or certificate (RFC 9449, RFC 8705)
	// that the request did not show, or is presented with a proof it is not
	// bound to. It is also ErrInvalid.
	ErrBound = fmt.Errorf("%w: bound otherwise", ErrInvalid)
)

// presented is a token in a request, with what the request shows.
type presented struct {
	token string
	dpop  bool
}

// bound verifies that the request shows what its token is bound to, and
// nothing that it is not bound to.
func (v *Verifier) bound(r *http.Request, p presented, t *Token) error {
	if t.CertThumbprint != "" {
		cert, err := v.c.ClientCertificate(r)
		if err != nil || cert == nil || jose.CertificateThumbprint(cert) != t.CertThumbprint {
			return refuse(ErrBound, "the request does not show the token's certificate")
		}
	}
	switch {
	case !p.dpop && t.KeyThumbprint == "":
		return nil
	case !p.dpop:
		return refuse(ErrBound, "a token that is bound to a key was presented as a bearer token")
	case t.KeyThumbprint == "":
		return refuse(ErrBound, "a bearer token was presented with a proof")
	}
	return v.proved(r, p, t)
}

// proved checks the proof of a request (RFC 9449, section 4.3).
func (v *Verifier) proved(r *http.Request, p presented, t *Token) error {
	if v.c.URL == "" {
		return refuse(ErrProof, "set Config.URL: without it proofs cannot be compared with where they were sent")
	}
	lines := r.Header.Values("DPoP")
	if len(lines) != 1 {
		return refuse(ErrProof, "want one DPoP header")
	}
	proof, err := jose.ParseProof(lines[0])
	if err != nil {
		return refuse(ErrProof, err.Error())
	}
	now := v.c.Now()
	if err := proof.Check(jose.ProofWant{Now: now, Method: r.Method, URLs: []string{v.c.URL + r.URL.EscapedPath()}, Token: p.token}); err != nil {
		return refuse(ErrProof, err.Error())
	}
	if proof.JKT != t.KeyThumbprint {
		return refuse(ErrBound, "the proof is of another key")
	}
	if v.c.DPoPNonceKey != nil && !v.nonces.Good(proof.Nonce, now) {
		return refuse(ErrNonce, "")
	}
	seen, err := v.c.SeenProof(r.Context(), proof.JKT+" "+proof.JTI, proof.Issued.Add(2*jose.ProofAge))
	if err != nil {
		return refuse(ErrStale, "it cannot be told whether the proof was used before: "+err.Error())
	}
	if seen {
		return refuse(ErrProof, "used before")
	}
	return nil
}

// CertificateFromTLS is the certificate that the client showed to this server
// itself, which must ask for it: tls.Config.ClientAuth at least
// tls.RequestClientCert. It is the default of Config.ClientCertificate.
func CertificateFromTLS(r *http.Request) (*x509.Certificate, error) {
	return peer(r.TLS), nil
}

func peer(s *tls.ConnectionState) *x509.Certificate {
	if s == nil || len(s.PeerCertificates) == 0 {
		return nil
	}
	return s.PeerCertificates[0]
}

// CertificateFromHeader is for Config.ClientCertificate of an API behind a
// proxy that ends TLS: it reads the certificate that the proxy has put into a
// header, Client-Cert (RFC 9440) or any other with PEM in URL encoding. The
// proxy must remove the header from what clients send, and nobody else may
// reach the API: trusted is asked about each request, usually about its
// RemoteAddr.
func CertificateFromHeader(name string, trusted func(*http.Request) bool) func(*http.Request) (*x509.Certificate, error) {
	return func(r *http.Request) (*x509.Certificate, error) {
		if !trusted(r) {
			return nil, nil
		}
		return jose.CertificateFromHeader(name, r.Header.Values(name))
	}
}

// originOf is the origin of an audience that is a URL, or "".
func originOf(audience string) string {
	u, err := url.Parse(audience)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// maxProofs bounds how many proofs are remembered.
const maxProofs = 200_000

// seenProofs remembers proofs in two generations: the elder is forgotten when
// all in it have expired. It is full rather than forgetful.
type seenProofs struct {
	now          func() time.Time
	most         int
	mu           sync.Mutex
	young, elder map[string]bool
	turned       time.Time
}

var errFull = errors.New("too many proofs at once")

// seen notes a proof and reports whether it was there.
func (s *seenProofs) seen(_ context.Context, id string, _ time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A proof is good for at most two ages from when it is first seen.
	if now := s.now(); now.Sub(s.turned) >= 2*jose.ProofAge {
		if now.Sub(s.turned) >= 4*jose.ProofAge {
			s.young = nil
		}
		s.elder, s.young, s.turned = s.young, map[string]bool{}, now
	}
	if s.young[id] || s.elder[id] {
		return true, nil
	}
	if len(s.young)+len(s.elder) >= s.most {
		return false, errFull
	}
	s.young[id] = true
	return false, nil
}
