package signin

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
)

// putsOff reports whether package risk is asked about a proof in the transaction that
// begins the session, which saves asking before: mostly nothing is wrong. It is what a
// passkey shows, in whose transaction the answer is used up.
func (s *Server) putsOff(f *flow, all []account, p proof) bool {
	return s.Risk != nil && f.use != nil && f.Assessed != p.Principal && of(all, p.Principal) == nil
}

// quiet finds out, in the transaction that begins the session, about what was put
// off. It is an error where [Server.assess] has to look first, or where the account
// may be one that is to be deleted.
func (f *flow) quiet(r *http.Request, ground *session.Ground, memory *risk.Memory) error {
	by, who := actor(r), f.unassessed.Principal
	by.Kind, by.ID = "person", who
	life, err := ground.Life()
	if err != nil {
		return err
	}
	last, err := ground.Visit()
	if err != nil {
		return err
	}
	calm, err := memory.Quiet(by, risk.SignIn{Principal: who}, life.Flagged, !last.At.IsZero())
	if err == nil && !calm {
		err = fault.New(fault.Conflict, codeUnassessed, "there is more to be asked before somebody is signed in")
	}
	return err
}

// assess asks package risk about whoever just proved who they are, once in a
// flow for each person. What is refused looks like a wrong password.
func (s *Server) assess(r *http.Request, f *flow, p proof) error {
	if s.Risk == nil || f.Assessed == p.Principal {
		return nil
	}
	by := actor(r)
	by.Kind, by.ID = "person", p.Principal
	in := risk.SignIn{Principal: p.Principal, Browser: mark(r), Password: p.Kind == kindPassword}
	if s.Desk != nil {
		in.Beside = func(tx *db.Tx) func() error {
			due := s.Desk.AskLeaving(tx, p.Principal)
			return func() error {
				at, err := due()
				f.leaving = leaving{p.Principal, at}
				return err
			}
		}
	}
	v, err := s.Risk.Assess(r.Context(), by, realm.From(r.Context()).Name, in)
	if err != nil {
		return err
	}
	if v.Refuse {
		return whyNot(credential.Result{}, nil)
	}
	f.Assessed, f.Risky = p.Principal, v.StepUp
	if v.Calm {
		f.calm = p.Principal
	}
	return nil
}

// risky checks what looks wrong about the sign-in: it takes the second level, or
// where the person has nothing to reach it with, any other proof that they can
// give, if only a code by mail. Somebody who has none goes on, having been told:
// nobody is locked out of their account by where they are (MF-05).
func (g gate) risky(at *spot, reached string) (bool, error) {
	if !g.f.Risky || !g.f.Pending || !below(reached, token.AAL2) {
		return false, nil
	}
	if err := g.hold(at); err != nil {
		return false, err
	}
	if at.ask = g.helping(at, nil, token.AAL2); len(at.ask) > 0 {
		at.step = stepFactor
		return true, nil
	}
	if slices.ContainsFunc(g.f.Proved, func(p proof) bool { return p.Kind != g.f.Proved[0].Kind }) {
		return false, nil
	}
	for _, one := range g.factors {
		if one.Reach(at.held) != "" && g.allows(nil, one.Kind()) && one.Kind() != g.f.Proved[0].Kind {
			at.ask = append(at.ask, one)
		}
	}
	switch {
	case len(at.ask) > 0:
		at.step = stepFactor
	case g.mailedHelps(at.held):
		at.step = stepMailed
	default:
		return false, nil
	}
	return true, nil
}
