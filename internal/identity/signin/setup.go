package signin

import (
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// setupPage lets the holder of a set-up link become the first administrator.
type setupPage struct {
	words
	Form, Token           string
	Name, Username, Email string
	MinLength             int
	Problem               string
	Wrong                 map[string]string // by field
}

// Focus is the field to begin with.
func (p setupPage) Focus() string { return focus(p.Wrong, "name", "email", "username", "password") }

func (s *Server) askSetup(w http.ResponseWriter, r *http.Request) error {
	link := r.URL.Query().Get("link")
	if err := s.SetUp.SetupOpen(r.Context(), realm.From(r.Context()).Name, link); err != nil {
		return badLink(err)
	}
	return s.showSetup(w, r, http.StatusOK, setupPage{Token: link})
}

// badLink is for people who hold a link that is over, whatever made it so.
func badLink(err error) error {
	if nobody(err) || fault.Is(err, fault.Invalid) {
		return fault.New(fault.NotFound, "link_unknown", "this link is not good, or no longer")
	}
	return err
}

func (s *Server) showSetup(w http.ResponseWriter, r *http.Request, status int, p setupPage) error {
	p.Page = s.page(w, r, nil, "")
	p.Title, p.Wide = p.T("setup.title"), true
	p.MinLength = realm.From(r.Context()).Settings.PasswordMinLength
	p.Form = s.forms.Token(w, r, s.purpose(r, "setup "+p.Token))
	return s.look.Render(w, status, "setup", p)
}

func (s *Server) doSetup(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(w, r)
	if err != nil {
		return err
	}
	p := setupPage{Token: form.Get("link"), Name: form.Get("name"), Username: form.Get("username"), Email: form.Get("email")}
	if err := s.forms.Check(r, s.purpose(r, "setup "+p.Token), form.Get("form")); err != nil {
		return err
	}
	re := realm.From(r.Context())
	first, err := s.SetUp.Setup(r.Context(), actor(r), re.Name, p.Token,
		FirstPerson{Name: p.Name, Username: p.Username, Email: p.Email, Password: secret.Text(form.Get("password"))})
	if e, ok := asFault(err); ok && (e.Kind == fault.Invalid || e.Kind == fault.Conflict) && len(e.Fields) > 0 {
		p.Wrong = s.fieldProblems(w, r, e)
		return s.showSetup(w, r, http.StatusUnprocessableEntity, p)
	}
	if status, words, known := s.problem(w, r, nil, err); known {
		p.Problem = words
		return s.showSetup(w, r, status, p)
	}
	if err != nil {
		return badLink(err)
	}
	return s.afterSetup(w, r, first, identifierOf(strings.TrimSpace(p.Username), strings.TrimSpace(p.Email)))
}

// afterSetup leads the first administrator to sign in, whoever else is signed in
// with this browser, and then to a passkey, which can be put off: whoever may do
// everything should not hang on a password.
func (s *Server) afterSetup(w http.ResponseWriter, r *http.Request, first, identifier string) error {
	offers, err := s.offersPasskey(r, nil)
	if err != nil {
		return err
	}
	f := &flow{Flow: Flow{Return: "/", Subject: first, LoginHint: identifier}, Chose: true}
	if offers {
		f.Enrol, f.Offered = kindPasskey, true
	}
	if err := s.keep(w, r, f); err != nil {
		return err
	}
	return s.next(w, r, f)
}

// fieldProblems puts into words what is wrong with which field.
func (s *Server) fieldProblems(w http.ResponseWriter, r *http.Request, e *fault.Error) map[string]string {
	l := s.page(w, r, nil, "")
	wrong := map[string]string{}
	for field := range e.Fields {
		switch field {
		case "password":
			wrong[field] = s.passwordProblem(w, r, nil, e)
		case "name", "username", "email":
			wrong[field] = l.T("problem." + field)
			if e.Kind == fault.Conflict {
				wrong[field] = l.T("problem.taken")
			}
		default:
			wrong["name"] = l.T("problem.name")
		}
	}
	return wrong
}
