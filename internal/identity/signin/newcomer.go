package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// newcomerPage lets the holder of a link that was sent to an address make an
// account for it.
type newcomerPage struct {
	words
	Form, Flow, Token string
	Kind              string // register or invitation: which words, and where to
	Address           string
	Name              string
	Passwords         bool // they count, and one is chosen
	MinLength         int
	Problem           string
	Wrong             map[string]string
}

// Focus is the field to begin with.
func (p newcomerPage) Focus() string { return focus(p.Wrong, "name", "password") }

// welcomes is a page on which a newcomer makes an account.
type welcomes struct {
	kind, path string
	open       func(s *Server, r *http.Request, link string) (life.Newcomer, error)
	make       func(s *Server, r *http.Request, link string, c life.Account) error
}

func finishPage() welcomes {
	return welcomes{"register", "/register/finish",
		func(s *Server, r *http.Request, link string) (life.Newcomer, error) {
			return s.Desk.OpenRegister(r.Context(), realm.From(r.Context()), link)
		},
		func(s *Server, r *http.Request, link string, c life.Account) error {
			_, err := s.Desk.FinishRegister(r.Context(), actor(r), realm.From(r.Context()), link, c)
			return err
		}}
}

func invitationPage() welcomes {
	return welcomes{"invitation", "/invitation",
		func(s *Server, r *http.Request, link string) (life.Newcomer, error) {
			return s.Desk.OpenInvitation(r.Context(), realm.From(r.Context()).Name, link)
		},
		func(s *Server, r *http.Request, link string, c life.Account) error {
			_, err := s.Desk.Accept(r.Context(), actor(r), realm.From(r.Context()), link, c)
			return err
		}}
}

func (n welcomes) show(s *Server) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return n.render(s, w, r, s.flowIfOpen(r, r.URL.Query().Get("flow")), http.StatusOK, newcomerPage{Token: r.URL.Query().Get("link")}, true)
	}
}

// flowIfOpen is the flow in which somebody asked for a link, if they open it in
// the same browser and in time. A link works anywhere.
func (s *Server) flowIfOpen(r *http.Request, text string) *flow {
	f, err := s.flow(r, text)
	if err != nil {
		return nil
	}
	return f
}

func (n welcomes) render(s *Server, w http.ResponseWriter, r *http.Request, f *flow, status int, p newcomerPage, first bool) error {
	who, err := n.open(s, r, p.Token)
	if err != nil {
		return badInvitation(err)
	}
	if first {
		p.Name = who.Name
	}
	p.Page = s.page(w, r, f, who.Locale)
	p.Kind, p.Address, p.Flow, p.Title, p.Wide = n.kind, who.Address, f.id(), p.T("newcomer.title"), true
	p.Passwords, p.MinLength = s.counts(r, kindPassword), realm.From(r.Context()).Settings.PasswordMinLength
	p.Form = s.forms.Token(w, r, s.purpose(r, n.kind+" "+p.Token))
	f.allow(w)
	return s.look.Render(w, status, "newcomer", p)
}

// badInvitation is badLink that lets whoever has an account, or is to wait, know.
func badInvitation(err error) error {
	if code := fault.Code(err); code == "invitation_taken" || code == "newcomers_excluded" {
		return err
	}
	return badLink(err)
}

// finish makes the account. It signs nobody in: what was chosen is asked for at
// the gate, like any sign-in.
func (n welcomes) finish(s *Server) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := web.Form(w, r)
		if err != nil {
			return err
		}
		f := s.flowIfOpen(r, form.Get("flow"))
		p := newcomerPage{Token: form.Get("link"), Name: form.Get("name")}
		if err := s.forms.Check(r, s.purpose(r, n.kind+" "+p.Token), form.Get("form")); err != nil {
			return err
		}
		who, err := n.open(s, r, p.Token)
		if err == nil {
			err = n.make(s, r, p.Token, life.Account{Name: p.Name, Password: secret.Text(form.Get("password"))})
		}
		if e, ok := asFault(err); ok && e.Kind == fault.Invalid && len(e.Fields) > 0 {
			p.Wrong = s.fieldProblems(w, r, e)
			return n.render(s, w, r, f, http.StatusUnprocessableEntity, p, false)
		}
		if status, words, known := s.problem(w, r, f, err); known {
			p.Problem = words
			return n.render(s, w, r, f, status, p, false)
		}
		if err != nil {
			return badInvitation(err)
		}
		if f == nil {
			if err := s.Admit(r); err != nil {
				return err
			}
			f = &flow{Flow: Flow{Return: "/"}}
		}
		f.LoginHint, f.Chose = who.Address, s.counts(r, kindPassword)
		if err := s.keep(w, r, f); err != nil {
			return err
		}
		return s.next(w, r, f)
	}
}
