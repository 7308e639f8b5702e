package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// authority is a CA of a test.
type authority struct {
	d    *door
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (d *door) authority() *authority {
	d.Helper()
	a := &authority{d: d}
	a.cert, a.key = d.certify(&x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	return a
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// certify makes a certificate that is good for an hour unless it says otherwise.
func (d *door) certify(c, by *x509.Certificate, with *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	d.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.Fatal(err)
	}
	if c.SerialNumber = big.NewInt(1); by == nil {
		by, with = c, key
	}
	if c.NotBefore.IsZero() {
		c.NotBefore, c.NotAfter = d.Clock.Now().Add(-time.Hour), d.Clock.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, with)
	if err != nil {
		d.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		d.Fatal(err)
	}
	return made, key
}

func (a *authority) issue(change func(*x509.Certificate)) *x509.Certificate {
	a.d.Helper()
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "orders", Organization: []string{"Example"}}, DNSNames: []string{"orders.example.com"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(c)
	}
	made, _ := a.d.certify(c, a.cert, a.key)
	return made
}

// over sends a request through a proxy that passes on a certificate.
func (d *door) over(c *x509.Certificate, method, path, body string, head ...string) *httptest.ResponseRecorder {
	d.Helper()
	r := httptest.NewRequest(method, d.issuer()+path, strings.NewReader(body))
	r.RemoteAddr = "10.9.9.9:1"
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c != nil {
		r.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(c.Raw)+":")
	}
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	d.Handler.ServeHTTP(w, r)
	return w
}

// TestClientsAuthenticateWithCertificates: CL-05 and RFC 8705, sections 2 and 3.
func TestClientsAuthenticateWithCertificates(t *testing.T) {
	run(t, func(d *door) {
		ca, evil := d.authority(), d.authority()
		d.app("orders", func(s *client.Settings) {
			s.AuthMethod, s.TLSSubjectDN, s.TLSClientCA, s.TLSBoundAccessTokens = client.TLSClientAuth, "CN=orders,O=Example", ca.pem(), true
		})
		d.app("named", func(s *client.Settings) {
			s.AuthMethod, s.TLSSANDNS, s.TLSClientCA = client.TLSClientAuth, "orders.example.com", ca.pem()
		})
		const ask = "grant_type=client_credentials&scope=orders:read&client_id="
		good := ca.issue(nil)
		got := d.read(d.over(good, "POST", "/oauth2/token", ask+"orders"))
		cnf, _ := d.claims(got.Access)["cnf"].(map[string]any)
		if sum := sha256.Sum256(good.Raw); got.Type != "Bearer" || cnf["x5t#S256"] != base64.RawURLEncoding.EncodeToString(sum[:]) {
			d.Fatalf("%+v %v", got, cnf)
		}
		if got := d.read(d.over(good, "POST", "/oauth2/token", ask+"named")); got.Error != "" || d.claims(got.Access)["cnf"] != nil {
			d.Errorf("by DNS name: %+v", got)
		}
		past := d.Clock.Now().Add(-time.Hour)
		for name, c := range map[string]*x509.Certificate{
			"none":          nil,
			"another CA":    evil.issue(nil),
			"another name":  ca.issue(func(c *x509.Certificate) { c.Subject.CommonName = "order" }),
			"a longer name": ca.issue(func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"x"} }),
			"case":          ca.issue(func(c *x509.Certificate) { c.Subject.CommonName = "Orders" }),
			"expired":       ca.issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = past.Add(-time.Hour), past }),
			"for servers":   ca.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
			"the CA itself": ca.cert,
		} {
			d.refuse(d.read(d.over(c, "POST", "/oauth2/token", ask+"orders")), 401, "invalid_client")
			_ = name
		}
		// The header of anybody but the proxy is nothing.
		d.refuse(d.read(d.do("POST", "/oauth2/token", ask+"orders", "Client-Cert", ":"+base64.StdEncoding.EncodeToString(good.Raw)+":")), 401, "invalid_client")

		own, _ := d.certify(&x509.Certificate{Subject: pkix.Name{CommonName: "me"}}, nil, nil)
		key, err := jose.CertificateKey(own)
		if err != nil {
			d.Fatal(err)
		}
		d.app("self", func(s *client.Settings) {
			s.AuthMethod, s.JWKS, s.TLSBoundAccessTokens = client.SelfSignedTLS, string(jose.Set{key}.JSON()), true
		})
		if got := d.read(d.over(own, "POST", "/oauth2/token", ask+"self")); got.Access == "" {
			d.Errorf("self-signed: %+v", got)
		}
		d.refuse(d.read(d.over(good, "POST", "/oauth2/token", ask+"self")), 401, "invalid_client")
		d.refuse(d.read(d.over(nil, "POST", "/oauth2/token", ask+"self")), 401, "invalid_client")

		// The token of a person is bound to the certificate, too.
		cookie := d.signIn(d.ada)
		d.app("app", public, func(s *client.Settings) { s.TLSBoundAccessTokens = true })
		v := d.coded(cookie)
		v.Set("client_id", "app")
		d.refuse(d.read(d.over(nil, "POST", "/oauth2/token", v.Encode())), 400, "invalid_request")
		bound := d.read(d.over(own, "POST", "/oauth2/token", v.Encode()))
		for name, c := range map[string]struct {
			cert *x509.Certificate
			want int
		}{"its certificate": {own, 200}, "another": {good, 401}, "none": {nil, 401}} {
			if w := d.over(c.cert, "GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+bound.Access); w.Code != c.want {
				d.Errorf("userinfo with %s: %d", name, w.Code)
			}
		}
		again := "client_id=app&grant_type=refresh_token&refresh_token=" + bound.Refresh
		d.refuse(d.read(d.over(good, "POST", "/oauth2/token", again)), 400, "invalid_grant")
		if got := d.read(d.over(own, "POST", "/oauth2/token", again)); got.Refresh == "" {
			d.Errorf("refresh with the certificate: %+v", got)
		}
	})
}
