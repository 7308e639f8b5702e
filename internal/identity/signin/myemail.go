package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// The pages on which people change their addresses, and take their data along or
// delete their account.
const (
	PathEmail   = "/account/email"
	pathConfirm = "/account/email/confirm"
	PathData    = "/account/data"
	pathLeave   = "/account/delete"
)

// emailPage shows the addresses of a person, and asks for another.
type emailPage struct {
	managePage
	Emails  []principal.Email
	Typed   string
	Sent    bool // a letter is on its way to Typed
	Problem string
	Wrong   string
}

// ChangesEmail reports whether people change their address themselves, which
// takes mail.
func (s *Server) ChangesEmail() bool { return s.Desk != nil && s.Desk.Mail() }

func (s *Server) showEmail(w http.ResponseWriter, r *http.Request) error {
	if !s.ChangesEmail() {
		return life.NotOffered()
	}
	a, err := s.managing(w, r, PathEmail)
	if a == nil || err != nil {
		return err
	}
	return s.renderEmail(w, r, a, http.StatusOK, emailPage{})
}

func (s *Server) renderEmail(w http.ResponseWriter, r *http.Request, a *account, status int, p emailPage) (err error) {
	if p.managePage, err = s.managePage(w, r, a, "email"); err != nil {
		return err
	}
	known, _, err := s.who(r, a.Principal)
	if err != nil {
		return err
	}
	p.Emails, p.Typed = known.Emails, bounded(p.Typed, 320)
	if p.Wrong != "" {
		p.Wrong = p.T("problem.email")
	}
	return s.look.Render(w, status, "email", p)
}

// changeEmail has a letter sent to the address that is to be confirmed. It says
// the same whether or not somebody has it.
func (s *Server) changeEmail(w http.ResponseWriter, r *http.Request, a *account, form web.Params) error {
	p := emailPage{Typed: form.Get("to")}
	var err error
	if form.Get("do") == "verify" {
		err = s.Desk.AskVerify(r.Context(), a.actor(r), nameOf(r), a.Principal, p.Typed)
	} else {
		err = s.Desk.AskChange(r.Context(), a.actor(r), nameOf(r), a.Principal, p.Typed, s.page(w, r, nil, "").Tag())
	}
	if e, ok := asFault(err); ok && e.Fields["email"] != "" {
		p.Wrong = e.Code
		return s.renderEmail(w, r, a, http.StatusUnprocessableEntity, p)
	}
	if status, words, known := s.problem(w, r, nil, err); known {
		p.Problem = words
		return s.renderEmail(w, r, a, status, p)
	}
	if err != nil {
		return err
	}
	p.Sent = true
	return s.renderEmail(w, r, a, http.StatusOK, p)
}

// confirmPage asks whether an address is to be confirmed: programs that look at
// mail open links, and send no forms.
type confirmPage struct {
	*look.Page
	Form, Token string
	Who         who
	life.Confirmation
}

// confirming finds the account of this browser that a link is for. A link that
// is opened where nobody is signed in leads to sign in first: that a person has
// the mailbox and the account is what it shows (LC-04). Nil: led away.
func (s *Server) confirming(w http.ResponseWriter, r *http.Request, link string) (*account, life.Confirmation, error) {
	all, err := s.accounts(r)
	if err != nil {
		return nil, life.Confirmation{}, err
	}
	for i := range all {
		c, err := s.Desk.OpenConfirm(r.Context(), nameOf(r), all[i].Principal, link)
		if err == nil {
			return &all[i], c, nil
		}
		if !fault.Is(err, fault.NotFound) {
			return nil, c, err
		}
	}
	if len(all) > 0 || link == "" {
		return nil, life.Confirmation{}, badLink(fault.New(fault.NotFound, "link_unknown", ""))
	}
	return nil, life.Confirmation{}, s.Begin(w, r, Flow{Return: pathConfirm, Request: link})
}

func (s *Server) askConfirm(w http.ResponseWriter, r *http.Request) error {
	link := r.URL.Query().Get("link")
	if r.URL.Query().Get("flow") != "" {
		f, _, err := s.Resume(w, r)
		if err != nil {
			return err
		}
		p := look.Page{Site: SiteOf(r)}
		web.See(w, p.Link(pathConfirm, "link", f.Request))
		return nil
	}
	a, c, err := s.confirming(w, r, link)
	if a == nil || err != nil {
		return err
	}
	known, shown, err := s.who(r, a.Principal)
	if err != nil {
		return err
	}
	p := confirmPage{Page: s.page(w, r, nil, known.Locale), Token: link, Who: shown, Confirmation: c}
	p.Title = p.T("confirm.title")
	p.Form = s.forms.Token(w, r, s.purpose(r, "confirm "+a.Principal+" "+link))
	return s.look.Render(w, http.StatusOK, "confirm", p)
}

func (s *Server) confirm(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(w, r)
	if err != nil {
		return err
	}
	link := form.Get("link")
	a, _, err := s.confirming(w, r, link)
	if a == nil || err != nil {
		return err
	}
	if err := s.forms.Check(r, s.purpose(r, "confirm "+a.Principal+" "+link), form.Get("form")); err != nil {
		return err
	}
	if err := s.Desk.Confirm(r.Context(), a.actor(r), nameOf(r), a.Principal, link); err != nil {
		return badLink(err)
	}
	p := confirmPage{Page: s.page(w, r, nil, "")}
	p.Title = p.T("confirmed.title")
	return s.look.Render(w, http.StatusOK, "confirmed", p)
}
