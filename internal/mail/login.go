package mail

import (
	"errors"
	"net"
	"slices"

	"github.com/wneessen/go-mail/smtp"

	"github.com/cardea-id/cardea/internal/secret"
)

// login authenticates in the best way that the server offers (RFC 4954). Without
// TLS it does so on this machine only, whatever the policy: what an eavesdropper
// would hear is a password.
type login struct {
	username string
	password secret.Text
	host     string
	chosen   smtp.Auth
}

// Start implements smtp.Auth.
func (l *login) Start(s *smtp.ServerInfo) (string, []byte, error) {
	if !s.TLS && !loopback(l.host) {
		return "", nil, errors.New("the server offers no TLS, so the password is not sent")
	}
	switch {
	case slices.Contains(s.Auth, "SCRAM-SHA-256"):
		l.chosen = smtp.ScramSHA256Auth(l.username, string(l.password))
	case slices.Contains(s.Auth, "PLAIN"):
		l.chosen = smtp.PlainAuth("", l.username, string(l.password), l.host, true)
	case slices.Contains(s.Auth, "LOGIN"):
		l.chosen = smtp.LoginAuth(l.username, string(l.password), l.host, true)
	default:
		return "", nil, errors.New("the server offers none of SCRAM-SHA-256, PLAIN and LOGIN")
	}
	return l.chosen.Start(s)
}

// Next implements smtp.Auth.
func (l *login) Next(said []byte, more bool) ([]byte, error) { return l.chosen.Next(said, more) }

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
