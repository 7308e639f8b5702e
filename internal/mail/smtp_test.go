package mail_test

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/mail"
	"github.com/cardea-id/cardea/internal/secret"
)

func TestAMessageArrivesAsItWasWritten(t *testing.T) {
	a := newAuthority(t)
	for name, o := range map[string]struct {
		server   *server
		tls      mail.TLS
		username string
	}{
		"starttls":          {&server{secure: a.good(t), auth: "PLAIN"}, mail.StartTLS, "ada"},
		"starttls, LOGIN":   {&server{secure: a.good(t), auth: "LOGIN"}, mail.StartTLS, "ada"},
		"implicit":          {&server{secure: a.good(t), implicit: true, auth: "PLAIN LOGIN"}, mail.Implicit, "ada"},
		"opportunistic":     {&server{secure: a.good(t)}, mail.Opportunistic, ""},
		"in clear, at home": {&server{}, mail.Opportunistic, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := o.server.start(t)
			m := message("ada@example.com")
			err := through(t, s, mail.Server{TLS: o.tls, CAs: a.pool(), Username: o.username, Password: "let me in", ReplyTo: "help@example.org"}, m)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.got(); len(got) != 1 {
				t.Fatalf("%d messages", len(got))
			}
			read(t, s.got()[0], m)
			heard := s.heard()
			if !strings.Contains(heard, "EHLO id.example.org") || !strings.Contains(heard, "MAIL FROM:<id@example.org>") || !strings.Contains(heard, "RCPT TO:<ada@example.com>") {
				t.Errorf("heard:\n%s", heard)
			}
			if before, _, _ := strings.Cut("\n"+heard, "\nTLS"); o.server.secure != nil && strings.Contains(before, "MAIL") {
				t.Errorf("told before TLS:\n%s", before)
			}
			if o.username != "" && !strings.Contains(heard, base64.StdEncoding.EncodeToString([]byte("\x00ada\x00let me in"))) && !strings.Contains(heard, base64.StdEncoding.EncodeToString([]byte("let me in"))) {
				t.Errorf("not authenticated:\n%s", heard)
			}
		})
	}
}

// read holds a message that arrived to the one that was sent.
func read(t *testing.T, raw string, m mail.Message) {
	t.Helper()
	got, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	from, err := got.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != m.Sender || from[0].Address != "id@example.org" {
		t.Errorf("from %v, %v", from, err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil || subject != m.Subject {
		t.Errorf("subject %q, %v", subject, err)
	}
	for name, want := range map[string]string{"To": "<ada@example.com>", "Reply-To": "<help@example.org>", "Message-Id": "<job_1@example.org>", "Auto-Submitted": "auto-generated",
		"Content-Language": "de", "Date": "Fri, 02 Jan 2026 03:04:05 +0000", "Mime-Version": "1.0", "Bcc": "", "User-Agent": "", "X-Mailer": ""} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	kind, params, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("it is %s, %v", kind, err)
	}
	parts := multipart.NewReader(got.Body, params["boundary"])
	for _, want := range []struct{ kind, body string }{{"text/plain; charset=UTF-8", m.Text}, {"text/html; charset=UTF-8", m.HTML}} {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if text := strings.ReplaceAll(string(body), "\r\n", "\n"); err != nil || text != want.body || p.Header.Get("Content-Type") != want.kind {
			t.Errorf("part %s is %q, %v", p.Header.Get("Content-Type"), text, err)
		}
	}
}

// Whoever takes the offer of TLS away, or shows a certificate that is not the
// server's, hears neither a password nor a word of the message.
func TestNothingIsToldToStrangers(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	for name, o := range map[string]struct {
		server *server
		tls    mail.TLS
	}{
		"no STARTTLS":                    {&server{auth: "PLAIN"}, mail.StartTLS},
		"STARTTLS refused":               {&server{secure: a.good(t), auth: "PLAIN", answers: map[string]string{"STARTTLS": "454 4.7.0 not now"}}, mail.StartTLS},
		"another authority":              {&server{secure: other.good(t), auth: "PLAIN"}, mail.StartTLS},
		"another name":                   {&server{secure: a.config(t, "mail.example.org", time.Now().Add(time.Hour)), auth: "PLAIN"}, mail.StartTLS},
		"expired":                        {&server{secure: a.config(t, "127.0.0.1", time.Now().Add(-time.Hour)), auth: "PLAIN"}, mail.StartTLS},
		"implicit, another authority":    {&server{secure: other.good(t), implicit: true, auth: "PLAIN"}, mail.Implicit},
		"implicit, in clear":             {&server{auth: "PLAIN"}, mail.Implicit},
		"opportunistic, bad certificate": {&server{secure: other.good(t), auth: "PLAIN"}, mail.Opportunistic},
	} {
		t.Run(name, func(t *testing.T) {
			s := o.server.start(t)
			err := through(t, s, mail.Server{TLS: o.tls, CAs: a.pool(), Username: "ada", Password: canary, Within: 3 * time.Second}, message("ada@example.com"))
			if err == nil || errors.Is(err, mail.ErrRefused) {
				t.Errorf("sent: %v", err)
			}
			if heard := s.heard(); len(s.got()) > 0 || strings.Contains(heard, "MAIL") || strings.Contains(heard, "AUTH") || strings.Contains(heard, "ada@example.com") {
				t.Errorf("heard:\n%s", heard)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "ada@") {
				t.Errorf("the error says too much: %v", err)
			}
		})
	}
}

// An address is one recipient and one line, or it is none.
func TestAddressesThatSayMoreAreRefused(t *testing.T) {
	a := newAuthority(t)
	s := (&server{secure: a.good(t)}).start(t)
	for _, to := range []string{"", "ada", "@example.com", "ada@", "ada@example.com,eve@example.com", "ada@example.com;eve@example.com", "Ada <ada@example.com>", "<ada@example.com>",
		"ada@example.com\r\nRCPT TO:<eve@example.com>", "ada@example.com\nBcc: eve@example.com", "ada@example.com\r", "ada@example.com\x00", "ada @example.com", "ada@exam ple.com",
		"ada\t@example.com", `"ada eve"@example.com`, `"ada\r\n"@example.com`, "ada@eve@example.com", "@a,@b:ada@example.com", "ada@[127.0.0.1]", "ada@-example.com", "ada@example..com", ".ada@example.com",
		"ada..b@example.com", "ada@bücher.example", "ada@example.com>", "ada(comment)@example.com", "ada@example.com (comment)", "ada@example.com\u2028", "ada\u202e@example.com", "ada\u0085@example.com",
		"ada@example.com NOTIFY=SUCCESS", strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b.", 130) + "com", "ada\xff@example.com", "ada%00@example.com\r\n"} {
		err := through(t, s, mail.Server{TLS: mail.StartTLS, CAs: a.pool()}, message(to))
		if !errors.Is(err, mail.ErrRefused) {
			t.Errorf("%q: %v", to, err)
		}
	}
	if heard := s.heard(); heard != "" {
		t.Errorf("the server heard:\n%s", heard)
	}
	for _, to := range []string{"ada@example.com", "Ada.B+tag@sub.example.com", "o'brien@example.com", "用户@example.com", "ada@xn--bcher-kva.example", "a!#$%&'*/=?^_`{|}~-@example.com", "root@localhost"} {
		if err := through(t, s, mail.Server{TLS: mail.StartTLS, CAs: a.pool()}, message(to)); err != nil {
			t.Errorf("%q: %v", to, err)
		}
		if !strings.Contains(s.heard(), "RCPT TO:<"+to+">") {
			t.Errorf("%q: heard\n%s", to, s.heard())
		}
	}
}

// What goes into a header is one line of it.
func TestHeadersCannotBeAddedTo(t *testing.T) {
	a := newAuthority(t)
	s := (&server{secure: a.good(t)}).start(t)
	for _, evil := range []string{"x\r\nBcc: eve@example.com", "x\nBcc: eve@example.com", "x\rBcc: eve@example.com", "x\u2028Bcc", "x\u0085Bcc", "x\x00", strings.Repeat("x", 201)} {
		for name, change := range map[string]func(*mail.Message){
			"subject": func(m *mail.Message) { m.Subject = evil }, "sender": func(m *mail.Message) { m.Sender = evil }, "reply": func(m *mail.Message) { m.ReplyTo = evil },
			"language": func(m *mail.Message) { m.Language = evil }, "id": func(m *mail.Message) { m.ID = evil },
		} {
			m := message("ada@example.com")
			change(&m)
			if err := through(t, s, mail.Server{TLS: mail.StartTLS, CAs: a.pool()}, m); !errors.Is(err, mail.ErrRefused) {
				t.Errorf("%s %q: %v", name, evil, err)
			}
		}
	}
	for _, sender := range []string{`"`, `\`, `a", <eve@example.com>, "b`, "=?utf-8?q?=0D=0ABcc:_eve=40example.com?=", "Grüße, GmbH", "a@b"} {
		m := message("ada@example.com")
		m.Sender = sender
		if err := through(t, s, mail.Server{TLS: mail.StartTLS, CAs: a.pool(), ReplyTo: "help@example.org"}, m); err != nil {
			t.Errorf("sender %q: %v", sender, err)
			continue
		}
		got := s.got()
		read(t, got[len(got)-1], m)
	}
}

// What an attempt that failed leaves behind is for operators to read: where it
// failed and with which number, but no secret and no address.
func TestFailuresSayWhatOperatorsMayKnow(t *testing.T) {
	a := newAuthority(t)
	for name, o := range map[string]struct {
		answers map[string]string
		refused bool
		say     string
	}{
		"unknown recipient":     {map[string]string{"RCPT": "550 5.1.1 <ada@example.com>: no such user " + canary}, true, "550 5.1.1"},
		"relaying denied":       {map[string]string{"RCPT": "550 5.7.1 ada@example.com: relaying denied"}, false, "550 5.7.1"},
		"mailbox full":          {map[string]string{"RCPT": "552 5.2.2 full"}, false, "552 5.2.2"},
		"try later":             {map[string]string{"RCPT": "451 4.7.1 greylisted"}, false, "451 4.7.1"},
		"sender refused":        {map[string]string{"MAIL": "553 5.1.8 who?"}, false, "553 5.1.8"},
		"content refused":       {map[string]string{".": "554 5.6.0 spam: " + canary}, false, "554 5.6.0"},
		"authentication failed": {map[string]string{"AUTH": "535 5.7.8 not ada with AGFkYQB" + canary}, false, "535"},
		"not greeted":           {map[string]string{"EHLO": "421 4.3.2 going down", "HELO": "421 4.3.2 going down"}, false, "421"},
	} {
		t.Run(name, func(t *testing.T) {
			s := (&server{secure: a.good(t), auth: "PLAIN", answers: o.answers}).start(t)
			err := through(t, s, mail.Server{TLS: mail.StartTLS, CAs: a.pool(), Username: "ada", Password: "secret " + canary}, message("ada@example.com"))
			if err == nil || errors.Is(err, mail.ErrRefused) != o.refused || !strings.Contains(err.Error(), o.say) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "ada@example.com") || strings.Contains(err.Error(), "\n") {
				t.Errorf("it says too much: %v", err)
			}
		})
	}
}

func TestAServerThatHangsIsLeft(t *testing.T) {
	a := newAuthority(t)
	for _, verb := range []string{"EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"} {
		s := (&server{secure: a.good(t), auth: "PLAIN", hang: verb}).start(t)
		began := time.Now()
		err := through(t, s, mail.Server{TLS: mail.StartTLS, CAs: a.pool(), Username: "ada", Password: canary, Within: 300 * time.Millisecond}, message("ada@example.com"))
		if err == nil || time.Since(began) > 5*time.Second || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v after %s", verb, err, time.Since(began))
		}
	}
	var none secret.Text
	if _, err := mail.NewSMTP(mail.Server{Address: "127.0.0.1:25", From: "a@example.com", TLS: "none", Password: none}); err == nil {
		t.Error("there is a policy without TLS")
	}
}
