package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// accountsPage lets one of several accounts in this browser be chosen.
type accountsPage struct {
	*look.Page
	Form, Flow string
	Client     string
	Accounts   []choice
	Full       bool // no further account fits
}

// choice is an account that is signed in with this browser.
type choice struct {
	who
	ID      string
	Current bool
}

// choices shows the browser's accounts, the current one first.
func (s *Server) choices(r *http.Request, all []account) ([]choice, error) {
	var list []choice
	for i, a := range all {
		_, shown, err := s.who(r, a.Principal)
		if err != nil {
			return nil, err
		}
		list = append(list, choice{shown, a.ID, i == 0})
	}
	return list, nil
}

func (s *Server) listAccounts(w http.ResponseWriter, r *http.Request) error {
	f, err := s.flow(r, r.URL.Query().Get("flow"))
	if err != nil {
		return err
	}
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return s.showSignIn(w, r, f, http.StatusOK, signInPage{})
	}
	list, err := s.choices(r, all)
	if err != nil {
		return err
	}
	p := accountsPage{Page: s.page(w, r, f, ""), Flow: f.id(), Accounts: list}
	if p.Client, err = s.clientName(r, f); err != nil {
		return err
	}
	p.Title = p.T("accounts.title")
	p.Form = s.forms.Token(w, r, s.purpose(r, "accounts"))
	f.allow(w)
	return s.look.Render(w, http.StatusOK, "accounts", p)
}

// chooseAccount makes an account the current one, or signs it out.
func (s *Server) chooseAccount(w http.ResponseWriter, r *http.Request) error {
	form, f, err := s.form(w, r)
	if err != nil {
		return err
	}
	if err := s.forms.Check(r, s.purpose(r, "accounts"), form.Get("form")); err != nil {
		return err
	}
	if f != nil && form.Get("do") == "cancel" {
		f.Denied = true
		return s.saveAndNext(w, r, f)
	}
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	id := form.Get("account")
	if form.Get("do") == "signout" {
		frames, err := s.endChosen(w, r, all, id)
		if err != nil {
			return err
		}
		return s.left(w, r, frames, accountsLink(r, f), false)
	}
	for i, a := range all {
		if a.ID != id {
			continue
		}
		first := append([]account{a}, all[:i]...)
		s.setAccounts(w, r, append(first, all[i+1:]...))
		if f == nil {
			return s.next(w, r, nil)
		}
		f.Account, f.Selected, f.Fresh = a.ID, true, f.Fresh && f.Account == a.ID
		if f.Pending {
			f.Proved, f.Pending = nil, false
		}
		return s.saveAndNext(w, r, f)
	}
	return s.backToAccounts(w, r, f) // it ended meanwhile
}

// endChosen signs one of the accounts out and gives the frames that tell the
// applications.
func (s *Server) endChosen(w http.ResponseWriter, r *http.Request, all []account, id string) (frames []string, err error) {
	for _, a := range all {
		if a.ID == id {
			if frames, err = s.frames(r, a.Session); err != nil {
				return nil, err
			}
		}
	}
	return frames, s.end(w, r, all, id)
}

func (s *Server) backToAccounts(w http.ResponseWriter, r *http.Request, f *flow) error {
	web.See(w, accountsLink(r, f))
	return nil
}

func accountsLink(r *http.Request, f *flow) string {
	p := look.Page{Site: look.Site{Path: realm.From(r.Context()).Path}}
	return p.Link("/accounts", "flow", f.id())
}
