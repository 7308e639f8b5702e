package signin

import (
	"net/http"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

const (
	pathKeep  = "/signin/keep"
	pathTerms = "/signin/terms"
)

// outstanding checks what whoever has proved who they are must still decide
// before they go on: whether an account that is to be deleted stays, and the
// documents that are in force.
func (g gate) outstanding(at *spot) (lacks bool, err error) {
	if g.f.Pending && g.Desk != nil {
		if at.due = g.f.leaving.due; g.f.leaving.who != at.who {
			at.due, err = g.Desk.Leaving(g.r.Context(), g.re.Name, at.who)
		}
		if err != nil {
			return false, err
		}
		if !at.due.IsZero() {
			at.step = stepKeep
			return true, nil
		}
	}
	if g.Terms == nil {
		return false, nil
	}
	if at.terms, err = g.Terms.Lacking(g.r.Context(), g.re.Name, at.who); err != nil || len(at.terms) == 0 {
		return false, err
	}
	at.step = stepTerms
	return true, nil
}

// Accepted reports whether the owner of a session has accepted all that they
// must.
func (s *Server) Accepted(r *http.Request, one *session.Session) (bool, error) {
	if s.Terms == nil {
		return true, nil
	}
	lacking, err := s.Terms.Lacking(r.Context(), realm.From(r.Context()).Name, one.Principal)
	return err == nil && len(lacking) == 0, err
}

// outstandingPage asks for one of these decisions.
type outstandingPage struct {
	*look.Page
	Form, Flow string
	Client     string
	Who        who
	Due        time.Time // of the deletion
	Documents  []*terms.Version
}

// Shown names the documents of the page, for its form.
func (p outstandingPage) Shown() string {
	ids := make([]string, len(p.Documents))
	for i, v := range p.Documents {
		ids[i] = v.ID
	}
	return strings.Join(ids, " ")
}

// When is the day of the deletion.
func (p outstandingPage) When() string { return p.Due.UTC().Format(p.T("date.exact")) }

// outstandingAt reads the flow of a request that is at a step. Nil: the
// dispatcher has been returned to.
func (s *Server) outstandingAt(w http.ResponseWriter, r *http.Request, f *flow, want step) (*spot, error) {
	if f == nil {
		return nil, noFlow()
	}
	at, err := s.placeOf(r, f)
	if err != nil {
		return nil, err
	}
	if at.step != want {
		return nil, s.next(w, r, f)
	}
	return &at, nil
}

func (s *Server) showOutstanding(want step, name string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		f, err := s.flow(r, r.URL.Query().Get("flow"))
		if err != nil {
			return err
		}
		at, err := s.outstandingAt(w, r, f, want)
		if at == nil || err != nil {
			return err
		}
		known, shown, err := s.who(r, at.who)
		if err != nil {
			return err
		}
		p := outstandingPage{Page: s.page(w, r, f, known.Locale), Flow: f.text, Who: shown, Due: at.due, Documents: at.terms}
		if p.Client, err = s.clientName(r, f); err != nil {
			return err
		}
		p.Title, p.Wide = p.T(name+".title"), want == stepTerms
		p.Form = s.forms.Token(w, r, s.purpose(r, name+" "+f.text+" "+at.who))
		f.allow(w)
		return s.look.Render(w, http.StatusOK, name, p)
	}
}

// decideOutstanding evaluates one of these pages by what it does for a yes. No
// ends the flow, and if there is none yet there is no session either.
func (s *Server) decideOutstanding(want step, name string, yes func(r *http.Request, at *spot, form web.Params) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, f, err := s.form(w, r)
		if err != nil {
			return err
		}
		at, err := s.outstandingAt(w, r, f, want)
		if at == nil || err != nil {
			return err
		}
		if err := s.forms.Check(r, s.purpose(r, name+" "+f.text+" "+at.who), form.Get("form")); err != nil {
			return err
		}
		if form.Get("do") != "yes" {
			f.Denied = true
			return s.saveAndNext(w, r, f)
		}
		if err := yes(r, at, form); err != nil {
			return err
		}
		return s.next(w, r, f)
	}
}

// keepAccount keeps an account that its owner wanted deleted.
func (s *Server) keepAccount(r *http.Request, at *spot, _ web.Params) error {
	by := actor(r)
	by.Kind, by.ID = "person", at.who
	return s.Desk.Stay(r.Context(), by, realm.From(r.Context()).Name, at.who)
}

// acceptTerms accepts what was shown. What came into force meanwhile is asked
// for next.
func (s *Server) acceptTerms(r *http.Request, at *spot, form web.Params) error {
	by := actor(r)
	by.Kind, by.ID = "person", at.who
	return s.Terms.Accept(r.Context(), by, realm.From(r.Context()).Name, strings.Fields(form.Get("terms")))
}
