package signin

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

const (
	pathFactor = "/signin/factor"
	pathEnrol  = "/signin/enrol"
	pathStuck  = "/signin/stuck"
)

// factorPage is what the pages of all factors share.
type factorPage struct {
	words
	Form, Flow string
	Kind       string
	Client     string
	Who        who
	Others     []choiceOf // what may be proved or added in its place
	Days       int        // for which the device can be remembered; 0: it cannot
	Skip       bool       // it can be put off
	Cancel     bool       // there is somewhere to turn back to
	Problem    string
	Busy       bool // the problem is not what was entered
}

// Invalid reports whether the field is what is wrong.
func (p factorPage) Invalid() bool { return p.Problem != "" && !p.Busy }

// choiceOf is a kind of factor to choose, with its words and address.
type choiceOf struct{ Kind, Name, Detail, URL string }

// factorAt reads the flow of a request that is at a step, and which factor it
// is about: the one named, else the first that will do. Nil: the dispatcher has
// been returned to.
func (s *Server) factorAt(w http.ResponseWriter, r *http.Request, f *flow, want step, kind string) (*question, Factor, error) {
	if f == nil {
		return nil, nil, noFlow()
	}
	at, err := s.placeOf(r, f)
	if err != nil {
		return nil, nil, err
	}
	list := at.ask
	if want == stepEnrol {
		list = nil
		for _, e := range at.enrol {
			list = append(list, e)
		}
	}
	if at.step != want || len(list) == 0 {
		return nil, nil, s.next(w, r, f)
	}
	g := gate{s, r, realm.From(r.Context()), f, s.DB.Now()}
	if err := g.hold(&at); err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(list, func(one Factor) bool { return one.Kind() == kind })
	if i < 0 {
		if kind != "" {
			return nil, nil, s.next(w, r, f)
		}
		i = 0
	}
	return &question{f, at.held, at}, list[i], nil
}

// factorForm ties a form to the flow, the person and the factor that it was
// shown for.
func (s *Server) factorForm(r *http.Request, q *question, kind string) string {
	return s.purpose(r, "factor "+q.flow.text+" "+q.who.ID+" "+kind)
}

// factorPage fills in what all pages of factors show.
func (s *Server) factorPage(w http.ResponseWriter, r *http.Request, q *question, kind, problem string, status int) (p factorPage, err error) {
	p = factorPage{Flow: q.flow.text, Kind: kind, Who: person(q.who.Principal), Skip: q.at.skip, Cancel: q.flow.turnsBack() && !q.flow.Offered,
		Problem: problem, Busy: status == http.StatusTooManyRequests || status == http.StatusForbidden || status == http.StatusConflict}
	p.Page = s.page(w, r, q.flow, q.who.Locale)
	if p.Client, err = s.clientName(r, q.flow); err != nil {
		return p, err
	}
	kinds, path := []string{}, pathFactor
	if q.at.step == stepEnrol {
		path = pathEnrol
		for _, one := range q.at.enrol {
			kinds = append(kinds, one.Kind())
		}
	} else {
		for _, one := range q.at.ask {
			kinds = append(kinds, one.Kind())
		}
		if re := realm.From(r.Context()); q.flow.Pending {
			p.Days = int(re.Settings.RememberDevice.Hours()) / 24
		}
	}
	for _, one := range kinds {
		if one != kind {
			p.Others = append(p.Others, choiceOf{one, p.T("factor." + one), p.T("factor." + one + ".detail"), p.Link(path, "flow", q.flow.text, "by", one)})
		}
	}
	p.Form = s.forms.Token(w, r, s.factorForm(r, q, kind))
	q.flow.allow(w)
	return p, nil
}

// askFactor asks for a further proof.
func (s *Server) askFactor(w http.ResponseWriter, r *http.Request) error {
	f, err := s.flow(r, r.URL.Query().Get("flow"))
	if err != nil {
		return err
	}
	q, one, err := s.factorAt(w, r, f, stepFactor, r.URL.Query().Get("by"))
	if err != nil || q == nil {
		return err
	}
	return one.Ask(w, r, q, http.StatusOK, "")
}

// checkFactor evaluates a further proof.
func (s *Server) checkFactor(w http.ResponseWriter, r *http.Request) error {
	form, f, err := s.form(w, r)
	if err != nil {
		return err
	}
	q, one, err := s.factorAt(w, r, f, stepFactor, form.Get("by"))
	if err != nil || q == nil {
		return err
	}
	again := func(err error) error {
		status, words, known := s.problem(w, r, f, err)
		if !known {
			return err
		}
		return one.Ask(w, r, q, status, words)
	}
	if err := s.forms.Check(r, s.factorForm(r, q, one.Kind()), form.Get("form")); err != nil {
		return again(err)
	}
	if turned, err := s.turned(w, r, q, form); turned || err != nil {
		return err
	}
	p, err := s.evaluate(r, q, one, form)
	if err != nil {
		return again(err)
	}
	f.Remember = form.Get("remember") == "yes" && one.Kind() != kindRecovery // whose page does not offer it
	return s.prove(w, r, f, *p)
}

// turned does what the buttons beside the main one say, if it was one of them.
func (s *Server) turned(w http.ResponseWriter, r *http.Request, q *question, form web.Params) (bool, error) {
	switch {
	case form.Get("do") == "cancel":
		q.flow.Denied = true
	case form.Get("do") == "later" && q.at.skip && q.flow.Offered:
		q.flow.Enrol, q.flow.Offered = "", false
	case form.Get("do") == "later" && q.at.skip:
		q.flow.Later = true
	default:
		return false, nil
	}
	return true, s.saveAndNext(w, r, q.flow)
}

// evaluate checks a proof; one that could be a guess is counted before.
func (s *Server) evaluate(r *http.Request, q *question, one Factor, form web.Params) (p *proof, err error) {
	check := func() (bool, error) {
		p, err = one.Check(r, q, form)
		return p != nil, err
	}
	wrong := fault.New(fault.Unauthenticated, "factor_wrong", "that does not prove it")
	if one.Kind() == kindRecovery {
		wrong = fault.New(fault.Unauthenticated, "recovery_wrong", "that is no code for recovery, or was used") // no next one is to be waited for
	}
	if !one.Guessed() {
		if right, err := check(); err != nil || !right {
			return nil, or(err, wrong)
		}
		return p, nil
	}
	result, err := s.Factors.Guess(r.Context(), actor(r), realm.From(r.Context()).Name, q.who.ID, one.Kind(), mark(r), check)
	switch {
	case err != nil:
		return nil, err
	case result.Outcome == credential.Limited:
		return nil, fault.New(fault.TooMany, "guess_limit", "too many attempts").WithRetry(result.RetryAfter)
	case result.Outcome != credential.Right:
		return nil, wrong
	}
	return p, nil
}

func or(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// stuckPage is for those who have nothing that would do, and can add nothing.
type stuckPage struct {
	*look.Page
	Form, Flow string
	Client     string
	Cancel     bool
}

func (s *Server) showStuck(w http.ResponseWriter, r *http.Request) error {
	f, err := s.flow(r, r.URL.Query().Get("flow"))
	if err != nil {
		return err
	}
	if f == nil {
		return noFlow()
	}
	at, err := s.placeOf(r, f)
	if err != nil {
		return err
	}
	if at.step != stepStuck {
		return s.next(w, r, f)
	}
	p := stuckPage{Page: s.page(w, r, f, at.held.Locale), Flow: f.text, Cancel: f.Request != ""}
	if p.Client, err = s.clientName(r, f); err != nil {
		return err
	}
	p.Title = p.T("stuck.title")
	p.Form = s.forms.Token(w, r, s.purpose(r, "stuck"))
	f.allow(w)
	return s.look.Render(w, http.StatusForbidden, "stuck", p)
}

// leaveStuck turns back.
func (s *Server) leaveStuck(w http.ResponseWriter, r *http.Request) error {
	form, f, err := s.form(w, r)
	if err != nil {
		return err
	}
	if f == nil {
		return noFlow()
	}
	if err := s.forms.Check(r, s.purpose(r, "stuck"), form.Get("form")); err != nil {
		return err
	}
	at, _, err := s.stepOf(r, f)
	if err != nil {
		return err
	}
	if at != stepStuck {
		return s.next(w, r, f)
	}
	f.Denied, f.Stuck = true, true
	return s.saveAndNext(w, r, f)
}
