// Package mail hands messages to an SMTP server (RFC 5321). It knows whom to
// trust with them and which addresses are safe to name there, but not what
// messages say, nor why.
package mail

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Message is what one person is sent, the same words as text and as HTML.
type Message struct {
	// ID tells the repetition of a message from another message; it becomes the
	// left part of Message-ID.
	ID       string
	To       string
	Sender   string // the name that people see as the sender's, or ""
	ReplyTo  string // where answers go, or "" for the configured address
	Subject  string
	Text     string
	HTML     string
	Language string // BCP 47
	Date     time.Time
}

// Sender takes messages. An error that is [ErrRefused] will come again for the
// same recipient; others may pass.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// ErrRefused says that the server does not know the recipient.
var ErrRefused = errors.New("mail: the server refuses the recipient for good")

// Bounds of what is sent.
const (
	maxAddress = 254 // RFC 5321, section 4.5.3.1.3, without the angle brackets
	maxLocal   = 64
	maxSubject = 200
	maxBody    = 256 << 10
)

// CheckAddress accepts addresses with a dot-atom before the "@" (RFC 5321,
// section 4.1.2; letters beyond ASCII by RFC 6531) and a host name behind it.
// Nothing that it accepts can end a line, a command or a header.
func CheckAddress(address string) error {
	local, domain, ok := strings.Cut(address, "@")
	switch {
	case len(address) > maxAddress || !utf8.ValidString(address):
		return errors.New("mail: an address has at most 254 bytes of UTF-8")
	case !ok || local == "" || len(local) > maxLocal || strings.ContainsFunc(local, notInLocal) ||
		local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, ".."):
		return errors.New("mail: want an address such as ada@example.com")
	case !hostName(domain):
		return errors.New("mail: the part of an address behind the @ is a host name in its ASCII form")
	}
	return nil
}

func notInLocal(r rune) bool {
	if r < utf8.RuneSelf {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9') && !strings.ContainsRune(".!#$%&'*+/=?^_`{|}~-", r)
	}
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
}

func hostName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notInHost) {
			return false
		}
	}
	return true
}

func notInHost(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-')
}

// check refuses a message that could say more to the server than it is.
func (m *Message) check() error {
	if err := CheckAddress(m.To); err != nil {
		return err
	}
	if m.ReplyTo != "" && CheckAddress(m.ReplyTo) != nil {
		return errors.New("mail: answers go to an address")
	}
	for name, v := range map[string]string{"subject": m.Subject, "sender": m.Sender, "language": m.Language, "id": m.ID} {
		if !utf8.ValidString(v) || utf8.RuneCountInString(v) > maxSubject || strings.ContainsFunc(v, breaks) {
			return errors.New("mail: the " + name + " is one line of at most 200 characters")
		}
	}
	if m.ID == "" || strings.ContainsFunc(m.ID, notInID) {
		return errors.New("mail: a message has an id of letters, digits and _")
	}
	if m.Date.IsZero() || m.Subject == "" || m.Text == "" || len(m.Text)+len(m.HTML) > maxBody || !utf8.ValidString(m.Text) || !utf8.ValidString(m.HTML) {
		return errors.New("mail: a message has a date, a subject and a text of at most 256 KiB")
	}
	return nil
}

// breaks reports whether r ends a line somewhere, or hides or turns what follows.
func breaks(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}

func notInID(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_')
}
