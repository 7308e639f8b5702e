package mail_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/mail"
)

// server speaks SMTP as badly as a test wants it to.
type server struct {
	address  string
	secure   *tls.Config // nil: offers no TLS
	implicit bool
	auth     string            // mechanisms offered, "" for none
	answers  map[string]string // by verb, instead of yes
	hang     string            // the verb that is never answered

	mu    sync.Mutex
	lines []string // what it was told; "TLS" where that began
	mails []string
}

func (s *server) start(t *testing.T) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = ln.Addr().String()
	var wg sync.WaitGroup
	var open sync.Map
	t.Cleanup(func() {
		ln.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		wg.Wait()
	})
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			open.Store(c, true)
			wg.Go(func() {
				defer c.Close()
				s.serve(c)
			})
		}
	})
	return s
}

func (s *server) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

// heard is everything that the server was told.
func (s *server) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func (s *server) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

func (s *server) serve(c net.Conn) {
	encrypted := s.implicit
	if s.implicit {
		c = tls.Server(c, s.secure)
		s.note("TLS")
	}
	r := bufio.NewReader(c)
	say := func(line string) { fmt.Fprint(c, line+"\r\n") }
	say("220 test ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.note(line)
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		verb, _, _ = strings.Cut(verb, ":")
		if s.hang == verb {
			_, _ = r.ReadString('\n')
			return
		}
		if a := s.answers[verb]; a != "" {
			say(a)
			continue
		}
		switch verb {
		case "EHLO":
			say("250-test")
			say("250-ENHANCEDSTATUSCODES")
			say("250-SMTPUTF8")
			if s.auth != "" {
				say("250-AUTH " + s.auth)
			}
			if s.secure != nil && !encrypted {
				say("250-STARTTLS")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			c = tls.Server(c, s.secure)
			r, encrypted = bufio.NewReader(c), true
			s.note("TLS")
		case "AUTH":
			if strings.Contains(line, "LOGIN") {
				for _, ask := range []string{"Username:", "Password:"} {
					say("334 " + base64.StdEncoding.EncodeToString([]byte(ask)))
					answer, err := r.ReadString('\n')
					if err != nil {
						return
					}
					s.note(strings.TrimSpace(answer))
				}
			}
			say("235 2.7.0 welcome")
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				l, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(l, "."))
			}
			if a := s.answers["."]; a != "" {
				say(a)
				continue
			}
			s.mu.Lock()
			s.mails = append(s.mails, b.String())
			s.mu.Unlock()
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 2.0.0 yes")
		}
	}
}

// authority makes certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	draft := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, draft, draft, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// config is a server's, with a certificate for a name that is good until an instant.
func (a *authority) config(t *testing.T, name string, until time.Time) *tls.Config {
	t.Helper()
	draft := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(name); ip != nil {
		draft.IPAddresses = []net.IP{ip}
	} else {
		draft.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, draft, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
}

// good is a configuration that everybody should trust who trusts the authority.
func (a *authority) good(t *testing.T) *tls.Config {
	t.Helper()
	return a.config(t, "127.0.0.1", time.Now().Add(time.Hour))
}

const canary = "canary-9f3e"

// message is one with a canary wherever people's secrets are.
func message(to string) mail.Message {
	return mail.Message{ID: "job_1", To: to, Sender: `Ada "the" <Countess>, Org`, Subject: "Prüfung " + canary, Text: "Hallo\n.\n" + canary + "\n", HTML: "<p>" + canary + "</p>",
		Language: "de", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// through sends a message through a server.
func through(t *testing.T, s *server, o mail.Server, m mail.Message) error {
	t.Helper()
	o.Address, o.From, o.Hello = s.address, "id@example.org", "id.example.org"
	if o.Within == 0 {
		o.Within = 10 * time.Second
	}
	sender, err := mail.NewSMTP(o)
	if err != nil {
		t.Fatal(err)
	}
	return sender.Send(context.Background(), m)
}
