package oauth

import (
	"crypto/x509"
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// binding finds out what the tokens of a request will be bound to: the key of
// its DPoP proof, if it brings one, and the certificate of its connection, if
// the client is registered for that. A request without either costs a look at
// its headers.
func (s *Server) binding(w http.ResponseWriter, r *http.Request, rl *realm.Realm, c caller) (token.Binding, error) {
	var b token.Binding
	if lines := r.Header[headerDPoP]; len(lines) > 0 {
		var err error
		if b.JKT, err = s.proveKey(w, r, rl, c.Client, lines); err != nil {
			return b, err
		}
	} else if c.DPoPBoundAccessTokens {
		return b, badProof("the client is registered for DPoP and must send a proof")
	}
	if c.TLSBoundAccessTokens {
		cert, err := s.certificate(r)
		if err != nil {
			return b, err
		}
		if cert == nil {
			return b, badRequest("the client's tokens are bound to its certificate, and it showed none")
		}
		b.X5T = jose.CertificateThumbprint(cert[0])
	}
	if b == (token.Binding{}) && c.rules.Bound {
		return b, badRequest("the client may only have tokens that are bound to a key or a certificate")
	}
	return b, nil
}

// refreshBound is what a refresh token of the request is bound to. The token of
// a client that authenticates is bound by that (RFC 9449, section 5; RFC 8705,
// section 4), that of an attested instance to its key, so that no other instance
// can use it (draft-ietf-oauth-attestation-based-client-auth, section 10).
func (a *asking) refreshBound() string {
	if a.caller.instance != "" {
		return instanceBound + a.caller.instance
	}
	if !a.caller.Public() {
		return ""
	}
	return a.bound.String()
}

const instanceBound = "instance "

// boundRefresh reads what refreshBound wrote. The key of an instance is one like
// any other to whoever reads cnf.
func boundRefresh(text string) token.Binding {
	if key, ok := strings.CutPrefix(text, instanceBound); ok {
		return token.Binding{JKT: key}
	}
	return token.ReadBinding(text)
}

// certificate is the chain that the client showed, its own certificate first,
// or none where nobody asks clients for certificates.
func (s *Server) certificate(r *http.Request) ([]*x509.Certificate, error) {
	if !s.mtls.On {
		return nil, nil
	}
	chain, err := web.Certificate(r)
	if len(chain) == 0 {
		return nil, err
	}
	return chain, err
}
