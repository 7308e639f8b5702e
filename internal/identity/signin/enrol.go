package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

// askEnrol shows the page on which a factor is added, or which ones may be.
func (s *Server) askEnrol(w http.ResponseWriter, r *http.Request) error {
	f, err := s.flow(r, r.URL.Query().Get("flow"))
	if err != nil {
		return err
	}
	q, one, err := s.factorAt(w, r, f, stepEnrol, r.URL.Query().Get("by"))
	if err != nil || q == nil {
		return err
	}
	return one.(Enroller).AskEnrol(w, r, q, http.StatusOK, "")
}

// enrol adds a factor.
func (s *Server) enrol(w http.ResponseWriter, r *http.Request) error {
	form, f, err := s.form(w, r)
	if err != nil {
		return err
	}
	q, one, err := s.factorAt(w, r, f, stepEnrol, form.Get("by"))
	if err != nil || q == nil {
		return err
	}
	e := one.(Enroller)
	again := func(err error) error {
		status, words, known := s.problem(w, r, f, err)
		if !known {
			return err
		}
		return e.AskEnrol(w, r, q, status, words)
	}
	if err := s.forms.Check(r, s.factorForm(r, q, e.Kind()), form.Get("form")); err != nil {
		return again(err)
	}
	if turned, err := s.turned(w, r, q, form); turned || err != nil {
		return err
	}
	err = e.Enrol(w, r, q, form)
	if fault.Code(err) == "app_added" { // the page was sent twice, and the other goes on
		return s.next(w, r, f)
	}
	if err != nil {
		return again(err)
	}
	return nil
}

// enrolled goes on after a factor was added. p is the proof that its owner has
// it, if that was shown; first says that codes for recovery are to be offered,
// if there are none yet.
func (s *Server) enrolled(w http.ResponseWriter, r *http.Request, q *question, p *proof, offerCodes bool) error {
	f := q.flow
	f.Draft = ""
	if f.Enrol != "" {
		f.Enrolled = true
	}
	if offerCodes && !q.who.has(credential.Recovery) && s.counts(r, kindRecovery) {
		f.Enrol, f.Enrolled, f.Offered = kindRecovery, false, true
	}
	if p != nil {
		return s.prove(w, r, f, *p)
	}
	return s.saveAndNext(w, r, f)
}
