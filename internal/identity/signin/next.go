package signin

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// step is a page that a flow can be at. The zero step asks who is there.
type step int

const (
	stepSignIn step = iota
	stepAccounts
	stepFactor // a further proof
	stepMailed // the same, by a code that is to be sent
	stepEnrol  // a factor is to be added
	stepStuck  // nothing the person has or could add would do
	stepRenew  // a password that others know is to be replaced
	stepKeep   // the account is to be deleted, unless it is kept
	stepTerms  // there is something to accept
	stepSettle // all is proved: the session begins, which is no page
	stepConsent
	stepReturn
)

var stepPaths = map[step]string{stepSignIn: "/signin", stepAccounts: "/accounts", stepFactor: pathFactor, stepMailed: pathMailed, stepEnrol: pathEnrol,
	stepStuck: pathStuck, stepRenew: pathRenew, stepKeep: pathKeep, stepTerms: pathTerms, stepConsent: "/consent"}

// next is the dispatcher: every page returns here, and here alone is decided
// what comes next. Without a flow it is home.
func (s *Server) next(w http.ResponseWriter, r *http.Request, f *flow) error {
	if f == nil {
		web.See(w, realm.From(r.Context()).Path+"/")
		return nil
	}
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	at, err := s.where(r, f, all)
	if err != nil {
		return err
	}
	return s.goOn(w, r, f, all, at)
}

// goOn is next from a place that is known.
func (s *Server) goOn(w http.ResponseWriter, r *http.Request, f *flow, all []account, at spot) error {
	if at.step != stepSettle {
		return s.lead(w, r, f, at)
	}
	kept, err := s.settle(w, r, f, all, at)
	switch fault.Code(err) {
	case codeFlowChanged:
		if f, err = s.flow(r, f.text); err != nil {
			return err
		}
		return s.next(w, r, f) // as what the other tab made of it wants
	case codeSessionOver: // so what it rested on counts no more
		left := slices.DeleteFunc(all, func(a account) bool { return a.Principal == at.who })
		if at, err = s.where(r, f, left); err != nil {
			return err
		}
		if at.step == stepSettle {
			return s.goOn(w, r, f, left, at)
		}
		return s.keepAndLead(w, r, f, at)
	case codeUnassessed:
		if at, err = s.assessed(r, f, all); err != nil {
			return err
		}
		if at.step == stepSettle {
			return s.goOn(w, r, f, all, at)
		}
		return s.keepAndLead(w, r, f, at)
	case codeProofOver:
		return s.keepAndLead(w, r, f, spot{step: stepSignIn})
	}
	if err != nil {
		return err
	}
	if at, err = s.where(r, f, kept); err != nil {
		return err
	}
	return s.lead(w, r, f, at)
}

func (s *Server) keepAndLead(w http.ResponseWriter, r *http.Request, f *flow, at spot) error {
	if err := s.keep(w, r, f); err != nil {
		return err
	}
	return s.lead(w, r, f, at)
}

// prove notes that somebody proved something and returns to the dispatcher.
// Without a flow one is begun that leads home.
func (s *Server) prove(w http.ResponseWriter, r *http.Request, f *flow, p proof) error {
	f, all, at, err := s.take(r, f, p)
	if err != nil {
		return err
	}
	if at.step == stepSettle { // it is saved with the session
		return s.goOn(w, r, f, all, at)
	}
	if err := s.keep(w, r, f); err != nil {
		return err
	}
	return s.next(w, r, f)
}

// take adds a proof to a flow, nil for a new one that leads home, without saving
// it, and tells where it leads.
func (s *Server) take(r *http.Request, f *flow, p proof) (*flow, []account, spot, error) {
	if f == nil {
		f = &flow{Flow: Flow{Return: "/"}, Started: s.DB.Now()}
	}
	all, err := s.accounts(r)
	if err != nil {
		return f, nil, spot{}, err
	}
	life, err := s.People.Live(r.Context(), realm.From(r.Context()).Name, p.Principal)
	if err != nil && !nobody(err) {
		return f, nil, spot{}, err
	}
	p.Era = life.Era // of who may not act nothing counts: see living
	f.note(p, f.using(all))
	if f.Pending && f.Proved[0].Principal == p.Principal {
		if s.putsOff(f, all, p) {
			f.unassessed, f.leaving = &p, leaving{who: p.Principal}
		} else if err := s.assess(r, f, p); err != nil {
			return f, nil, spot{}, err
		}
	}
	at, err := s.where(r, f, all)
	if err == nil && f.unassessed != nil && at.step != stepSettle {
		at, err = s.assessed(r, f, all)
	}
	return f, all, at, err
}

// assessed asks package risk what was put off, and tells where the flow leads.
func (s *Server) assessed(r *http.Request, f *flow, all []account) (spot, error) {
	p := *f.unassessed
	f.unassessed, f.leaving = nil, leaving{}
	if err := s.assess(r, f, p); err != nil {
		return spot{}, err
	}
	return s.where(r, f, all)
}

// note adds a proof to those of the flow. What somebody else proved in it, and
// what made a session that the flow does not go by any more, counts for nothing.
func (f *flow) note(p proof, using *account) {
	if f.Subject != "" && p.Principal != f.Subject {
		return // the dispatcher asks again
	}
	same := len(f.Proved) > 0 && f.Proved[0].Principal == p.Principal
	here := same || len(f.Proved) == 0 && using != nil && using.Principal == p.Principal
	if !here { // nor what they chose on its pages
		f.Draft, f.Remember, f.Later, f.Enrolled = "", false, false, false
	}
	if !same || !f.Pending && (using == nil || using.Principal != p.Principal) {
		f.Proved = nil
	}
	f.Proved, f.Pending = merge(f.Proved, []proof{p}), true
}

// lead sends the browser on. A flow that was begun for nothing but its proofs
// ends here.
func (s *Server) lead(w http.ResponseWriter, r *http.Request, f *flow, at spot) error {
	re := realm.From(r.Context())
	if at.step != stepReturn {
		web.See(w, re.Path+stepPaths[at.step]+"?"+url.Values{"flow": {f.text}}.Encode())
		return nil
	}
	if f.Request != "" {
		// The path is ours and the realm's, never an address of anybody's choice.
		web.See(w, re.Path+f.Return+"?"+url.Values{"flow": {f.text}}.Encode())
		return nil
	}
	if f.text != "" {
		err := s.DB.UpdateRC(r.Context(), re.Name, func(tx *db.Tx) error {
			_, _, err := s.Once.Consume(tx, f.text, s.use(r))
			return err
		})
		if err != nil {
			return err
		}
	}
	if f.Denied && f.Enrol == "" { // what takes a proof would only ask for it again
		web.See(w, re.Path+"/")
		return nil
	}
	web.See(w, re.Path+f.Return)
	return nil
}

// stepOf is where with the accounts that this request brings, in short.
func (s *Server) stepOf(r *http.Request, f *flow) (step, *account, error) {
	at, err := s.placeOf(r, f)
	return at.step, at.using, err
}

// placeOf is where with the accounts that this request brings.
func (s *Server) placeOf(r *http.Request, f *flow) (spot, error) {
	all, err := s.accounts(r)
	if err != nil {
		return spot{}, err
	}
	return s.where(r, f, all)
}

// using is the account the flow goes by: the one chosen in it, else the
// browser's current one, and only one that will do. Nil: somebody must sign in.
func (f *flow) using(all []account) *account {
	for i := range all {
		a := &all[i]
		if f.Account != "" && a.ID != f.Account || f.Subject != "" && a.Principal != f.Subject {
			continue
		}
		return a
	}
	return nil
}

// proved reports whether the account's owner signed in within the flow.
func (f *flow) proved(a *account) bool {
	return f.Fresh && f.Account == a.ID && len(f.Proved) > 0 && f.Proved[0].Principal == a.Principal
}

// agreed reports whether the account's owner consented within the flow. What one
// agreed to is not agreed to by whoever uses the flow after.
func (f *flow) agreed(a *account) bool { return f.Agreed == a.ID }
