package signin

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// A code by mail stands in for a password, for those who have nothing stronger
// (MF-10): it reaches the first level and never more, and whoever has a second
// factor cannot get past it by their mailbox. The code is good in the browser
// that asked for it, for minutes, for a few tries, once.
//
// Whoever asks is told the same, at the same time, whether or not there is an
// account: nothing is looked up while they wait. A job does that.
//
// The same code shows that a sign-in which looks wrong is its owner's, where they
// have no factor for that (see gate.risky).
const (
	kindEmail    = string(credential.Mailbox)
	pathMailCode = "/signin/code"
	pathMailLink = "/signin/code/link"

	mailPurpose = once.Purpose("signin_mail")
	mailPrefix  = "cdm_"
	mailLife    = 10 * time.Minute
	mailTries   = 5
	mailDigits  = 8 // 26 bits; SP 800-63B-4, section 3.1.3.1 wants 20

	// KindMailCode is the kind of the jobs that answer who asked for a code.
	KindMailCode = "signin-code"
	// RateMail is the rate class of asking for letters.
	RateMail = "mail"
)

// mailCode is a code that was asked for, as it is kept.
type mailCode struct {
	Hash    []byte `json:"hash"`
	Tries   int    `json:"tries"`
	Typed   string `json:"typed"`             // the hash of the identifier
	Person  string `json:"person,omitempty"`  // to whom the letter went; "" where none did
	Address string `json:"address,omitempty"` // at which address
}

// mailAsked is what the job needs.
type mailAsked struct {
	Handle     string      `json:"handle"`
	Binding    string      `json:"binding"`
	Flow       string      `json:"flow"`
	Code       string      `json:"code"`
	Identifier string      `json:"identifier"`
	Locale     string      `json:"locale"`
	Until      time.Time   `json:"until"`
	By         audit.Actor `json:"by"`
	Mark       string      `json:"mark"` // the hash of the browser's
}

// offersMail reports whether people can sign in by a code in the realm.
func (s *Server) offersMail(r *http.Request) bool {
	re := realm.From(r.Context())
	return s.Jobs != nil && s.Letters != nil && s.Letters.Ready() && re.Settings.EmailSignIn == "on" && re.Settings.AllowsFactor(kindEmail)
}

// askMail has a code sent to whomever the identifier names, and goes to the page
// that asks for it.
func (s *Server) askMail(w http.ResponseWriter, r *http.Request, f *flow, identifier string) error {
	if strings.TrimSpace(identifier) == "" {
		return fault.New(fault.Invalid, "identifier_missing", "nobody is named")
	}
	if s.Limiter != nil {
		if wait, ok := s.Limiter.AllowAddr(RateMail, web.ClientIP(r.Context())); !ok {
			return fault.New(fault.TooMany, "too_many_requests", "too many codes are asked for from your network").WithRetry(wait)
		}
	}
	if f == nil {
		f = &flow{Flow: Flow{Return: "/"}, Started: s.DB.Now()}
	}
	handle, code := secret.New(mailPrefix), newMailCode()
	identifier = bounded(strings.TrimSpace(identifier), 320)
	binding := once.Bind(s.forms.Mark(w, r))
	kept, err := json.Marshal(mailCode{Hash: mailHash(string(handle), code), Typed: "?" + once.Bind(principal.Canonical(identifier))})
	if err != nil {
		return err
	}
	f.Mail, f.MailTo = string(handle), identifier
	if err := s.keep(w, r, f); err != nil {
		return err
	}
	asked := mailAsked{Handle: string(handle), Binding: binding, Flow: f.text, Code: code, Identifier: identifier, Locale: s.page(w, r, f, "").Tag(), By: actor(r), Mark: credential.BrowserHash(mark(r))}
	err = s.DB.UpdateRC(r.Context(), realm.From(r.Context()).Name, func(tx *db.Tx) error {
		asked.Until = tx.Now.Add(mailLife)
		payload, err := json.Marshal(asked)
		if err != nil {
			return err
		}
		if err := s.Once.Put(tx, handle, once.Value{Purpose: mailPurpose, Binding: binding, Payload: kept, Expires: asked.Until}); err != nil {
			return err
		}
		_, err = s.Jobs.AddTx(tx, job.Promise{Kind: KindMailCode, Payload: payload})
		return err
	})
	if err != nil {
		return err
	}
	web.See(w, realm.From(r.Context()).Path+pathMailCode+"?"+url.Values{"flow": {f.text}}.Encode())
	return nil
}

func newMailCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return fmt.Sprintf("%0*d", mailDigits, n)
}

// mailHash is how a code is kept: it is guessed only by who has the handle, which
// is a secret of its own.
func mailHash(handle, code string) []byte { return secret.Derive([]byte(handle), "mail code", code) }

// typedCode is what of a typed code counts.
func typedCode(s string) string {
	return strings.Map(func(c rune) rune {
		if c == ' ' || c == '-' || c == '\t' || c == '\u00a0' {
			return -1
		}
		return c
	}, bounded(s, 64))
}

// sendMail answers who asked for a code: it writes to whoever has an account with
// a proved address, and notes to whom. It is a job.
func (s *Server) sendMail(ctx context.Context, j *job.Job) error {
	var a mailAsked
	if err := json.Unmarshal(j.Payload, &a); err != nil {
		return job.Never(errors.New("the request cannot be read"))
	}
	return s.DB.Update(ctx, j.Realm, func(tx *db.Tx) error {
		use := once.Use{Purpose: mailPurpose, Binding: a.Binding}
		v, outcome, err := s.Once.Peek(tx, a.Handle, use)
		if err != nil || outcome != once.OK {
			return err
		}
		p, stronger, err := mailable(tx, s, a.Identifier)
		if err != nil || p == nil {
			return err
		}
		n := letter.Letter{Kind: "link", Principal: p.ID, To: p.Email().Address, Locale: cmp.Or(p.Locale, a.Locale), Data: map[string]string{"device": a.By.UserAgent, "place": a.By.IP}}
		asker, err := credential.KnownBrowserTx(tx, p.ID, a.Mark)
		if err != nil {
			return err
		}
		if stronger {
			n.Kind = "code_not_enough"
			_, err := s.Letters.SendAskedTx(tx, n, asker)
			return err
		}
		n.Code, n.Life = a.Code[:4]+" "+a.Code[4:], a.Until.Sub(tx.Now)
		n.Link = pathMailLink + "?" + url.Values{"code": {a.Code}, "flow": {a.Flow}}.Encode()
		sent, err := s.Letters.SendAskedTx(tx, n, asker)
		if err != nil || !sent {
			return err
		}
		var kept mailCode
		if err := json.Unmarshal(v.Payload, &kept); err != nil {
			return err
		}
		kept.Person, kept.Address = p.ID, p.Email().Address
		payload, err := json.Marshal(kept)
		if err != nil {
			return err
		}
		saved, err := s.Once.Amend(tx, a.Handle, use, v.Version, payload)
		if err == nil && !saved {
			err = errors.New("somebody tried a code meanwhile")
		}
		return err
	})
}

// mailable finds whom a code can be sent to, nil for nobody, and whether they
// have something stronger, which a mailbox must not get around.
func mailable(tx *db.Tx, s *Server, identifier string) (p *principal.Principal, stronger bool, err error) {
	p, err = principal.ByIdentifierTx(tx, identifier)
	if err == nil {
		_, err = principal.LiveTx(tx, p.ID)
	}
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return nil, false, nil
	}
	if err != nil || p.Kind != principal.Person || !p.Email().Verified {
		return nil, false, err
	}
	all, err := credential.LivingTx(tx, p.ID)
	if err != nil {
		return nil, false, err
	}
	h := &holder{p, all}
	return p, slices.ContainsFunc(s.factors, func(one Factor) bool { return !below(one.Reach(h), token.AAL2) }), nil
}

// mailPage asks for the code.
type mailPage struct {
	words
	Form, Flow string
	Client     string
	To         string // as it was typed
	Known      bool   // whose mailbox it is: they proved something before
	Code       string // from the link, in the browser that asked
	Problem    string
	Busy       bool
	Cancel     bool
}

// Invalid reports whether the field is what is wrong.
func (p mailPage) Invalid() bool { return p.Problem != "" && !p.Busy }

// mailAt is the flow of a request in which a code was asked for, nil when the
// dispatcher has been returned to.
func (s *Server) mailAt(w http.ResponseWriter, r *http.Request, f *flow) (*flow, error) {
	if f == nil {
		return nil, noFlow()
	}
	if f.Mail == "" || f.Denied {
		return nil, s.next(w, r, f)
	}
	return f, nil
}

func (s *Server) askMailCode(w http.ResponseWriter, r *http.Request) error {
	f, err := s.flow(r, r.URL.Query().Get("flow"))
	if err != nil {
		return err
	}
	if f, err = s.mailAt(w, r, f); err != nil || f == nil {
		return err
	}
	return s.showMailCode(w, r, f, http.StatusOK, mailPage{})
}

func (s *Server) showMailCode(w http.ResponseWriter, r *http.Request, f *flow, status int, p mailPage) (err error) {
	if p.Client, err = s.clientName(r, f); err != nil {
		return err
	}
	p.Page = s.page(w, r, f, "")
	p.Title, p.Flow, p.To, p.Cancel = p.T("mailcode.title"), f.text, f.MailTo, f.turnsBack()
	p.Known = f.Pending
	p.Form = s.forms.Token(w, r, s.purpose(r, "mailcode "+f.Mail))
	f.allow(w)
	return s.look.Render(w, status, "mailcode", p)
}

// checkMailCode evaluates a code.
func (s *Server) checkMailCode(w http.ResponseWriter, r *http.Request) error {
	form, f, err := s.form(w, r)
	if err != nil {
		return err
	}
	if f, err = s.mailAt(w, r, f); err != nil || f == nil {
		return err
	}
	again := func(err error) error {
		status, words, known := s.problem(w, r, f, err)
		if !known {
			return err
		}
		return s.showMailCode(w, r, f, status, mailPage{Problem: words, Busy: status == http.StatusTooManyRequests || status == http.StatusForbidden})
	}
	if err := s.forms.Check(r, s.purpose(r, "mailcode "+f.Mail), form.Get("form")); err != nil {
		return again(err)
	}
	switch form.Get("do") {
	case "cancel":
		f.Denied = true
		return s.saveAndNext(w, r, f)
	case "again":
		if err := s.askMail(w, r, f, f.MailTo); err != nil {
			return again(err)
		}
		return nil
	}
	p, err := s.proveMail(r, f, typedCode(form.Get("code")))
	if err != nil {
		return again(err)
	}
	f.Mail, f.MailTo = "", ""
	return s.prove(w, r, f, *p)
}

// proveMail is the proof of a right code. Each try is counted before it is
// evaluated: against the code, and against the account with those at its other
// factors.
func (s *Server) proveMail(r *http.Request, f *flow, code string) (*proof, error) {
	kept, err := s.tryMail(r, f)
	if err != nil {
		return nil, err
	}
	right := func() (bool, error) {
		return secret.Equal(kept.Hash, mailHash(f.Mail, code)) && kept.Person != "", nil
	}
	re := realm.From(r.Context())
	result, err := s.Factors.GuessTyped(r.Context(), actor(r), re.Name, kept.Typed, kept.Person, kindEmail, mark(r), right)
	switch {
	case err != nil:
		return nil, err
	case result.Outcome == credential.Limited:
		return nil, fault.New(fault.TooMany, "guess_limit", "too many attempts").WithRetry(result.RetryAfter)
	case result.Outcome != credential.Right:
		return nil, wrongMail()
	}
	var p *proof
	err = s.DB.Update(r.Context(), re.Name, func(tx *db.Tx) error {
		_, outcome, err := s.Once.Consume(tx, f.Mail, s.mailUse(r))
		if err != nil {
			return err
		}
		who, stronger, err := mailable(tx, s, kept.Address)
		if err != nil {
			return err
		}
		// What held when the letter was written must hold still.
		if outcome != once.OK || who == nil || stronger || who.ID != kept.Person || who.Email().Address != kept.Address {
			return wrongMail()
		}
		by := actor(r)
		by.Kind, by.ID = "person", who.ID
		c, err := credential.MailboxTx(tx, by, who.ID, kept.Address)
		p = &proof{Principal: who.ID, Credential: c.ID, Kind: kindEmail, At: tx.Now, AMR: []string{"otp"}, Alone: token.AAL1}
		return err
	})
	return p, err
}

// tryMail counts a try at the code of a flow, and reads it.
func (s *Server) tryMail(r *http.Request, f *flow) (kept mailCode, err error) {
	err = s.DB.UpdateRC(r.Context(), realm.From(r.Context()).Name, func(tx *db.Tx) error {
		v, outcome, err := s.Once.Peek(tx, f.Mail, s.mailUse(r))
		if err != nil {
			return err
		}
		kept = mailCode{}
		if outcome != once.OK {
			return wrongMail()
		}
		if err := json.Unmarshal(v.Payload, &kept); err != nil {
			return err
		}
		if kept.Tries >= mailTries {
			return wrongMail()
		}
		kept.Tries++
		payload, err := json.Marshal(kept)
		if err != nil {
			return err
		}
		saved, err := s.Once.Amend(tx, f.Mail, s.mailUse(r), v.Version, payload)
		if err == nil && !saved { // another try was faster: this one was not counted, so it is none
			err = fault.New(fault.TooMany, "too_many_requests", "two tries at once")
		}
		return err
	})
	return kept, err
}

func (s *Server) mailUse(r *http.Request) once.Use {
	return once.Use{Purpose: mailPurpose, Binding: once.Bind(s.forms.Browser(r))}
}

func wrongMail() error {
	return fault.New(fault.Unauthenticated, "mail_code_wrong", "that is not the code, or it is not good any more")
}

// openMailLink is where the link in the letter leads: in the browser that asked,
// to the button that signs in; anywhere else it shows the code, to be typed in
// where it was asked for. It uses nothing up: programs open links too.
func (s *Server) openMailLink(w http.ResponseWriter, r *http.Request) error {
	code := typedCode(r.URL.Query().Get("code"))
	if len(code) != mailDigits || strings.Trim(code, "0123456789") != "" {
		return fault.New(fault.NotFound, "link_unknown", "this link was used, has expired or is outdated by a newer one")
	}
	p := mailPage{Code: code[:4] + " " + code[4:]}
	f, err := s.flow(r, r.URL.Query().Get("flow"))
	if fault.Is(err, fault.NotFound) {
		p.Page = s.page(w, r, nil, "")
		p.Title = p.T("mailcode.elsewhere.title")
		return s.look.Render(w, http.StatusOK, "mailcode_elsewhere", p)
	}
	if err != nil {
		return err
	}
	if f, err = s.mailAt(w, r, f); err != nil || f == nil {
		return err
	}
	return s.showMailCode(w, r, f, http.StatusOK, p)
}
