package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// letterPage asks for an address or a name to write to, and then says that a
// letter is on its way, whether or not there is anybody to get one.
type letterPage struct {
	*look.Page
	Form, Flow string
	Kind       string // forgot or register: which words, and where to
	Typed      string
	Sent       bool
	Problem    string
	Wrong      string // with what was typed
}

// asksLetter is a page that has a letter sent to whoever is named.
type asksLetter struct {
	kind    string
	offered func(s *Server, re *realm.Realm) bool
	ask     func(s *Server, r *http.Request, typed, locale string, f *flow) error
}

func forgotPage() asksLetter {
	return asksLetter{"forgot",
		func(s *Server, re *realm.Realm) bool { return s.Desk.OffersReset(re) },
		func(s *Server, r *http.Request, typed, locale string, _ *flow) error {
			return s.Desk.Forgot(r.Context(), actor(r), realm.From(r.Context()), typed, locale, mark(r))
		}}
}

func registerPage() asksLetter {
	return asksLetter{"register",
		func(s *Server, re *realm.Realm) bool { return s.Desk.Registers(re) },
		func(s *Server, r *http.Request, typed, locale string, f *flow) error {
			return s.Desk.Register(r.Context(), actor(r), realm.From(r.Context()), typed, locale, f.id())
		}}
}

// show is the page before anything was typed.
func (a asksLetter) show(s *Server) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !a.offered(s, realm.From(r.Context())) {
			return life.NotOffered()
		}
		f, err := s.flow(r, r.URL.Query().Get("flow"))
		if err != nil {
			return err
		}
		return a.render(s, w, r, f, http.StatusOK, letterPage{})
	}
}

// send has the letter written. The answer is the same for everybody (PW-09).
func (a asksLetter) send(s *Server) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, f, err := s.form(w, r)
		if err != nil {
			return err
		}
		if !a.offered(s, realm.From(r.Context())) {
			return life.NotOffered()
		}
		p := letterPage{Typed: form.Get("to")}
		if err = s.forms.Check(r, s.purpose(r, a.kind), form.Get("form")); err == nil {
			err = a.ask(s, r, p.Typed, s.page(w, r, f, "").Tag(), f)
		}
		if e, ok := asFault(err); ok && e.Fields["email"] != "" {
			p.Wrong = e.Code
			return a.render(s, w, r, f, http.StatusUnprocessableEntity, p)
		}
		if status, words, known := s.problem(w, r, f, err); known {
			p.Problem = words
			return a.render(s, w, r, f, status, p)
		}
		if err != nil {
			return err
		}
		p.Sent = true
		return a.render(s, w, r, f, http.StatusOK, p)
	}
}

func (a asksLetter) render(s *Server, w http.ResponseWriter, r *http.Request, f *flow, status int, p letterPage) error {
	p.Page = s.page(w, r, f, "")
	p.Kind, p.Flow, p.Typed, p.Title = a.kind, f.id(), bounded(p.Typed, 320), p.T(a.kind+".title")
	if p.Typed == "" && f != nil {
		p.Typed = bounded(f.LoginHint, 320)
	}
	if p.Wrong != "" {
		if key := "problem." + p.Wrong; p.Has(key) {
			p.Wrong = p.T(key)
		} else {
			p.Wrong = p.T("problem.email")
		}
	}
	if p.Sent {
		p.Title = p.T("sent.title")
	}
	p.Form = s.forms.Token(w, r, s.purpose(r, a.kind))
	f.allow(w)
	return s.look.Render(w, status, "letter", p)
}
