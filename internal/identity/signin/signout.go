package signin

import (
	"net/http"
	"net/url"

	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// SignOut is a wish to sign out that came from an application.
type SignOut struct {
	Client     string // client id, for its name; "" if it is not known
	PostLogout string // where to go afterwards, checked by the caller; "" stays here
	State      string // handed to PostLogout
}

// signOutPage asks whether to sign out, here or everywhere.
type signOutPage struct {
	*look.Page
	Form          string
	Who           who
	Account       string
	Client        string
	Target, State string
}

// signedOutPage says that it is done.
type signedOutPage struct {
	*look.Page
	Others bool
}

// ConfirmSignOut asks the person at this browser whether they want to sign
// out. When nobody is signed in there is nothing to ask.
func (s *Server) ConfirmSignOut(w http.ResponseWriter, r *http.Request, o SignOut) error {
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		web.See(w, o.target(realm.From(r.Context())))
		return nil
	}
	known, shown, err := s.who(r, all[0].Principal)
	if err != nil {
		return err
	}
	p := signOutPage{Page: s.page(w, r, nil, known.Locale), Who: shown, Account: all[0].ID, Target: o.PostLogout, State: o.State}
	if p.Client, err = s.clientName(r, &flow{Flow: Flow{Client: o.Client}}); err != nil {
		return err
	}
	p.Title = p.T("signout.title")
	// The token covers the target: what comes back with the form is what the
	// caller has checked.
	p.Form = s.forms.Token(w, r, s.purpose(r, o.purpose(all[0].Session)))
	allow(w, o.PostLogout)
	return s.look.Render(w, http.StatusOK, "signout", p)
}

func (o SignOut) purpose(e *session.Session) string {
	return "signout " + url.Values{"to": {o.PostLogout}, "state": {o.State}, "account": {e.ID}}.Encode()
}

// target is where the browser goes when it is done.
func (o SignOut) target(re *realm.Realm) string {
	if o.PostLogout == "" {
		return re.Path + "/signedout"
	}
	u, err := url.Parse(o.PostLogout)
	if err != nil || o.State == "" {
		return o.PostLogout
	}
	q := u.Query()
	q.Set("state", o.State)
	u.RawQuery = q.Encode()
	return u.String()
}

func (s *Server) askSignOut(w http.ResponseWriter, r *http.Request) error {
	return s.ConfirmSignOut(w, r, SignOut{})
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(w, r)
	if err != nil {
		return err
	}
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	re := realm.From(r.Context())
	o := SignOut{PostLogout: form.Get("target"), State: form.Get("state")}
	for _, a := range all {
		if a.ID != form.Get("account") {
			continue
		}
		if err := s.forms.Check(r, s.purpose(r, o.purpose(a.Session)), form.Get("form")); err != nil {
			return err
		}
		if form.Get("do") == "cancel" {
			return s.next(w, r, nil)
		}
		frames, err := s.frames(r, a.Session)
		if err != nil {
			return err
		}
		if form.Get("do") == "everywhere" {
			if err := s.Grants.SignOutEverywhere(r.Context(), a.actor(r), re.Name, a.Principal, "sign_out_everywhere"); err != nil {
				return err
			}
		}
		if err := s.end(w, r, all, a.ID); err != nil {
			return err
		}
		return s.left(w, r, frames, o.target(re), o.PostLogout != "")
	}
	// Nobody is signed in any more, so nothing vouches for the target.
	web.See(w, SignOut{}.target(re))
	return nil
}

func (s *Server) signedOut(w http.ResponseWriter, r *http.Request) error {
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	p := signedOutPage{Page: s.page(w, r, nil, ""), Others: len(all) > 0}
	p.Title = p.T("signedout.title")
	return s.look.Render(w, http.StatusOK, "signedout", p)
}
