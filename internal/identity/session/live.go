package session

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// seenPrecision is how exactly the last use of a session is written down.
const seenPrecision = time.Minute

// Store keeps the sessions of all realms. Those in use are held in memory and
// forgotten when an event says that they changed.
type Store struct {
	db         *db.DB
	log        *audit.Log
	realms     *realm.Registry
	principals *principal.Directory
	creds      *credential.Store
	cached     *cache.Cache[*Session]
	// ids maps the hash of a secret to its session for ever: a secret is never
	// given to another session. Whether it still is the session's, the session
	// itself says.
	ids   *cache.Cache[string]
	onEnd []func(tx *db.Tx, ids []string) error
}

// NewStore returns the store. Call it before the log is started.
func NewStore(d *db.DB, log *audit.Log, realms *realm.Registry, principals *principal.Directory, creds *credential.Store) *Store {
	s := &Store{db: d, log: log, realms: realms, principals: principals, creds: creds,
		cached: cache.New("sessions", 32<<20, 16<<20, func(s *Session) int { return 768 + len(s.UserAgent) + len(s.Proofs) }),
		ids:    cache.New("session secrets", 16<<20, 8<<20, func(string) int { return 96 }),
	}
	log.Follow("sessions", s.follow, s.cached.DropAll)
	return s
}

func (s *Store) follow(e audit.Record) {
	switch {
	case e.Action == "session.begin": // nobody can have remembered it before
	case e.Action == "session.end_all":
		ids, _ := e.Data["sessions"].(string)
		for id := range strings.FieldsSeq(ids) {
			s.cached.Drop(e.Realm, id)
		}
	case strings.HasPrefix(e.Action, "session."):
		s.cached.Drop(e.Realm, e.Target)
	case e.Action == "realm.delete":
		s.cached.DropRealm(e.Target)
	}
}

// Begin signs somebody in. It proves in the same transaction that principal and
// credential are alive, and notes that the browser has signed in.
func (s *Store) Begin(ctx context.Context, by audit.Actor, name string, n New) (b Begun, err error) {
	r, err := s.realms.ByName(ctx, name)
	if err != nil {
		return Begun{}, err
	}
	err = s.db.Update(ctx, name, func(tx *db.Tx) error {
		b, err = BeginTx(tx, by, r.Settings, n)
		return err
	})
	if err != nil {
		return Begun{}, err
	}
	return b, nil
}

// BeginTx is Begin within a transaction, which must be serializable.
func BeginTx(tx *db.Tx, by audit.Actor, settings realm.Settings, n New) (Begun, error) {
	text := secret.New(SecretPrefix)
	e := &Session{ID: id.New("ses", tx.Now), Principal: n.Principal, Browser: credential.BrowserHash(n.Browser), CreatedAt: tx.Now,
		ExpiresAt: tx.Now.Add(settings.SessionAbsolute)}
	ground := n.Ground.of(tx, n.Principal, n.Browser, n.Credential)
	err := e.prove(tx, settings, text, Proof{n.Credential, n.ACR, n.AMR, n.AuthTime, n.Proofs, n.IP, n.UserAgent, ground})
	if err != nil {
		return Begun{}, err
	}
	if err := ground.remember(ground.habit); err != nil {
		return Begun{}, err
	}
	if err := insert(tx, e); err != nil {
		return Begun{}, err
	}
	audit.Append(tx, by, audit.Event{Action: "session.begin", TargetType: "session", Target: e.ID,
		Data: map[string]any{"principal": e.Principal, "credential": e.Credential, "amr": strings.Join(e.AMR, " "), "acr": e.ACR}})
	return Begun{e, text}, nil
}

// prove notes a proof, if those behind it are alive, and gives e a new secret.
func (e *Session) prove(tx *db.Tx, settings realm.Settings, text secret.Text, p Proof) error {
	ground := p.Ground.of(tx, e.Principal, "", p.Credential)
	who, err := ground.Life()
	if err != nil {
		return err
	}
	c, err := ground.Credential(p.Credential)
	if err != nil {
		return err
	}
	if c.Principal != e.Principal {
		return fault.New(fault.Forbidden, "credential_foreign", "credential %q belongs to another principal", c.ID)
	}
	e.era, e.hash = who.Era, secret.Hash(string(text))
	e.Credential, e.ACR, e.AMR = c.ID, p.ACR, slices.Clone(p.AMR)
	e.IP, e.UserAgent = clip(p.IP, 64), strings.ToValidUTF8(clip(p.UserAgent, 400), "")
	e.Proofs, e.AuthTime, e.LastSeenAt = p.Proofs, p.AuthTime, tx.Now
	if e.AuthTime.IsZero() || e.AuthTime.After(tx.Now) {
		e.AuthTime = tx.Now
	}
	for _, until := range []time.Time{who.Until, c.ExpiresAt} {
		if !until.IsZero() && until.Before(e.ExpiresAt) {
			e.ExpiresAt = until
		}
	}
	e.IdleUntil = tx.Now.Add(settings.SessionIdle)
	return nil
}

// Renew notes a fresh proof by somebody who is signed in: a new time of
// authentication and a new secret, the old one being dead from then on. The
// session's latest end stays.
func (s *Store) Renew(ctx context.Context, by audit.Actor, name, id string, p Proof) (b Begun, err error) {
	r, err := s.realms.ByName(ctx, name)
	if err != nil {
		return Begun{}, err
	}
	err = s.db.Update(ctx, name, func(tx *db.Tx) error {
		b, err = RenewTx(tx, by, r.Settings, id, p)
		return err
	})
	if err != nil {
		return Begun{}, err
	}
	return b, nil
}

// RenewTx is Renew within a transaction, which must be serializable.
func RenewTx(tx *db.Tx, by audit.Actor, settings realm.Settings, id string, p Proof) (Begun, error) {
	e, err := LiveTx(tx, id)
	if err != nil {
		return Begun{}, err
	}
	text := secret.New(SecretPrefix)
	if err := e.prove(tx, settings, text, p); err != nil {
		return Begun{}, err
	}
	if err := renew(tx, e); err != nil {
		return Begun{}, err
	}
	audit.Append(tx, by, audit.Event{Action: "session.renew", TargetType: "session", Target: id,
		Data: map[string]any{"principal": e.Principal, "credential": e.Credential, "amr": strings.Join(e.AMR, " "), "acr": e.ACR}, Invalidates: true})
	return Begun{e, text}, nil
}

// FromCookie returns the living sessions whose secrets a cookie holds, joined
// by dots, in their order. What is malformed, unknown or dead is left out, so
// that nobody is signed in by it; errors mean that it could not be found out.
func (s *Store) FromCookie(ctx context.Context, name, cookie string) ([]*Session, error) {
	var all []*Session
	for i, text := range strings.SplitN(cookie, ".", MaxInBrowser+1) {
		if i == MaxInBrowser {
			break
		}
		e, err := s.FromSecret(ctx, name, text)
		switch {
		case fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden):
		case err != nil:
			return nil, err
		case slices.ContainsFunc(all, func(other *Session) bool { return other.ID == e.ID }):
		default:
			all = append(all, e)
		}
	}
	return all, nil
}

// FromSecret returns the living session that a secret opens, and notes its use.
// An unknown secret is fault.NotFound, a dead session fault.Unauthenticated.
// A node that may have missed a death says fault.Unavailable.
func (s *Store) FromSecret(ctx context.Context, name, text string) (*Session, error) {
	if !secret.Valid(SecretPrefix, text) {
		return nil, unknown()
	}
	if err := s.log.Live(); err != nil {
		return nil, err
	}
	hash := secret.Hash(text)
	id, err := s.ids.Get(name, hex.EncodeToString(hash), func() (id string, err error) {
		err = s.db.Glance(ctx, name, func(tx *db.Tx) error {
			id, err = idBySecret(tx, hash)
			return err
		})
		return id, err
	})
	if err != nil {
		return nil, err
	}
	e, err := s.Live(ctx, name, id)
	if err != nil {
		return nil, err
	}
	if !secret.Equal(e.hash, hash) {
		return nil, dead() // replaced when its owner proved anew
	}
	return s.seen(ctx, name, e)
}

// Live returns a session from memory if it is alive, and so are the principal
// and the credential it was born of. Otherwise the error is
// fault.Unauthenticated, or fault.NotFound if there never was one.
func (s *Store) Live(ctx context.Context, name, id string) (*Session, error) {
	e, err := s.cachedByID(ctx, name, id)
	if err != nil {
		return nil, err
	}
	if now := s.db.Now(); !e.live(now) && e.EndedAt.IsZero() && now.Before(e.ExpiresAt) {
		// Idle as far as this node knows; another may have seen it since.
		s.cached.Drop(name, id)
		if e, err = s.cachedByID(ctx, name, id); err != nil {
			return nil, err
		}
	}
	if !e.live(s.db.Now()) {
		return nil, dead()
	}
	who, err := s.principals.Live(ctx, name, e.Principal)
	if err != nil {
		return nil, gone(err)
	}
	if who.Era != e.era {
		return nil, dead()
	}
	if _, err := s.creds.Live(ctx, name, e.Credential); err != nil {
		return nil, gone(err)
	}
	return e, nil
}

// gone turns the death of an ancestor into that of the session.
func gone(err error) error {
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
		return dead()
	}
	return err
}

func (s *Store) cachedByID(ctx context.Context, name, sessionID string) (*Session, error) {
	return s.cached.Get(name, sessionID, func() (*Session, error) {
		if !id.Valid("ses", sessionID) {
			return nil, unknown()
		}
		return s.ByID(ctx, name, sessionID)
	})
}

// seen writes the use of a session down, at most once a minute.
func (s *Store) seen(ctx context.Context, name string, e *Session) (*Session, error) {
	r, err := s.realms.ByName(ctx, name)
	if err != nil {
		return nil, err
	}
	precision := min(seenPrecision, r.Settings.SessionIdle/10)
	if s.db.Now().Sub(e.LastSeenAt) < precision {
		return e, nil
	}
	err = s.db.UpdateRC(ctx, name, func(tx *db.Tx) error { return touch(tx, e.ID, r.Settings.SessionIdle, precision) })
	if err != nil {
		return nil, err
	}
	s.cached.Drop(name, e.ID)
	return s.Live(ctx, name, e.ID)
}

// LiveTx is Live for what is to be born of the session in this transaction. It
// holds the session's row until the commit, at any isolation, so that no death
// can come between. A death that waits is not overtaken by further births.
func LiveTx(tx *db.Tx, id string) (*Session, error) {
	return AskLive(tx, id, func(e *Session) (principal.Life, error) {
		if _, err := credential.AliveTx(tx, e.Credential); err != nil {
			return principal.Life{}, err
		}
		return principal.LiveTx(tx, e.Principal)
	})()
}

// AskLive asks for what LiveTx returns, without waiting yet. life proves that the
// credential of the session is alive, and tells the life of its principal.
func AskLive(tx *db.Tx, id string, life func(*Session) (principal.Life, error)) func() (*Session, error) {
	answer := held(tx, id)
	return func() (*Session, error) {
		e, err := answer()
		if err != nil {
			return nil, err
		}
		if !e.live(tx.Now) {
			return nil, dead()
		}
		who, err := life(e)
		if err != nil {
			return nil, gone(err)
		}
		if who.Era != e.era {
			return nil, dead()
		}
		return e, nil
	}
}
