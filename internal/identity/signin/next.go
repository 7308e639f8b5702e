package signin

import (
	"net/http"
	"net/url"

	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// step is a page that a flow can be at. The zero step asks who is there.
type step int

const (
	stepSignIn step = iota
	stepAccounts
	stepConsent
	stepReturn
)

var stepPaths = map[step]string{stepSignIn: "/signin", stepAccounts: "/accounts", stepConsent: "/consent"}

// next is the dispatcher: every page returns here, and here alone is decided
// what comes next. Without a flow it is home.
func (s *Server) next(w http.ResponseWriter, r *http.Request, f *flow) error {
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	dispatch(w, r, f, all)
	return nil
}

// dispatch is next with the accounts that the browser is about to hold.
func dispatch(w http.ResponseWriter, r *http.Request, f *flow, all []account) {
	re := realm.From(r.Context())
	if f == nil {
		web.See(w, re.Path+"/")
		return
	}
	path := re.Path + f.Return
	if at, _ := f.step(all); at != stepReturn {
		path = re.Path + stepPaths[at]
	}
	// The path is ours and the realm's, never an address of anybody's choice.
	web.See(w, path+"?"+url.Values{"flow": {f.text}}.Encode())
}

// stepOf is step with the accounts that this request brings.
func (s *Server) stepOf(r *http.Request, f *flow) (step, *account, error) {
	all, err := s.accounts(r)
	if err != nil {
		return stepSignIn, nil, err
	}
	at, using := f.step(all)
	return at, using, nil
}

// step finds the first thing that the flow still lacks, and the account it goes
// by, if there is one.
func (f *flow) step(all []account) (step, *account) {
	using := f.using(all)
	switch {
	case f.Denied:
		return stepReturn, using
	case f.Select && !f.Selected && len(all) > 0:
		return stepAccounts, using
	case using == nil:
		return stepSignIn, nil
	case f.Reauth && !f.proved(using):
		return stepSignIn, using
	case (len(f.Consent) > 0 || f.Details != "") && !f.agreed(using):
		return stepConsent, using
	}
	return stepReturn, using
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
func (f *flow) proved(a *account) bool { return f.Fresh && f.Account == a.ID }

// agreed reports whether the account's owner consented within the flow. What one
// agreed to is not agreed to by whoever uses the flow after.
func (f *flow) agreed(a *account) bool { return f.Agreed == a.ID }
