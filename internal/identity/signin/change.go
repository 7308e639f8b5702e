package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// PasswordChange is what somebody who is signed in wants of their password.
type PasswordChange struct {
	Current, Next secret.Text
	Everywhere    bool // end every other session, and every grant
}

// ChangePassword changes the password of whoever is signed in with a session of
// this browser. They stay signed in with it, under a new secret. What people can
// do something about is fault.Invalid with a field, fault.Unauthenticated for a
// wrong password, and fault.TooMany.
func (s *Server) ChangePassword(w http.ResponseWriter, r *http.Request, e *session.Session, c PasswordChange) error {
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	ctx, rl, by := r.Context(), realm.From(r.Context()), Actor(r, e)
	var begun session.Begun
	change := credential.Change{Principal: e.Principal, Current: c.Current, Next: c.Next, Browser: mark(r), Keep: !c.Everywhere}
	change.Before = func(tx *db.Tx) error { // what follows takes the place of a session that lives
		_, err := session.LiveTx(tx, e.ID)
		return err
	}
	change.Then = func(tx *db.Tx, replaced, now string) (err error) {
		begun = session.Begun{}
		if replaced == "" {
			return nil
		}
		p := proof{Principal: e.Principal, Credential: now, Kind: kindPassword, At: tx.Now, AMR: []string{"pwd"}, Alone: token.AAL1}
		begun, err = s.succeed(tx, r, e, p)
		return err
	}
	changed, err := s.Passwords.Replace(ctx, by, rl.Name, change)
	if !grant.Committed(err) || err == nil && changed.Outcome != credential.Right {
		return whyNot(changed, err)
	}
	if begun.Session == nil {
		return err
	}
	for i, a := range all {
		if a.ID == e.ID {
			all[i] = account{begun.Session, string(begun.Secret)}
		}
	}
	s.setAccounts(w, r, all)
	return s.Grants.FinishSignOutElsewhere(ctx, by, rl.Name, e.Principal, begun.ID, "password_change", err)
}

// succeed goes on with a session that rests on a new proof besides those it had.
func (s *Server) succeed(tx *db.Tx, r *http.Request, e *session.Session, p proof) (session.Begun, error) {
	all := merge(proofsOf(e), []proof{p})
	text, err := noted(all)
	if err != nil {
		return session.Begun{}, err
	}
	by := Actor(r, e)
	return s.Sessions.SucceedTx(tx, by, realm.From(r.Context()).Settings, e, session.Proof{Credential: mainOf(all), ACR: level(all), AMR: amr(all),
		AuthTime: since(all), Proofs: text, IP: by.IP, UserAgent: by.UserAgent}, "password_change")
}

// PasswordProblem puts into words why a password that somebody chose was
// refused, "" for an error that is about something else.
func (s *Server) PasswordProblem(w http.ResponseWriter, r *http.Request, err error) string {
	e, ok := asFault(err)
	if !ok || e.Kind != fault.Invalid || e.Fields["password"] == "" {
		return ""
	}
	return s.passwordProblem(w, r, nil, e)
}

// Problem puts into words what a person can do something about, and says with
// which status. "" is any other error.
func (s *Server) Problem(w http.ResponseWriter, r *http.Request, err error) (status int, words string) {
	status, words, _ = s.problem(w, r, nil, err)
	return status, words
}
