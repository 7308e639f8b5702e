package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// linkPage lets the holder of a link choose a password.
type linkPage struct {
	words
	Form, Token string
	Who         who
	Identifier  string // for password managers
	MinLength   int
	Problem     string
	Wrong       map[string]string
}

func (s *Server) askNewPassword(w http.ResponseWriter, r *http.Request) error {
	return s.showLink(w, r, http.StatusOK, linkPage{Token: r.URL.Query().Get("link")})
}

func (s *Server) showLink(w http.ResponseWriter, r *http.Request, status int, p linkPage) error {
	re := realm.From(r.Context())
	known, err := s.Desk.OpenPassword(r.Context(), re.Name, p.Token)
	if err != nil {
		return badLink(err)
	}
	p.Page = s.page(w, r, nil, known.Locale)
	p.Title, p.Who, p.Identifier = p.T("link.title"), person(known), identifierOf(known.Name, known.Email().Address)
	p.MinLength = re.Settings.PasswordMinLength
	p.Form = s.forms.Token(w, r, s.purpose(r, "link "+p.Token))
	return s.look.Render(w, status, "link", p)
}

// setNewPassword uses the link. It signs nobody in (PW-10): whoever holds the
// link still has to show that they know what they chose.
func (s *Server) setNewPassword(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(w, r)
	if err != nil {
		return err
	}
	p := linkPage{Token: form.Get("link")}
	if err := s.forms.Check(r, s.purpose(r, "link "+p.Token), form.Get("form")); err != nil {
		return err
	}
	re := realm.From(r.Context())
	known, err := s.Desk.OpenPassword(r.Context(), re.Name, p.Token)
	if err != nil {
		return badLink(err)
	}
	err = s.Desk.SetPassword(r.Context(), actor(r), re.Name, p.Token, secret.Text(form.Get("password")))
	if e, ok := asFault(err); ok && e.Fields["password"] != "" {
		p.Wrong = map[string]string{"password": s.passwordProblem(w, r, nil, e)}
		return s.showLink(w, r, http.StatusUnprocessableEntity, p)
	}
	if status, words, known := s.problem(w, r, nil, err); known {
		p.Problem = words
		return s.showLink(w, r, status, p)
	}
	if err != nil {
		return badLink(err)
	}
	f := &flow{Flow: Flow{Return: "/", Subject: known.ID, LoginHint: identifierOf(known.Name, known.Email().Address), Reauth: true}, Chose: true}
	if err := s.keep(w, r, f); err != nil {
		return err
	}
	return s.next(w, r, f)
}
