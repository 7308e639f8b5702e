package signin

import (
	"net/http"
	"slices"

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
	Proved        bool // what [Server.ChoosesPassword] wants is there, and Current is not asked for
	Everywhere    bool // end every other session, and every grant
}

// ChoosesPassword reports whether the owner of a session may choose a password
// without the present one (PW-06): within the last minutes they have used a
// passkey, which cannot be phished, or where there is no password, the strongest
// that they have (MF-09).
func (s *Server) ChoosesPassword(r *http.Request, e *session.Session) (bool, error) {
	enough, err := s.Suffices(r, e, Flow{Manage: true})
	if err != nil || !enough {
		return false, err
	}
	name := realm.From(r.Context()).Name
	all, err := s.Grants.Credentials.List(r.Context(), name, e.Principal)
	if err != nil {
		return false, err
	}
	h := holder{credentials: all}
	return !h.has(credential.Password) || slices.ContainsFunc(proofsOf(e), func(p proof) bool {
		return p.Kind == kindPasskey && p.Alone != "" && s.counts(r, kindPasskey) && s.DB.Now().Sub(p.At) <= manageFresh &&
			slices.ContainsFunc(all, func(c credential.Credential) bool { return c.ID == p.Credential })
	}), nil
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
	if c.Proved {
		if enough, err := s.ChoosesPassword(r, e); err != nil || !enough {
			return or(err, fault.New(fault.Forbidden, "form_expired", "the proof is too old by now"))
		}
	}
	var begun session.Begun
	change := credential.Change{Principal: e.Principal, Current: c.Current, Next: c.Next, Browser: mark(r), Proved: c.Proved, Keep: !c.Everywhere}
	change.Before = func(tx *db.Tx) error { // what follows takes the place of a session that lives
		_, err := session.LiveTx(tx, e.ID)
		return err
	}
	change.Then = func(tx *db.Tx, replaced, now string) (err error) {
		begun = session.Begun{}
		if replaced == "" {
			return nil
		}
		proofs := slices.DeleteFunc(proofsOf(e), func(p proof) bool { return p.Kind == kindPassword })
		if !c.Proved { // else the new one was chosen, and proves nothing
			proofs = append(proofs, proof{Principal: e.Principal, Credential: now, Kind: kindPassword, At: tx.Now, AMR: []string{"pwd"}, Alone: token.AAL1})
		}
		begun, err = s.succeed(tx, r, e, proofs)
		return err
	}
	changed, err := s.Passwords.Replace(ctx, by, rl.Name, change)
	if !grant.Committed(err) || err == nil && changed.Outcome != credential.Right {
		return whyNot(changed, err)
	}
	if begun.Session == nil {
		if c.Proved && c.Everywhere { // the first one, which nobody was signed in by
			return or(s.Grants.EndOtherSessions(ctx, by, rl.Name, e.Principal, e.ID, "password_change"), err)
		}
		return err
	}
	for i, a := range all {
		if a.ID == e.ID {
			all[i] = account{Session: begun.Session, text: string(begun.Secret)}
		}
	}
	s.setAccounts(w, r, all)
	return s.Grants.FinishSignOutElsewhere(ctx, by, rl.Name, e.Principal, begun.ID, "password_change", err)
}

// succeed goes on with a session that rests on these proofs.
func (s *Server) succeed(tx *db.Tx, r *http.Request, e *session.Session, all []proof) (session.Begun, error) {
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
