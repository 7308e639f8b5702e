// Package mtls shows the real binary certificates in real TLS connections (RFC
// 8705).
package mtls

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
	"github.com/cardea-id/cardea/e2e/live"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
}

// make signs t by a, or by itself.
func (a *authority) make(t testing.TB, c *x509.Certificate) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := c, crypto.Signer(key)
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func newAuthority(t testing.TB, name string) *authority {
	c := template(name)
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	made, text := (*authority)(nil).make(t, c)
	return &authority{made.Leaf, made.PrivateKey.(crypto.Signer), text}
}

// client is a certificate for use by a client that is called name.
func (a *authority) client(t testing.TB, name string) tls.Certificate {
	c := template(name)
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	made, _ := a.make(t, c)
	return made
}

// server is a running Cardea that serves https and, on a second address, asks
// for certificates.
type server struct {
	issuer, alias string
	roots         *x509.CertPool
	admin         *client.Client
}

func free(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

func start(t *testing.T) *server {
	dir := t.TempDir()
	binary, err := live.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	ca := newAuthority(t, "server CA")
	c := template("localhost")
	c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	own, chain := ca.make(t, c)
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"cert.pem": chain, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	main, asking := free(t), free(t)
	s := &server{issuer: "https://localhost:" + main, alias: "https://localhost:" + asking, roots: x509.NewCertPool()}
	s.roots.AddCert(ca.cert)
	env := append(os.Environ(), "CARDEA_ISSUER="+s.issuer, "CARDEA_LISTEN=127.0.0.1:"+main, "CARDEA_DATA="+filepath.Join(dir, "data"), "CARDEA_DATABASE_URL=",
		"CARDEA_TLS_CERT_FILE="+filepath.Join(dir, "cert.pem"), "CARDEA_TLS_KEY_FILE="+filepath.Join(dir, "key.pem"),
		"CARDEA_MTLS_LISTEN=127.0.0.1:"+asking, "CARDEA_MTLS_URL="+s.alias,
		"CARDEA_MASTER_KEY="+base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
	setup := exec.Command(binary, "setup", "--automation", "--output", "json")
	setup.Env = env
	out, err := setup.Output()
	if err != nil {
		t.Fatalf("setup: %v %s", err, out)
	}
	var automation struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &automation); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve")
	cmd.Env = env
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	plain := s.web(nil)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		if resp, err := plain.Get(s.alias + "/readyz"); err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("cardea does not become ready")
		}
	}
	token := func(ctx context.Context) (string, error) {
		status, got := s.ask(t, plain, s.issuer+"/oauth2/token", automation.ID, automation.Secret,
			url.Values{"grant_type": {"client_credentials"}, "scope": {"cardea:admin"}, "resource": {s.issuer + "/api/v1"}})
		if status != http.StatusOK {
			return "", fmt.Errorf("admin token: %d %v", status, got)
		}
		return got["access_token"].(string), nil
	}
	if s.admin, err = client.New(s.issuer, client.WithTokenSource(token), client.WithHTTPClient(plain)); err != nil {
		t.Fatal(err)
	}
	return s
}

// web is a client that shows a certificate, or none.
func (s *server) web(cert *tls.Certificate) *http.Client {
	c := &tls.Config{RootCAs: s.roots}
	if cert != nil {
		c.Certificates = []tls.Certificate{*cert}
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: c}}
}

func (s *server) ask(t testing.TB, web *http.Client, address, id, secret string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	resp, err := web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
	return resp.StatusCode, got
}

// CL-05, RFC 8705: a certificate authenticates its client and binds its tokens,
// in the connection that shows it and in no other.
func TestCertificatesInConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the real binary")
	}
	s := start(t)
	ca, stranger := newAuthority(t, "clients"), newAuthority(t, "clients")
	good, other, foreign := ca.client(t, "orders"), ca.client(t, "billing"), stranger.client(t, "orders")
	self, _ := (*authority)(nil).make(t, template("self"))

	if _, err := s.admin.Clients.Create(t.Context(), api.ClientCreate{ID: "orders", ClientSettings: api.ClientSettings{
		Name: "Orders", Type: "service", GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}, Resources: []string{"https://api.example"},
		TokenEndpointAuthMethod: "tls_client_auth", TLSClientAuthSubjectDN: "CN=orders", TLSClientCA: string(ca.pem), TLSBoundAccessTokens: true}}); err != nil {
		t.Fatal(err)
	}
	point := self.PrivateKey.(*ecdsa.PrivateKey).PublicKey
	raw, err := point.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	jwks := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"self","alg":"ES256","use":"sig","x":"%s","y":"%s"}]}`, b64(raw[1:33]), b64(raw[33:]))
	if _, err := s.admin.Clients.Create(t.Context(), api.ClientCreate{ID: "self", ClientSettings: api.ClientSettings{
		Name: "Self", Type: "service", GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}, Resources: []string{"https://api.example"},
		TokenEndpointAuthMethod: "self_signed_tls_client_auth", JWKS: jwks, TLSBoundAccessTokens: true}}); err != nil {
		t.Fatal(err)
	}

	resp, err := s.web(nil).Get(s.issuer + "/.well-known/oauth-authorization-server")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var meta struct {
		Token   string `json:"token_endpoint"`
		Aliases struct {
			Token string `json:"token_endpoint"`
		} `json:"mtls_endpoint_aliases"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&meta); err != nil {
		t.Fatal(err)
	}
	if meta.Aliases.Token != s.alias+"/oauth2/token" {
		t.Fatalf("mtls_endpoint_aliases names %q", meta.Aliases.Token)
	}

	for _, v := range []struct {
		name, client, address string
		cert                  *tls.Certificate
		want                  int
	}{
		{"its certificate", "orders", meta.Aliases.Token, &good, http.StatusOK},
		{"its own certificate", "self", meta.Aliases.Token, &self, http.StatusOK},
		{"no certificate", "orders", meta.Aliases.Token, nil, http.StatusUnauthorized},
		{"another name", "orders", meta.Aliases.Token, &other, http.StatusUnauthorized},
		{"another CA", "orders", meta.Aliases.Token, &foreign, http.StatusUnauthorized},
		{"self-signed where a CA is asked for", "orders", meta.Aliases.Token, &self, http.StatusUnauthorized},
		{"a CA's where a registered key is asked for", "self", meta.Aliases.Token, &good, http.StatusUnauthorized},
		{"an address that asks for none", "orders", meta.Token, &good, http.StatusUnauthorized},
	} {
		status, got := s.ask(t, s.web(v.cert), v.address, v.client, "", url.Values{"grant_type": {"client_credentials"}, "client_id": {v.client}})
		if status != v.want {
			t.Errorf("%s: %d %v, want %d", v.name, status, got, v.want)
			continue
		}
		if v.want != http.StatusOK {
			if got["error"] != "invalid_client" {
				t.Errorf("%s: %v", v.name, got)
			}
			continue
		}
		sum := sha256.Sum256(v.cert.Leaf.Raw)
		if bound := thumbprint(t, got["access_token"].(string)); bound != b64(sum[:]) {
			t.Errorf("%s: the token is bound to %q", v.name, bound)
		}
	}
}

// thumbprint is the x5t#S256 that a token is bound to.
func thumbprint(t testing.TB, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Confirmation map[string]string `json:"cnf"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Confirmation["x5t#S256"]
}
