package signin

import (
	"net/http"
	"net/url"

	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// undoPage lets the holder of the address that an account had before take the
// change back.
type undoPage struct {
	*look.Page
	Form, Token string
	Restored    string
	Passwords   bool // they count, so that a new one is chosen next
}

func (s *Server) askUndo(w http.ResponseWriter, r *http.Request) error {
	link := r.URL.Query().Get("link")
	u, err := s.Desk.OpenUndo(r.Context(), realm.From(r.Context()).Name, link)
	if err != nil {
		return badLink(err)
	}
	p := undoPage{Page: s.page(w, r, nil, u.Person.Locale), Token: link, Restored: u.Restored, Passwords: s.counts(r, kindPassword)}
	p.Title = p.T("undo.title")
	p.Form = s.forms.Token(w, r, s.purpose(r, "undo "+link))
	return s.look.Render(w, http.StatusOK, "undo", p)
}

// undo takes the change back and leads to where a new password is chosen: whoever
// changed the address may know the old one. Where passwords do not count it leads to
// the sign-in.
func (s *Server) undo(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(w, r)
	if err != nil {
		return err
	}
	link := form.Get("link")
	if err := s.forms.Check(r, s.purpose(r, "undo "+link), form.Get("form")); err != nil {
		return err
	}
	re := realm.From(r.Context())
	password, err := s.Desk.UndoChange(r.Context(), actor(r), re.Name, link)
	if err != nil {
		return badLink(err)
	}
	if password == "" {
		web.See(w, re.Path+"/signin")
		return nil
	}
	web.See(w, re.Path+"/set-password?"+url.Values{"link": {string(password)}}.Encode())
	return nil
}
