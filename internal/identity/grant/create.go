package grant

import (
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/secret"
)

// New describes a grant to be given.
type New struct {
	// ID is chosen beforehand with NewID where something must name the grant
	// before it is born. Empty: one is made up.
	ID        string
	Kind      Kind
	Principal string
	Client    string

	Session    string // the session it comes of; with Offline it does not hang on it afterwards
	Credential string // the credential it comes of
	Parent     string // the grant it comes of, whose scopes it cannot exceed
	Actor      string
	// Consent says that the grant needs the principal's remembered consent to
	// the scopes. Only first-party clients go without.
	Consent bool
	Offline bool

	Scopes   []string
	Audience []string
	Claims   string
	Details  string
	ACR      string
	AMR      []string
	AuthTime time.Time

	// Refresh asks for a refresh token.
	Refresh bool
	// Bound is the key or certificate that must be shown with the refresh
	// token, if any (RFC 9449, section 5; RFC 8705, section 4).
	Bound string
}

// NewID makes the id of a grant that is to be born at now.
func NewID(now time.Time) string { return id.New("gnt", now) }

// CreateTx gives a grant, and the first refresh token of its family if asked
// for. Everything the grant hangs on is proved alive in this transaction, in a
// way that conflicts with its death: either the birth fails or the death finds
// the child. What is dead is fault.Forbidden.
func (s *Store) CreateTx(tx *db.Tx, by audit.Actor, slot Slot, n New) (*Grant, secret.Text, error) {
	g, c, err := s.prove(tx, slot, n)
	if err != nil {
		return nil, "", err
	}
	var refresh secret.Text
	var first lastRefresh
	if n.Refresh {
		refresh = firstRefresh(g.ID).encode(slot.key, tx.Realm)
		first = lastRefresh{hash: secret.Hash(string(refresh)), generation: 1, bound: n.Bound, epoch: slot.epoch, idle: earliest(tx.Now.Add(refreshIdle(slot.realm, c)), g.Expires)}
	}
	if err := insertGrant(tx, g, first); err != nil {
		return nil, "", err
	}
	audit.Append(tx, by, audit.Event{Action: "grant.create", TargetType: "grant", Target: g.ID, Data: map[string]any{
		"kind": string(g.Kind), "principal": g.Principal, "client": g.Client, "scope": join(g.Scopes), "offline": g.Offline}})
	return g, refresh, nil
}

// prove reads every ancestor and computes how long the grant may live: never
// longer than any of them.
func (s *Store) prove(tx *db.Tx, slot Slot, n New) (*Grant, *client.Client, error) {
	if slot.bit.List == "" || slot.realm.Name != tx.Realm {
		return nil, nil, fault.New(fault.Internal, "slot_missing", "a grant needs a status index of its realm")
	}
	if slot.epoch != s.epoch() {
		return nil, nil, fault.New(fault.Unavailable, "epoch_changed", "the database has failed over; try again")
	}
	askedLife, askedClient := s.askLife(tx, n.Principal), s.askClient(tx, n.Client)
	proveSession := s.askSession(tx, n, askedLife)
	life, err := askedLife()
	if err != nil {
		return nil, nil, err
	}
	c, err := askedClient()
	if err != nil {
		return nil, nil, err
	}
	g := &Grant{Realm: tx.Realm, ID: n.ID, Kind: n.Kind, Principal: n.Principal, Era: life.Era, Client: n.Client, clientLife: c.Life,
		Session: n.Session, Credential: n.Credential, Parent: n.Parent, Actor: n.Actor, Consent: n.Consent, Offline: n.Offline,
		Scopes: Scopes(n.Scopes), Audience: slices.Clone(n.Audience), Claims: n.Claims, Details: n.Details, ACR: n.ACR, AMR: slices.Clone(n.AMR), AuthTime: n.AuthTime,
		Status: slot.bit, Created: tx.Now, Expires: life.Until, Version: 1}
	if g.ID == "" {
		g.ID = NewID(tx.Now)
	}
	for _, prove := range []func(*db.Tx, *Grant) error{proveSession, s.proveActor, proveCredential, proveParent, proveConsent, s.proveAwake} {
		if err := prove(tx, g); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case n.Refresh:
		g.Expires = earliest(g.Expires, tx.Now.Add(refreshAbsolute(slot.realm, c)))
	case !g.Stands():
		// Nothing renews it, so it need not outlive the tokens issued with it.
		g.Expires = earliest(g.Expires, tx.Now.Add(tokenLife(slot.realm, c)+time.Minute))
	}
	return g, c, nil
}

// Rows that many births share are read without a lock, since the counters that
// the grant keeps show later whether a death came between. So what this node
// has in memory is as good as the row, and costs no statement.

func (s *Store) askLife(tx *db.Tx, id string) func() (principal.Life, error) {
	if life, ok := s.Principals.PeekLive(tx.Realm, id, tx.Now); ok {
		return func() (principal.Life, error) { return life, nil }
	}
	return principal.AskLive(tx, id)
}

func (s *Store) askClient(tx *db.Tx, id string) func() (*client.Client, error) {
	if c, ok := s.Clients.PeekAlive(tx.Realm, id); ok {
		return func() (*client.Client, error) { return c, nil }
	}
	return client.AskAlive(tx, id)
}

// credentialAlive proves the credential of a session that is held: the death of
// a credential ends its sessions, and so waits for this transaction.
func (s *Store) credentialAlive(tx *db.Tx, id string) error {
	if s.Credentials.PeekAlive(tx.Realm, id, tx.Now) {
		return nil
	}
	_, err := credential.AliveTx(tx, id)
	return err
}

// askSession asks for the session, which shares the life of the principal that
// it must be of, and returns what checks the answer.
func (s *Store) askSession(tx *db.Tx, n New, life func() (principal.Life, error)) func(*db.Tx, *Grant) error {
	if n.Session == "" {
		return func(*db.Tx, *Grant) error { return nil }
	}
	answer := session.AskLive(tx, n.Session, func(e *session.Session) (principal.Life, error) {
		if err := s.credentialAlive(tx, e.Credential); err != nil {
			return principal.Life{}, err
		}
		if e.Principal != n.Principal {
			return principal.LiveTx(tx, e.Principal)
		}
		return life()
	})
	return func(_ *db.Tx, g *Grant) error {
		live, err := answer()
		if err != nil {
			return err
		}
		if live.Principal != g.Principal {
			return dies(g.ID, "its session belongs to somebody else")
		}
		if !g.Offline {
			g.Expires = earliest(g.Expires, live.ExpiresAt)
		}
		return nil
	}
}

// SetDormant registers what refuses a principal whose account waits for its owner
// to sign in, such as one that is about to be deleted. Call it before anything is
// started.
func (s *Store) SetDormant(fn func(tx *db.Tx, id string) error) { s.dormant = fn }

// proveAwake refuses a grant for a dormant account, or one that acts. Sign-in asks
// its owner, so only who comes by none, such as by the word of another issuer, is
// left to ask about.
func (s *Store) proveAwake(tx *db.Tx, g *Grant) error {
	if s.dormant == nil {
		return nil
	}
	if g.Actor != "" {
		if err := s.dormant(tx, g.Actor); err != nil {
			return err
		}
	}
	if g.Session != "" || g.Parent != "" {
		return nil
	}
	return s.dormant(tx, g.Principal)
}

// proveActor notes the era of who acts: the grant dies with either of them.
func (s *Store) proveActor(tx *db.Tx, g *Grant) error {
	if g.Actor == "" {
		return nil
	}
	life, err := s.askLife(tx, g.Actor)()
	if err != nil {
		return err
	}
	g.ActorEra, g.Expires = life.Era, earliest(g.Expires, life.Until)
	return nil
}

func proveCredential(tx *db.Tx, g *Grant) error {
	if g.Credential == "" {
		return nil
	}
	live, err := credential.LiveTx(tx, g.Credential)
	if err != nil {
		return err
	}
	if live.Principal != g.Principal {
		return dies(g.ID, "its credential belongs to somebody else")
	}
	g.Expires = earliest(g.Expires, live.ExpiresAt)
	return nil
}

// proveParent checks the grant that this one comes of. The child hangs on
// everything that the parent hangs on. Below a grant with offline access it does
// not name the session, which may have ended.
func proveParent(tx *db.Tx, g *Grant) error {
	if g.Parent == "" {
		return nil
	}
	p, err := heldGrant(tx, g.Parent)
	if err != nil {
		return err
	}
	if !p.Alive(tx.Now) {
		return dies(p.ID, "it was revoked or has expired")
	}
	sameSession := p.Session == g.Session || p.Offline && g.Session == ""
	if p.Principal != g.Principal || !sameSession || p.Offline != g.Offline || !p.Allows(g.Scopes) {
		return dies(g.ID, "it exceeds the grant it comes of")
	}
	g.Expires = earliest(g.Expires, p.Expires)
	return nil
}

func proveConsent(tx *db.Tx, g *Grant) error {
	if !g.Consent {
		return nil
	}
	c, err := heldConsent(tx, g.Principal, g.Client)
	if db.Missing(err) {
		return dies(g.ID, "there is no consent")
	}
	if err != nil {
		return err
	}
	if !c.Covers(g.Scopes) {
		return dies(g.ID, "the consent does not cover its scopes")
	}
	if g.Created.Before(c.Created) {
		// Given on another node a moment ago; a grant is no older than what it
		// rests on.
		g.Created = c.Created
	}
	return nil
}

// earliest returns the first of two instants; zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
