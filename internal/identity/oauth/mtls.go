package oauth

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// MTLS says how clients show certificates (RFC 8705). The zero value: not at
// all.
type MTLS struct {
	On bool
	// URL is the origin that asks clients for certificates where the issuer
	// does not, or "".
	URL string
}

// alias is the address of a path at the origin that asks for certificates.
func (m MTLS) alias(rl *realm.Realm, path string) string { return m.URL + rl.Path + path }

// authTLS authenticates by a certificate of a CA and a name in it (RFC 8705,
// section 2.1), authSelfSigned by the certificate's key (section 2.2). A
// request shows neither but by its client_id: which it is, the registration
// says.
var (
	authTLS        = clientAuth{method: client.TLSClientAuth, name: authNone.name, prove: proveCertificate, again: proveCertificate}
	authSelfSigned = clientAuth{method: client.SelfSignedTLS, name: authNone.name, prove: proveOwnCertificate, again: proveOwnCertificate}
)

// byCertificate is the method of a client that says no more than its id, if it
// is registered for one of those that show a certificate.
func byCertificate(c *client.Client) *clientAuth {
	for i := range clientAuths {
		m := &clientAuths[i]
		if m.method == c.AuthMethod && (m.method == client.TLSClientAuth || m.method == client.SelfSignedTLS) {
			return m
		}
	}
	return nil
}

// shownCertificate is the chain of the request, which must have one.
func (s *Server) shownCertificate(p *presented) ([]*x509.Certificate, error) {
	chain, err := s.certificate(p.request)
	if err != nil {
		return nil, err
	}
	if len(chain) == 0 {
		return nil, s.badClient(p, "the client authenticates with a certificate and showed none")
	}
	return chain, nil
}

// proveCertificate verifies the chain against the CAs of the client or, where
// it names none, of its realm, and compares the one registered name.
func proveCertificate(ctx context.Context, s *Server, p *presented, c *client.Client) (string, error) {
	chain, err := s.shownCertificate(p)
	if err != nil {
		return "", err
	}
	text := c.TLSClientCA
	if text == "" {
		text = p.realm.Settings.TLSClientCA
	}
	cas, err := realm.ParseCAs(text)
	if err != nil {
		return "", err
	}
	if !trusted(chain, cas, s.now()) {
		return "", s.badClient(p, "no CA of the client or realm vouches for the certificate today")
	}
	if !c.NamedBy(chain[0]) {
		return "", s.badClient(p, "the certificate does not bear the registered name")
	}
	return s.sourceOfKeys(ctx, p, c)
}

// trusted reports whether one of the CAs vouches for the first certificate, for
// use by a client. No CA of the machine is asked.
func trusted(chain, cas []*x509.Certificate, now time.Time) bool {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil && !chain[0].IsCA
}

// proveOwnCertificate looks for the certificate's key among the client's keys.
// The certificate's times and issuer say nothing: the key is what is registered.
func proveOwnCertificate(ctx context.Context, s *Server, p *presented, c *client.Client) (string, error) {
	chain, err := s.shownCertificate(p)
	if err != nil {
		return "", err
	}
	own, err := jose.CertificateKey(chain[0])
	if err != nil {
		return "", s.badClient(p, "the certificate's key is of a kind that cannot be registered")
	}
	is := func(set jose.Set) bool {
		for _, k := range set {
			if k.Equal(own) {
				return true
			}
		}
		return false
	}
	if c.JWKSURI != "" {
		set, err := s.fetched.get(ctx, s.fetch, c.Realm+" "+c.ID, c.JWKSURI, s.now(), is)
		if err != nil {
			return "", s.badAssertion(p, err)
		}
		if !is(set) {
			return "", s.badClient(p, "no registered key is the certificate's")
		}
		return s.sourceOfKeys(ctx, p, c)
	}
	keys, err := s.credentials.Keys(ctx, c.Realm, c.Principal)
	if err != nil {
		return "", err
	}
	for _, k := range keys {
		if k.Key.Equal(own) {
			return k.ID, nil
		}
	}
	return "", s.badClient(p, "no registered key is the certificate's")
}

// sourceOfKeys is the credential that stands for what the client is registered
// with and keeps elsewhere.
func (s *Server) sourceOfKeys(ctx context.Context, p *presented, c *client.Client) (string, error) {
	source, err := s.credentials.KeySet(ctx, c.Realm, c.Principal)
	if fault.Is(err, fault.NotFound) {
		return "", s.badClient(p, "the registration of the client's certificate has ended")
	}
	return source.ID, err
}

// aliases are the endpoints at the origin that asks clients for certificates
// (RFC 8705, section 5).
type aliases struct {
	PAREndpoint           string `json:"pushed_authorization_request_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	UserInfoEndpoint      string `json:"userinfo_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	DeviceEndpoint        string `json:"device_authorization_endpoint"`
	BackchannelEndpoint   string `json:"backchannel_authentication_endpoint"`
}

// aliases of a realm, nil where there are none. A realm with a host of its own
// is not served under another.
func (m MTLS) aliases(rl *realm.Realm) *aliases {
	if m.URL == "" || rl.Host != "" {
		return nil
	}
	return &aliases{m.alias(rl, pathPAR), m.alias(rl, pathToken), m.alias(rl, pathUserInfo), m.alias(rl, pathRevoke), m.alias(rl, pathIntrospect), m.alias(rl, pathDevice), m.alias(rl, pathCIBA)}
}
