package console

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/admin/api"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// visit is a request of an operator whose browser is signed in.
type visit struct {
	*session.Session
	*api.Caller
	person *principal.Principal
}

// visitor is the operator whom a request comes from, nil for a browser that is not
// signed in well enough, and fault.Forbidden for somebody who is no operator.
func (s *Server) visitor(r *http.Request) (*visit, error) {
	current, err := s.Pages.Current(r)
	if current == nil || err != nil {
		return nil, err
	}
	if enough, err := s.Pages.Suffices(r, current, signin.Flow{Return: r.URL.Path}); !enough || err != nil {
		return nil, err
	}
	is, err := s.Pages.Stands(r, current, nil)
	if err != nil {
		return nil, err
	}
	v := &visit{Session: current}
	rl := realm.From(r.Context())
	v.Caller, err = s.API.Visit(r.Context(), api.Visitor{Realm: rl, By: signin.Actor(r, current),
		ACR: is.ACR, AuthTime: current.AuthTime})
	if err != nil {
		return nil, err
	}
	v.person, err = s.People.Cached(r.Context(), rl.Name, current.Principal)
	return v, err
}

// page shows something to an operator, and lets others sign in first.
func (s *Server) page(show func(w http.ResponseWriter, r *http.Request, v *visit) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := s.visitor(r)
		if err != nil {
			return err
		}
		if v == nil {
			return s.signIn(w, r, signin.Flow{})
		}
		return show(w, r, v)
	}
}

// signIn leads whoever is there to the sign-in, from which they come back to this
// page.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, f signin.Flow) error {
	f.Return = r.URL.Path
	current, err := s.Pages.Current(r)
	if err != nil {
		return err
	}
	if current != nil {
		f.Subject = current.Principal
	}
	return s.Pages.Begin(w, r, f)
}

// purpose ties a form to its page and to the operator to whom it was shown, so that
// it is still good after they have signed in again.
func purpose(r *http.Request, principal string) string { return r.URL.Path + " " + principal }

// frame is what all pages share.
type frame struct {
	*look.Page
	Form string
	Who  look.Who
	At   string // the path of the page, for the menu
	Said string // what was just done, in words
	// Wrong is what could not be done. Again is where to sign in for it to be done, in
	// a tab beside this one.
	Wrong, Again string
}

// begin begins a page. v is nil for somebody who is no longer signed in and keeps
// what they wrote.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, v *visit, title string) frame {
	web.Connects(w)
	locale, who := "", look.Who{}
	if v != nil {
		locale, who = v.person.Locale, signin.Person(v.person)
	}
	f := frame{Page: s.look.Page(w, r, signin.SiteOf(r), "", locale), Who: who, At: r.URL.Path}
	f.Title = f.T(title)
	if v != nil {
		f.Form = s.Pages.FormToken(w, r, purpose(r, v.person.ID))
	}
	return f
}

// refused words a refusal on the page, so that what somebody wrote stays. It gives
// the status of the answer, or the error back if there is none to be told.
func (f *frame) refused(r *http.Request, err error) (int, error) {
	e, status := web.Explain(r.Context(), err)
	if status >= 500 {
		return status, err
	}
	f.Wrong = e.Detail
	switch {
	case e.Code == api.CodeStepUp:
		f.Wrong, f.Again = f.T("console.stepup"), f.Link(pathConfirm)
	case f.Has("console.error." + e.Code):
		f.Wrong = f.T("console.error." + e.Code)
	}
	return status, nil
}

// gone is for a form of a browser that is signed in no longer.
func (f *frame) gone() {
	f.Wrong, f.Again = f.T("console.gone"), f.Link(pathAgain)
}

// back tells somebody who has signed in again to go back to the other tab.
func (s *Server) back(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.look.Render(w, http.StatusOK, "back", s.begin(w, r, v, "console.back"))
}

// confirm has an operator sign in as it takes to do what is dangerous.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	set := realm.From(r.Context()).Settings
	f := signin.Flow{ACR: set.OperatorACR, Within: set.OperatorFresh}
	if v == nil {
		return s.signIn(w, r, f)
	}
	is, err := s.Pages.Stands(r, v.Session, nil)
	if err != nil {
		return err
	}
	old := v.Session.AuthTime.IsZero() || s.DB.Now().Sub(v.Session.AuthTime) > set.OperatorFresh
	if old || !token.Meets(is.ACR, set.OperatorACR) {
		f.Reauth = old
		return s.signIn(w, r, f)
	}
	return s.back(w, r, v)
}

// admitted reads a form of an operator; of others it reads no more than every page
// does. Without a visit the browser is signed in no longer, and the form only holds
// what is to be kept; with again the form was not for this browser or operator, or is
// too old, and nothing may be done with it but to show it.
func (s *Server) admitted(w http.ResponseWriter, r *http.Request, repeatable ...string) (v *visit, form web.Params, again bool, err error) {
	v, err = s.visitor(r)
	read := web.LargeForm
	if v == nil || err != nil {
		read = web.Form
	}
	form, wrong := read(w, r, repeatable...)
	if wrong != nil {
		return nil, form, false, wrong
	}
	if v == nil || err != nil {
		return nil, form, false, err
	}
	err = s.Pages.CheckForm(r, purpose(r, v.person.ID), form.Get("form"))
	if fault.Is(err, fault.Forbidden) {
		return v, form, true, nil
	}
	return v, form, false, err
}

// section is an entry of the menu.
type section struct {
	Path, Key string
	Current   bool
}

// Menu lists the pages.
func (f frame) Menu() []section {
	return []section{{pathPlayground, "console.playground", f.At == pathPlayground}, {pathRoles, "console.roles", f.At == pathRoles}}
}
