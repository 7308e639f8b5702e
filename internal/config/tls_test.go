package config

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// certificate writes a key and a self-signed certificate with a serial number.
func certificate(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"id.example.com"}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// shake connects with the newest version max and gives the server's serial.
func shake(t *testing.T, server *tls.Config, max uint16, suites ...uint16) (int64, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _ = tls.Server(b, server).Handshake() }()
	c := tls.Client(a, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: max, CipherSuites: suites, ServerName: "id.example.com"})
	if err := c.Handshake(); err != nil {
		return 0, err
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// OP-01: TLS 1.2 and newer, nothing older, and a new certificate is taken up.
func TestCertificatesAreFollowedAndOldTLSIsRefused(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, 1)
	c := &Config{TLS: TLS{CertFile: cert, KeyFile: key}}
	certs, err := c.Certificates()
	if err != nil {
		t.Fatal(err)
	}
	for version, fine := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		if _, err := shake(t, certs.Config(), version); (err == nil) != fine {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		recommended := strings.HasPrefix(suite.Name, "TLS_ECDHE_") && strings.Contains(suite.Name, "_GCM_")
		if _, err := shake(t, certs.Config(), tls.VersionTLS12, suite.ID); err == nil && !recommended {
			t.Errorf("TLS 1.2 with %s is spoken", suite.Name)
		}
	}
	if changed, err := certs.Reload(); changed || err != nil {
		t.Errorf("nothing changed, and yet: %v %v", changed, err)
	}
	certificate(t, dir, 2)
	os.Chtimes(cert, time.Unix(1, 0), time.Unix(1, 0))
	if changed, err := certs.Reload(); !changed || err != nil {
		t.Fatalf("a new certificate is not taken up: %v %v", changed, err)
	}
	if serial, err := shake(t, certs.Config(), tls.VersionTLS13); serial != 2 || err != nil {
		t.Errorf("got serial %d, %v", serial, err)
	}
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.Reload(); err == nil {
		t.Error("a broken certificate is no error")
	}
	if serial, err := shake(t, certs.Config(), tls.VersionTLS13); serial != 2 || err != nil {
		t.Errorf("after a broken file: serial %d, %v", serial, err)
	}
}

// The ten seconds between two looks are not waited for.
func TestACertificateIsReadAgainWhenToldSo(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, 1)
	certs, err := (&Config{TLS: TLS{CertFile: cert, KeyFile: key}}).Certificates()
	if err != nil {
		t.Fatal(err)
	}
	again, ended := make(chan os.Signal), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(ended)
		certs.Watch(ctx, again, slog.New(slog.DiscardHandler))
	}()
	certificate(t, dir, 2)
	os.Chtimes(cert, time.Unix(1, 0), time.Unix(1, 0))
	again <- syscall.SIGHUP
	cancel()
	<-ended // having done what it was told
	if serial, err := shake(t, certs.Config(), tls.VersionTLS13); serial != 2 || err != nil {
		t.Errorf("got serial %d, %v", serial, err)
	}
}

func TestTLSKeyThatOthersCanReadIsRefused(t *testing.T) {
	cert, key := certificate(t, t.TempDir(), 1)
	load := func() error {
		_, err := Load(Input{Getenv: env("CARDEA_TLS_CERT_FILE", cert, "CARDEA_TLS_KEY_FILE", key)})
		return err
	}
	if err := load(); err != nil {
		t.Fatal(err)
	}
	os.Chmod(key, 0o644)
	if err := load(); err == nil || !strings.Contains(err.Error(), "mode 0644") {
		t.Errorf("got %v", err)
	}
}

// AD-08: metrics and profiles are not for networks.
func TestMetricsStayOnThisMachine(t *testing.T) {
	for addr, fine := range map[string]bool{"127.0.0.1:9090": true, "[::1]:9090": true, "localhost:9090": true, ":9090": false, "0.0.0.0:9090": false,
		"10.0.0.1:9090": false, "id.example.com:9090": false, "[::]:9090": false} {
		_, err := Load(Input{Getenv: env("CARDEA_METRICS_LISTEN", addr)})
		if (err == nil) != fine {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
