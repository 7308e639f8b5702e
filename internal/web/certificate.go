package web

import (
	"crypto/x509"
	"net/http"

	"github.com/cardea-id/cardea/internal/jose"
)

// Certificate is the certificate whose key the client of a request has shown to
// have, first of its chain, or none (RFC 8705). It comes from the connection;
// behind a proxy that is believed and has a header for it, from that header and
// from nowhere else, since the connection is the proxy's own. From everybody
// else the header means nothing. Nobody has verified the chain.
func Certificate(r *http.Request) ([]*x509.Certificate, error) {
	x := exchangeOf(r.Context())
	if x != nil && x.proxied {
		if x.front.CertHeader == "" {
			return nil, nil
		}
		c, err := jose.CertificateFromHeader(x.front.CertHeader, r.Header.Values(x.front.CertHeader))
		if err != nil {
			return nil, invalid("the proxy passed on a certificate that cannot be read")
		}
		if c == nil {
			return nil, nil
		}
		return []*x509.Certificate{c}, nil
	}
	if r.TLS == nil {
		return nil, nil
	}
	return r.TLS.PeerCertificates, nil
}
