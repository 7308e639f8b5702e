package signin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// account is somebody signed in with this browser.
type account struct {
	*session.Session
	text string // the session's secret
	// proofs are those that the session was begun with by this request, nil where
	// they are to be read from it.
	proofs []proof
}

// The names of all other cookies have a dot where these have a hyphen. No realm's
// name holds a dot, so that no realm can be named after another cookie.
func sessionCookie(re *realm.Realm) string { return "__Host-cardea-" + re.Name }
func browserCookie(re *realm.Realm) string { return "__Host-cardea.browser-" + re.Name }

// accounts are those signed in with this browser, the current one first. What
// the cookie holds beyond them is malformed, unknown or over, and is nobody.
func (s *Server) accounts(r *http.Request) ([]account, error) {
	re := realm.From(r.Context())
	cookie := web.Cookie(r, sessionCookie(re))
	if cookie == "" {
		return nil, nil
	}
	var all []account
	for i, text := range strings.SplitN(cookie, ".", session.MaxInBrowser+1) {
		if i == session.MaxInBrowser {
			break
		}
		e, err := s.Sessions.FromSecret(r.Context(), re.Name, text)
		if nobody(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, account{Session: e, text: text})
	}
	return all, nil
}

// nobody reports whether err means that a secret opens no session, as opposed
// to that nobody could find out.
func nobody(err error) bool {
	return fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden)
}

// setAccounts makes the browser hold these, the first being the current one.
func (s *Server) setAccounts(w http.ResponseWriter, r *http.Request, all []account) {
	re := realm.From(r.Context())
	s.setState(w, re, s.browserState(re, all))
	if len(all) == 0 {
		web.ClearCookie(w, sessionCookie(re))
		return
	}
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = a.text
	}
	web.SetCookie(w, sessionCookie(re), strings.Join(texts, "."), re.Settings.SessionAbsolute)
}

// Current is the session of the browser's current account, nil when nobody is
// signed in. It is answered from memory.
func (s *Server) Current(r *http.Request) (*session.Session, error) {
	all, err := s.accounts(r)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0].Session, nil
}

// Accounts are the sessions of all accounts that are signed in with this
// browser, the current one first.
func (s *Server) Accounts(r *http.Request) ([]*session.Session, error) {
	all, err := s.accounts(r)
	sessions := make([]*session.Session, len(all))
	for i, a := range all {
		sessions[i] = a.Session
	}
	return sessions, err
}

// Leave signs a principal out of this browser, with the grants that hang on the
// session, and sends the browser on to target, which the caller has checked. ""
// is nobody, and that somebody is not signed in is no error.
func (s *Server) Leave(w http.ResponseWriter, r *http.Request, principal, target string) error {
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	var frames []string
	for _, a := range all {
		if a.Principal == principal {
			if frames, err = s.endChosen(w, r, all, a.ID); err != nil {
				return err
			}
		}
	}
	return s.left(w, r, frames, target, false)
}

// end ends one of the browser's sessions.
func (s *Server) end(w http.ResponseWriter, r *http.Request, all []account, id string) error {
	var left []account
	for _, a := range all {
		if a.ID != id {
			left = append(left, a)
			continue
		}
		if err := s.Grants.EndSession(r.Context(), a.actor(r), realm.From(r.Context()).Name, id, "sign_out"); err != nil {
			return err
		}
	}
	s.setAccounts(w, r, left)
	return nil
}

// settle begins the session of somebody who has proved all that is demanded, or
// renews the one they have in this browser under a new secret (SE-02), notes it
// in the flow by the same transaction, makes it the browser's current one and
// returns whom the browser holds now.
func (s *Server) settle(w http.ResponseWriter, r *http.Request, f *flow, all []account, at spot) ([]account, error) {
	ctx, re, mark := r.Context(), realm.From(r.Context()), mark(r)
	by := actor(r)
	by.Kind, by.ID = "person", at.who
	proofs, err := noted(at.proofs)
	if err != nil {
		return nil, err
	}
	own, asked := of(all, at.who), *f
	var begun session.Begun
	err = s.DB.UpdateHotSerializable(ctx, re.Name, func(tx *db.Tx) (err error) {
		*f = asked
		used, notes := f.use.AskTx(tx), mark
		if own != nil {
			notes = "" // only where a session begins
		}
		held := f.use.Credential()
		ground := session.AskGround(tx, at.who, notes, slices.DeleteFunc(credentialsOf(at.proofs, at.fresh), func(id string) bool { return id == held })...)
		if held != "" {
			ground.Holds(held, used)
		}
		var memory *risk.Memory
		if s.Risk != nil {
			memory = s.Risk.MemoryTx(tx, at.who)
		}
		if _, err := used(); err != nil {
			return err
		}
		p := session.Proof{Credential: mainOf(at.proofs), ACR: level(at.proofs), AMR: amr(at.proofs), AuthTime: since(at.proofs), Proofs: proofs, IP: by.IP, UserAgent: r.UserAgent(), Ground: ground}
		begun = session.Begun{}
		if err := rests(ground, at.fresh); err != nil {
			return err
		}
		if f.unassessed != nil {
			if err := f.quiet(r, ground, memory); err != nil {
				return err
			}
			f.Assessed, f.calm, f.unassessed = at.who, at.who, nil
		}
		if memory != nil && notes != "" {
			last, err := ground.Visit()
			if err != nil {
				return err
			}
			habit, err := memory.Habit(last, audit.Actor{IP: p.IP, UserAgent: p.UserAgent})
			if err != nil {
				return err
			}
			ground.Notes(habit)
		}
		if own != nil {
			begun, err = session.RenewTx(tx, by, re.Settings, own.ID, p)
			if nobody(err) { // it may have ended while its owner typed
				err = fault.New(fault.Conflict, codeSessionOver, "the session ended meanwhile")
			}
			if err != nil {
				return err
			}
		}
		if begun.Session == nil {
			begun, err = session.BeginTx(tx, by, re.Settings, session.New{Principal: at.who, Credential: p.Credential, ACR: p.ACR, AMR: p.AMR, AuthTime: p.AuthTime,
				Proofs: p.Proofs, Browser: mark, IP: p.IP, UserAgent: p.UserAgent, Ground: ground})
			if err != nil {
				return err
			}
		}
		if memory != nil {
			if err := memory.Remember(begun.Session, f.calm == at.who); err != nil {
				return err
			}
		}
		if f.Remember && re.Settings.RememberDevice > 0 && !below(p.ACR, token.AAL2) {
			if err := credential.RememberDeviceTx(tx, at.who, mark, tx.Now.Add(re.Settings.RememberDevice)); err != nil {
				return err
			}
		}
		f.Proved = at.fresh
		f.Account, f.Fresh, f.Selected, f.Pending, f.Remember = begun.ID, true, true, false, false
		return s.amend(tx, r, f)
	})
	if err != nil {
		return nil, err
	}
	f.use = nil
	kept := []account{{begun.Session, string(begun.Secret), ofSession(at.proofs, begun.Principal)}}
	for _, a := range all {
		if a.Principal == begun.Principal {
			continue // renewed: the secret in the cookie is dead
		}
		if len(kept) == session.MaxInBrowser {
			if err := s.Grants.EndSession(ctx, a.actor(r), re.Name, a.ID, "displaced"); err != nil {
				return nil, err
			}
			continue
		}
		kept = append(kept, a)
	}
	s.setAccounts(w, r, kept)
	if mark != web.Cookie(r, browserCookie(re)) {
		web.SetCookie(w, browserCookie(re), mark, web.Year)
	}
	return kept, nil
}

// Why a session does not begin by what the gate saw a moment ago.
const (
	codeFlowChanged = "flow_changed"
	codeSessionOver = "session_over"
	codeProofOver   = "proof_over"
	codeUnassessed  = "unassessed"
)

// rests finds out whether what proofs of a flow were made by is still there. The
// ground holds it, so that nothing ends it before the session begins: see
// [gate.living].
func rests(ground *session.Ground, proofs []proof) error {
	life, err := ground.Life()
	for i := 0; err == nil && i < len(proofs); i++ {
		var c credential.Credential
		if c, err = ground.Credential(proofs[i].Credential); err == nil && !proofs[i].rests(life, c) {
			err = fault.New(fault.Forbidden, codeProofOver, "it was ended since")
		}
	}
	if nobody(err) {
		err = fault.New(fault.Conflict, codeProofOver, "what was proved counts no more")
	}
	return err
}

// credentialsOf are what a session will be held to: its main proof, and those of
// the flow.
func credentialsOf(all, fresh []proof) []string {
	ids := []string{mainOf(all)}
	for _, p := range fresh {
		ids = append(ids, p.Credential)
	}
	return ids
}

// amend writes a flow that is stored. That another tab was faster is a
// conflict: what is written with it must not be without.
func (s *Server) amend(tx *db.Tx, r *http.Request, f *flow) error {
	if f.text == "" {
		return nil
	}
	payload, err := f.encode()
	if err != nil {
		return err
	}
	saved, err := s.Once.Amend(tx, f.text, s.use(r), f.version, payload)
	if err == nil && !saved {
		err = fault.New(fault.Conflict, codeFlowChanged, "this sign-in went on in another tab meanwhile")
	}
	f.version++
	return err
}

// mark is the browser's mark for counting its guesses apart from strangers':
// the one it has, or a new one to be set if somebody signs in.
func mark(r *http.Request) string {
	if m := web.Cookie(r, browserCookie(realm.From(r.Context()))); secret.Valid(credential.BrowserPrefix, m) {
		return m
	}
	return string(credential.NewBrowser())
}

// actor is whoever sent this request, before anything is known of them.
func actor(r *http.Request) audit.Actor {
	ip := ""
	if a := web.ClientIP(r.Context()); a.IsValid() {
		ip = a.String()
	}
	return audit.Actor{Kind: "anonymous", IP: ip, UserAgent: r.UserAgent()}
}

// actor is the account's owner, acting by this request.
func (a account) actor(r *http.Request) audit.Actor { return Actor(r, a.Session) }

// Actor is whoever is signed in with a session, acting by this request.
func Actor(r *http.Request, e *session.Session) audit.Actor {
	by := actor(r)
	by.Kind, by.ID, by.Session = "person", e.Principal, e.ID
	return by
}

// Stranger is whoever sent this request, before anything is known of them.
func Stranger(r *http.Request) audit.Actor { return actor(r) }

// FormToken is the token of a form of another door's page, named by what the
// form does and whom it is shown to.
func (s *Server) FormToken(w http.ResponseWriter, r *http.Request, purpose string) string {
	return s.forms.Token(w, r, s.purpose(r, purpose))
}

// CheckForm reports whether FormToken made token for this browser and purpose.
func (s *Server) CheckForm(r *http.Request, purpose, token string) error {
	return s.forms.Check(r, s.purpose(r, purpose), token)
}
