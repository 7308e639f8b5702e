package signin

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

const pathRenew = "/signin/renew"

// renewPage asks for a new password in place of one that became known to
// others. The old one opens nothing else.
type renewPage struct {
	words
	Form, Flow string
	Identifier string
	Expired    bool // it is old, and nothing else is wrong with it
	MinLength  int
	Problem    string
	Wrong      map[string]string // by field
}

// Focus is the field to begin with.
func (p renewPage) Focus() string { return focus(p.Wrong, "password", "new") }

func (s *Server) showRenew(w http.ResponseWriter, r *http.Request, f *flow, status int, p renewPage) error {
	p.Page = s.page(w, r, f, "")
	p.Title, p.Flow, p.Identifier = p.T("renew.title"), f.id(), bounded(p.Identifier, 320)
	p.MinLength = realm.From(r.Context()).Settings.PasswordMinLength
	p.Form = s.forms.Token(w, r, s.purpose(r, "renew"))
	f.allow(w)
	return s.look.Render(w, status, "renew", p)
}

// askRenew shows the page to whoever was asked for more before.
func (s *Server) askRenew(w http.ResponseWriter, r *http.Request) error {
	f, err := s.flow(r, r.URL.Query().Get("flow"))
	if err != nil {
		return err
	}
	at, err := s.outstandingAt(w, r, f, stepRenew)
	if at == nil || err != nil {
		return err
	}
	known := at.held.Principal
	return s.showRenew(w, r, f, http.StatusOK, renewPage{Identifier: identifierOf(known.Name, known.Email().Address), Expired: !at.held.compromised()})
}

// renewPassword replaces the password and goes on as a sign-in with the new one.
func (s *Server) renewPassword(w http.ResponseWriter, r *http.Request) error {
	form, f, err := s.form(w, r)
	if err != nil {
		return err
	}
	p := renewPage{Identifier: form.Get("identifier")}
	again := func(err error) error {
		if e, ok := asFault(err); ok && e.Fields["password"] != "" {
			p.Wrong = map[string]string{"new": s.passwordProblem(w, r, f, e)}
			return s.showRenew(w, r, f, http.StatusUnprocessableEntity, p)
		}
		status, words, known := s.problem(w, r, f, err)
		if !known {
			return err
		}
		p.Problem = words
		return s.showRenew(w, r, f, status, p)
	}
	if err := s.forms.Check(r, s.purpose(r, "renew"), form.Get("form")); err != nil {
		return again(err)
	}
	if !s.counts(r, kindPassword) {
		return again(whyNot(credential.Result{}, nil))
	}
	name, browser := realm.From(r.Context()).Name, mark(r)
	old, next := secret.Text(form.Get("password")), secret.Text(form.Get("new"))
	result, err := s.Passwords.Check(r.Context(), actor(r), name, credential.Attempt{Identifier: p.Identifier, Password: old, Browser: browser})
	if err != nil || result.Outcome != credential.Right {
		return again(whyNot(result, err))
	}
	if !result.MustChange {
		// Before anything is said: what looks wrong is told what a wrong password is.
		if err := s.assess(r, &flow{}, passwordProof(result, s.DB.Now())); err != nil {
			return again(err)
		}
		return s.showSignIn(w, r, f, http.StatusOK, signInPage{Identifier: p.Identifier}) // the password is good, there
	}
	f, _, at, err := s.take(r, f, passwordProof(result, s.DB.Now()))
	if err != nil {
		return again(err)
	}
	if at.step != stepRenew {
		return s.keepAndLead(w, r, f, at)
	}
	p.Expired = result.Expired
	by := actor(r)
	by.Kind, by.ID = "person", result.Principal.ID
	changed, err := s.Passwords.Replace(r.Context(), by, name, s.renewal(f, at.fresh, credential.Change{Principal: result.Principal.ID, Current: old, Next: next, Browser: browser}))
	if !grant.Committed(err) || err == nil && changed.Outcome != credential.Right {
		return again(whyNot(changed, err))
	}
	// Whoever else knew the old password is signed out.
	if err := s.Grants.FinishSignOut(r.Context(), by, name, result.Principal.ID, "password_change", err); err != nil {
		return err
	}
	result, err = s.Passwords.Check(r.Context(), by, name, credential.Attempt{Principal: result.Principal.ID, Password: next, Browser: browser})
	if err != nil || result.Outcome != credential.Right {
		return again(whyNot(result, err))
	}
	return s.signIn(w, r, f, result)
}

// renewal is a change for which what else was proved counts, before and after: by
// it an era ends, and that alone does not end those proofs.
func (s *Server) renewal(f *flow, proofs []proof, c credential.Change) credential.Change {
	others := slices.DeleteFunc(slices.Clone(proofs), func(p proof) bool { return p.Old })
	c.Before = func(tx *db.Tx) error {
		life, err := principal.LiveTx(tx, c.Principal)
		if err == nil && life.Era != proofs[0].Era {
			err = fault.New(fault.Conflict, "password_changed", "the account was signed out of everything meanwhile")
		}
		return err
	}
	c.Then = func(tx *db.Tx, _, _ string) error {
		life, err := principal.LiveTx(tx, c.Principal)
		if err != nil {
			return err
		}
		f.Proved = slices.Clone(others)
		for i := range f.Proved {
			f.Proved[i].Era = life.Era
		}
		f.Pending = len(f.Proved) > 0
		return nil
	}
	return c
}

// passwordProblem says what is wrong with a password that somebody chose.
func (s *Server) passwordProblem(w http.ResponseWriter, r *http.Request, f *flow, e *fault.Error) string {
	l := s.page(w, r, f, "")
	if key := "problem." + e.Code; l.Has(key) {
		return l.T(key, "n", realm.From(r.Context()).Settings.PasswordMinLength)
	}
	return l.T("problem.password")
}
