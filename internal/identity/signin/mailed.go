package signin

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/token"
)

// pathMailed is where a code is sent to somebody whose sign-in looks wrong, and
// who has no factor to show that it is them.
const pathMailed = "/signin/mailed"

// mailedHelps reports whether the owner of a sign-in that looks wrong can show by
// their mailbox that it is them: beside another proof, and where there is nothing
// stronger, as wherever a code by mail counts (MF-10).
func (g gate) mailedHelps(h *holder) bool {
	return g.Jobs != nil && g.Letters != nil && g.Letters.Ready() && g.allows(nil, kindEmail) && h.Email().Verified &&
		!slices.ContainsFunc(g.f.Proved, func(p proof) bool { return p.Kind == kindEmail }) &&
		!slices.ContainsFunc(g.factors, func(one Factor) bool { return !below(one.Reach(h), token.AAL2) })
}

// mailedPage asks before a code is sent.
type mailedPage struct {
	words
	Form, Flow string
	Client     string
	Who        who
	To         string
	Problem    string
	Cancel     bool
}

// mailedAt is the flow of a request that is at this step, nil when the dispatcher
// has been returned to.
func (s *Server) mailedAt(w http.ResponseWriter, r *http.Request, f *flow) (*flow, *holder, error) {
	if f == nil {
		return nil, nil, noFlow()
	}
	at, err := s.placeOf(r, f)
	if err != nil {
		return nil, nil, err
	}
	if at.step != stepMailed {
		return nil, nil, s.next(w, r, f)
	}
	return f, at.held, nil
}

func (s *Server) askMailed(w http.ResponseWriter, r *http.Request) error {
	f, err := s.flow(r, r.URL.Query().Get("flow"))
	if err != nil {
		return err
	}
	f, who, err := s.mailedAt(w, r, f)
	if err != nil || f == nil {
		return err
	}
	return s.showMailed(w, r, f, who, http.StatusOK, "")
}

func (s *Server) showMailed(w http.ResponseWriter, r *http.Request, f *flow, who *holder, status int, problem string) (err error) {
	p := mailedPage{Flow: f.text, Who: person(who.Principal), To: who.Email().Address, Problem: problem, Cancel: f.turnsBack()}
	if p.Client, err = s.clientName(r, f); err != nil {
		return err
	}
	p.Page = s.page(w, r, f, who.Locale)
	p.Title = p.T("mailed.title")
	p.Form = s.forms.Token(w, r, s.purpose(r, "mailed "+f.text+" "+who.ID))
	f.allow(w)
	return s.look.Render(w, status, "mailed", p)
}

// sendMailed has the code sent, and goes to the page that asks for it.
func (s *Server) sendMailed(w http.ResponseWriter, r *http.Request) error {
	form, f, err := s.form(w, r)
	if err != nil {
		return err
	}
	f, who, err := s.mailedAt(w, r, f)
	if err != nil || f == nil {
		return err
	}
	again := func(err error) error {
		status, words, known := s.problem(w, r, f, err)
		if !known {
			return err
		}
		return s.showMailed(w, r, f, who, status, words)
	}
	if err := s.forms.Check(r, s.purpose(r, "mailed "+f.text+" "+who.ID), form.Get("form")); err != nil {
		return again(err)
	}
	if form.Get("do") == "cancel" {
		f.Denied = true
		return s.saveAndNext(w, r, f)
	}
	if err := s.askMail(w, r, f, who.Email().Address); fault.Is(err, fault.TooMany) {
		return again(err)
	} else if err != nil {
		return err
	}
	return nil
}
