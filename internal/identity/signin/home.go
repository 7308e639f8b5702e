package signin

import (
	"context"
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// homePage is what the issuer's own address shows: who is signed in, and what
// they have allowed.
type homePage struct {
	*look.Page
	Form     string
	Accounts []choice
	Account  string    // the current one
	Apps     []allowed // what it lets use it
	Waiting  int       // how many requests wait for its owner
}

// allowed is an application that a person lets use their account.
type allowed struct{ ID, Name string }

// maxAllowed bounds how many applications the page lists.
const maxAllowed = 100

func (s *Server) home(w http.ResponseWriter, r *http.Request) error {
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	list, err := s.choices(r, all)
	if err != nil {
		return err
	}
	p := homePage{Page: s.page(w, r, nil, ""), Accounts: list}
	if len(all) > 0 {
		p.Account = all[0].ID
		if p.Apps, err = s.allowed(r.Context(), realm.From(r.Context()).Name, all[0].Principal); err != nil {
			return err
		}
		p.Form = s.forms.Token(w, r, s.purpose(r, "withdraw "+all[0].ID))
		open, err := s.Approvals.OpenFor(r.Context(), realm.From(r.Context()).Name, all[0].Principal)
		if err != nil {
			return err
		}
		p.Waiting = len(open)
	}
	p.Title = p.T("home.title")
	return s.look.Render(w, http.StatusOK, "home", p)
}

// allowed lists the applications that a person consented to.
func (s *Server) allowed(ctx context.Context, realmName, person string) (apps []allowed, err error) {
	consents, _, err := s.Grants.Consents(ctx, realmName, grant.Filter{Principal: person}, maxAllowed)
	for _, c := range consents {
		app := allowed{c.Client, c.Client}
		known, err := s.Clients.ByID(ctx, realmName, c.Client)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		if err == nil {
			app.Name = known.Name
		}
		apps = append(apps, app)
	}
	return apps, err
}

// withdraw ends the current account's consent to an application, and with it
// all that the application got by it.
func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(w, r)
	if err != nil {
		return err
	}
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.ID != form.Get("account") {
			continue
		}
		if err := s.forms.Check(r, s.purpose(r, "withdraw "+a.ID), form.Get("form")); err != nil {
			return err
		}
		if err := s.Grants.RevokeConsent(r.Context(), a.actor(r), realm.From(r.Context()).Name, a.Principal, form.Get("client"), "withdrawn"); err != nil {
			return err
		}
	}
	return s.next(w, r, nil)
}
