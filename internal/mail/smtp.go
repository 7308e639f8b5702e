package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/cardea-id/cardea/internal/secret"
)

// TLS says how a connection to the server is protected.
type TLS string

// The ways. Certificates are verified in each: who can answer in the server's
// place could as well read what is sent.
const (
	// StartTLS asks the server to begin TLS (RFC 3207) and sends nothing else to
	// one that does not.
	StartTLS TLS = "starttls"
	// Implicit speaks TLS from the first byte on (RFC 8314, section 3.3).
	Implicit TLS = "implicit"
	// Opportunistic is StartTLS where the server offers it. Whoever sits between
	// can take the offer away, so it is for servers on this machine.
	Opportunistic TLS = "opportunistic"
)

// Server says which SMTP server to use, and as whom.
type Server struct {
	Address  string // host:port
	TLS      TLS
	CAs      *x509.CertPool // nil: the system's
	Username string         // "" without authentication
	Password secret.Text
	From     string // the address of every message
	ReplyTo  string // where answers go, or ""
	Hello    string // how we introduce ourselves, a host name
	Within   time.Duration
}

// SMTP sends through a server, with a connection for each message.
type SMTP struct {
	server Server
	host   string
	port   int
}

// NewSMTP returns a sender. It connects to nothing yet.
func NewSMTP(s Server) (*SMTP, error) {
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return nil, fmt.Errorf("mail server: %w", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("mail server: port %q", port)
	}
	if err := CheckAddress(s.From); err != nil {
		return nil, fmt.Errorf("sender of mail: %w", err)
	}
	if s.ReplyTo != "" {
		if err := CheckAddress(s.ReplyTo); err != nil {
			return nil, fmt.Errorf("answers to mail: %w", err)
		}
	}
	if s.TLS != StartTLS && s.TLS != Implicit && s.TLS != Opportunistic {
		return nil, fmt.Errorf("mail server: there is no TLS policy %q", s.TLS)
	}
	if !hostName(s.Hello) {
		s.Hello = "localhost"
	}
	if s.Within <= 0 {
		s.Within = 20 * time.Second
	}
	return &SMTP{server: s, host: host, port: n}, nil
}

// ReadCAs reads certificates of authorities from a PEM file.
func ReadCAs(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in PEM form", file)
	}
	return pool, nil
}

// Send implements Sender. What it returns is fit for operators: it holds neither
// the password nor the recipient nor anything of the message.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	if err := m.check(); err != nil {
		return refused(err)
	}
	msg, err := s.compose(m)
	if err != nil {
		return refused(err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.server.Within)
	defer cancel()
	var conn net.Conn
	client, err := gomail.NewClient(s.host, append(s.options(), gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := s.dial(ctx, network, address)
		conn = c
		return c, err
	}))...)
	if err != nil {
		return err
	}
	// What waits for an answer learns of the end by its connection.
	connected, err := client.DialToSMTPClientWithContext(ctx)
	if conn != nil {
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	}
	if err != nil {
		return s.told(ctx, "connect to", err, m.To)
	}
	if err := client.SendWithSMTPClient(connected, msg); err != nil && !msg.IsDelivered() {
		return s.told(ctx, "send through", err, m.To)
	}
	// It was taken: whether the goodbye is heard changes nothing.
	_ = client.CloseWithSMTPClient(connected)
	return nil
}

func (s *SMTP) options() []gomail.Option {
	o := []gomail.Option{gomail.WithPort(s.port), gomail.WithTimeout(s.server.Within), gomail.WithHELO(s.server.Hello), gomail.WithTLSConfig(s.tls()),
		gomail.WithoutNoop(), gomail.WithoutRset()}
	switch s.server.TLS {
	case Implicit:
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS)) // dial has begun it
	case Opportunistic:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.server.Username != "" {
		o = append(o, gomail.WithUsername(s.server.Username), gomail.WithPassword(string(s.server.Password)), gomail.WithSMTPAuthCustom(&login{username: s.server.Username, password: s.server.Password, host: s.host}))
	}
	return o
}

func (s *SMTP) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.host, RootCAs: s.server.CAs}
}

func (s *SMTP) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if s.server.TLS == Implicit {
		return (&tls.Dialer{Config: s.tls()}).DialContext(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// compose writes what RFC 5322 wants around the words.
func (s *SMTP) compose(m Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP))
	msg.FromMailAddress(&netmail.Address{Name: m.Sender, Address: s.server.From})
	if reply := cmp.Or(m.ReplyTo, s.server.ReplyTo); reply != "" {
		msg.ReplyToMailAddress(&netmail.Address{Address: reply})
	}
	if err := msg.To(m.To); err != nil {
		return nil, errors.New("mail: the recipient is not an address of RFC 5322")
	}
	// One recipient, and that one: a parser of addresses may see more in one than
	// we do.
	if to := msg.GetTo(); len(to) != 1 || to[0].Address != m.To {
		return nil, errors.New("mail: the recipient is not one address")
	}
	_, domain, _ := strings.Cut(s.server.From, "@")
	msg.SetMessageIDWithValue(m.ID + "@" + domain)
	msg.SetDateWithValue(m.Date)
	msg.Subject(m.Subject)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's holiday reply is wanted
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	if m.Language != "" {
		msg.SetGenHeader("Content-Language", m.Language)
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

// told puts an error into words that can be kept. A server may repeat in its
// answers whatever it was told, so they are told by their numbers alone.
func (s *SMTP) told(ctx context.Context, what string, err error, to string) error {
	var sent *gomail.SendError
	if !errors.As(err, &sent) {
		if ctx.Err() != nil {
			return fmt.Errorf("%s %s: no answer within %s", what, s.server.Address, s.server.Within)
		}
		if answer := (*textproto.Error)(nil); errors.As(err, &answer) {
			return fmt.Errorf("%s %s: it answers %d", what, s.server.Address, answer.Code)
		}
		return fmt.Errorf("%s %s: %s", what, s.server.Address, clean(err.Error(), to))
	}
	code := strings.TrimSpace(strconv.Itoa(sent.ErrorCode()) + " " + sent.EnhancedStatusCode())
	if sent.ErrorCode() == 0 {
		code = "the connection ended"
	}
	plain := fmt.Errorf("%s %s: %s: %s", what, s.server.Address, sent.Reason, code)
	if sent.Reason == gomail.ErrSMTPRcptTo && unknownRecipient(sent.ErrorCode(), sent.EnhancedStatusCode()) {
		return refused(plain)
	}
	return plain
}

// unknownRecipient tells answers about a mailbox that does not exist (RFC 5321,
// section 4.2.3; RFC 3463, section 3.2) from those about who may send: the
// latter an operator can change.
func unknownRecipient(code int, enhanced string) bool {
	if enhanced != "" {
		return code >= 550 && code < 560 && strings.HasPrefix(enhanced, "5.1.") && enhanced != "5.1.7" && enhanced != "5.1.8"
	}
	return code == 550 || code == 551 || code == 553
}

func clean(text, to string) string {
	text = strings.ReplaceAll(text, to, "the recipient")
	text = strings.Map(func(r rune) rune {
		if breaks(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "")
	}
	return text
}

func refused(err error) error { return fmt.Errorf("%w: %w", ErrRefused, err) }
