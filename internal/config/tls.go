package config

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// Certificates serves the configured certificate and follows its files.
type Certificates struct {
	cert, key string
	current   atomic.Pointer[tls.Certificate]
	seen      string
}

// Certificates loads the configured certificate. It is nil when none is
// configured, which means plain http.
func (c *Config) Certificates() (*Certificates, error) {
	if c.TLS.CertFile == "" {
		return nil, nil
	}
	certs := &Certificates{cert: c.TLS.CertFile, key: c.TLS.KeyFile}
	if _, err := certs.Reload(); err != nil {
		return nil, err
	}
	return certs, nil
}

// suites are those that BCP 195 recommends for TLS 1.2 (RFC 9325, section 4.2;
// FAPI 2.0 Security Profile, section 5.2.2). Those of TLS 1.3 are not for us to
// choose.
var suites = [...]uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
}

// Config is a server configuration that always presents the newest
// certificate. TLS 1.2 is the oldest version spoken.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		CipherSuites: suites[:],
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}

// Asking is Config for a server that asks clients for a certificate. Whoever
// shows one has its key; who vouches for it is for others to judge.
func (c *Certificates) Asking() *tls.Config {
	asking := c.Config()
	asking.ClientAuth = tls.RequestClientCert
	return asking
}

// Reload reads the files if they changed and reports whether they did. After
// an error the former certificate stays in use. It is not for concurrent use.
func (c *Certificates) Reload() (bool, error) {
	stamp, err := fileStamp(c.cert, c.key)
	if err != nil {
		return false, err
	}
	if stamp == c.seen {
		return false, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return false, fmt.Errorf("certificate %s: %w", c.cert, err)
	}
	c.current.Store(&pair)
	c.seen = stamp
	return true, nil
}

// Watch looks at the files every ten seconds, and when again says so, until ctx
// ends.
func (c *Certificates) Watch(ctx context.Context, again <-chan os.Signal, log *slog.Logger) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-tick.C:
		}
		changed, err := c.Reload()
		if err != nil {
			log.Error("certificate not reloaded; the former one stays in use", "err", err)
		} else if changed {
			log.Info("certificate reloaded", "file", c.cert)
		}
	}
}

func fileStamp(names ...string) (string, error) {
	var stamp string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return "", err
		}
		stamp += fmt.Sprint(info.ModTime().UnixNano(), info.Size(), ";")
	}
	return stamp, nil
}
