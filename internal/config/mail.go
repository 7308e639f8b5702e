package config

import (
	"net"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/mail"
)

// Policy is how the connection to the mail server is protected.
func (m Mail) Policy() mail.TLS {
	host, port, _ := net.SplitHostPort(m.Server)
	switch {
	case m.TLS != "auto":
		return mail.TLS(m.TLS)
	case port == "465":
		return mail.Implicit
	case loopbackHost(host):
		return mail.Opportunistic
	}
	return mail.StartTLS
}

// Sender is what sends through the configured server, nil where there is none.
func (c *Config) Sender(hello string) (mail.Sender, error) {
	m := c.Mail
	if m.Server == "" {
		return nil, nil
	}
	s := mail.Server{Address: m.Server, TLS: m.Policy(), Username: m.Username, Password: m.Password, From: m.From, ReplyTo: m.ReplyTo, Hello: hello, Within: m.Timeout}
	if m.CAFile != "" {
		var err error
		if s.CAs, err = mail.ReadCAs(m.CAFile); err != nil {
			return nil, err
		}
	}
	return mail.NewSMTP(s)
}

func (c *Config) validateMail(at reporter) {
	m := c.Mail
	if !slices.Contains([]string{"auto", "starttls", "implicit", "opportunistic"}, m.TLS) {
		at("mail.tls", "want auto, starttls, implicit or opportunistic")
	}
	if m.Timeout < time.Second || m.Timeout > 25*time.Second {
		at("mail.timeout", "want a duration from 1s to 25s")
	}
	if m.Server == "" {
		if m.From != "" || m.ReplyTo != "" || m.Username != "" || m.Password != "" || m.CAFile != "" {
			at("mail.server", "is needed by the other settings of mail: want host:port, such as smtp.example.com:587")
		}
		return
	}
	if host, _, err := net.SplitHostPort(m.Server); err != nil || host == "" || addressProblem(m.Server) != "" {
		at("mail.server", "want host:port, such as smtp.example.com:587")
	}
	if m.From == "" {
		at("mail.from", "is needed with mail.server: the address that mail comes from, such as id@example.com")
	} else if mail.CheckAddress(m.From) != nil {
		at("mail.from", "want an address such as id@example.com, without a name")
	}
	if m.ReplyTo != "" && mail.CheckAddress(m.ReplyTo) != nil {
		at("mail.reply_to", "want an address such as help@example.com, without a name")
	}
	if (m.Username == "") != (m.Password == "") {
		at("mail.username", "and mail.password are needed together")
	}
	if m.CAFile != "" {
		if _, err := mail.ReadCAs(m.CAFile); err != nil {
			at("mail.ca_file", "%s: %v", m.CAFile, withoutPath(err))
		}
	}
}

// relaxed says what is less safe than it could be, and what will not work.
func (m Mail) relaxed() (out []string) {
	host, _, _ := net.SplitHostPort(m.Server)
	switch {
	case m.Server == "":
		out = append(out, "mail.server is not set: nobody can be sent mail, so people reset no passwords, get no codes and hear of no changes to their accounts (CARDEA_MAIL_SERVER, CARDEA_MAIL_FROM)")
	case m.Policy() == mail.Opportunistic && !loopbackHost(host):
		out = append(out, "mail.tls is opportunistic: whoever sits between this node and the mail server can read every link and code")
	}
	return out
}
