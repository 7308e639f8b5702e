package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// managing is the current account, if its owner has just proved who they are as
// well as it takes to change factors (MF-09). Nil: they were led to do so, and
// come back to path.
func (s *Server) managing(w http.ResponseWriter, r *http.Request, path string) (*account, error) {
	all, err := s.accounts(r)
	if err != nil {
		return nil, err
	}
	if len(all) > 0 {
		enough, err := s.Suffices(r, all[0].Session, Flow{Manage: true})
		if err != nil {
			return nil, err
		}
		if enough {
			return &all[0], nil
		}
	}
	f := Flow{Return: path, Manage: true}
	if len(all) > 0 {
		f.Subject = all[0].Principal
	}
	return nil, s.Begin(w, r, f)
}

// manage is a form that a person changes their account with. change is what it
// does; after it the browser goes to where it says.
func (s *Server) manage(path, name string, change func(w http.ResponseWriter, r *http.Request, a *account, form web.Params) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := web.Form(w, r)
		if err != nil {
			return err
		}
		a, err := s.managing(w, r, path)
		if a == nil || err != nil {
			return err
		}
		if err := s.forms.Check(r, s.purpose(r, name+" "+a.Principal), form.Get("form")); err != nil {
			return err
		}
		return change(w, r, a, form)
	}
}

// managePage is what such pages share.
type managePage struct {
	*look.Page
	Form string
	Who  who
}

func (s *Server) managePage(w http.ResponseWriter, r *http.Request, a *account, name string) (managePage, error) {
	known, shown, err := s.who(r, a.Principal)
	if err != nil {
		return managePage{}, err
	}
	p := managePage{Page: s.page(w, r, nil, known.Locale), Who: shown}
	p.Title = p.T(name + ".title")
	p.Form = s.forms.Token(w, r, s.purpose(r, name+" "+a.Principal))
	return p, nil
}

// nameOf is the name of the realm of a request.
func nameOf(r *http.Request) string { return realm.From(r.Context()).Name }
