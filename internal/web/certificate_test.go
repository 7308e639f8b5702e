package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

// CL-05: a certificate comes from the connection, or from the configured header
// of a trusted proxy, and from nowhere else.
func TestCertificatesComeFromTheConnectionOrATrustedProxy(t *testing.T) {
	one, two := certificate(t, "one"), certificate(t, "two")
	rfc := ":" + base64.StdEncoding.EncodeToString(one.Raw) + ":"
	escaped := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.Raw})))
	const proxy, stranger = "10.0.0.1:1", "192.0.2.1:1"
	for name, c := range map[string]struct {
		header, peer string
		tls          *x509.Certificate
		sent         [][2]string
		want         *x509.Certificate
		bad          bool
	}{
		"connection":                        {"", stranger, two, nil, two, false},
		"nothing":                           {"", stranger, nil, nil, nil, false},
		"header without configuration":      {"", proxy, nil, [][2]string{{"Client-Cert", rfc}}, nil, false},
		"connection of a proxy":             {"", proxy, two, nil, nil, false},
		"proxy, RFC 9440":                   {"Client-Cert", proxy, nil, [][2]string{{"Client-Cert", rfc}}, one, false},
		"proxy, its own certificate":        {"Client-Cert", proxy, two, nil, nil, false},
		"proxy, PEM":                        {"X-Cert", proxy, two, [][2]string{{"X-Cert", escaped}}, one, false},
		"stranger forges":                   {"Client-Cert", stranger, nil, [][2]string{{"Client-Cert", rfc}}, nil, false},
		"stranger forges over a connection": {"Client-Cert", stranger, two, [][2]string{{"Client-Cert", rfc}}, two, false},
		"stranger behind X-Forwarded-For":   {"Client-Cert", stranger, nil, [][2]string{{"Client-Cert", rfc}, {"X-Forwarded-For", "10.0.0.1"}}, nil, false},
		"another header":                    {"X-Cert", proxy, nil, [][2]string{{"Client-Cert", rfc}}, nil, false},
		"two headers":                       {"Client-Cert", proxy, nil, [][2]string{{"Client-Cert", rfc}, {"Client-Cert", rfc}}, nil, true},
		"PEM where RFC 9440 is meant":       {"Client-Cert", proxy, nil, [][2]string{{"Client-Cert", escaped}}, nil, true},
		"rubbish":                           {"X-Cert", proxy, nil, [][2]string{{"X-Cert", "abc%"}}, nil, true},
	} {
		var got []*x509.Certificate
		var err error
		h := Front(Options{Now: time.Now, Proxies: NewProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}), CertHeader: c.header},
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, err = Certificate(r) }))
		r := httptest.NewRequest("GET", "https://id.example.com/", nil)
		r.RemoteAddr = c.peer
		r.TLS = &tls.ConnectionState{}
		if c.tls != nil {
			r.TLS.PeerCertificates = []*x509.Certificate{c.tls}
		}
		for _, one := range c.sent {
			r.Header.Add(one[0], one[1])
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if (err != nil) != c.bad || (len(got) > 0) != (c.want != nil) || c.want != nil && !got[0].Equal(c.want) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func certificate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
