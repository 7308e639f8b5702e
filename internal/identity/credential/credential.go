// Package credential owns what principals prove themselves with: passwords of
// people, secrets and public keys of clients. One table, one file per type, and
// one rule for all: revoking a credential kills what was born of it. The
// credential's death is committed first; sessions and grants below are ended by
// package grant. What is born of a credential calls [LiveTx] in the transaction
// of its birth.
//
// Guesses are limited here as well: how many an account suffers (attempts), of
// passwords and, apart from them, of second factors, and which browsers have
// signed in to it before (browsers). Second factors are [Factors]' business.
package credential

import (
	"context"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// Type says what kind of proof a credential is.
type Type string

// The types of credentials.
const (
	Password     Type = "password"      // human; argon2id
	ClientSecret Type = "client_secret" // made by Cardea, 256 bits, kept as hash
	SealedSecret Type = "sealed_secret" // the same, kept sealed for clients that sign with it
	PublicKey    Type = "public_key"    // a JSON Web Key whose private half somebody else has
	KeySet       Type = "key_set"       // the URL at which a client publishes such keys
	Federated    Type = "federated"     // the word of an issuer that the realm trusts
	Passkey      Type = "passkey"       // a key in a device, of WebAuthn
	TOTP         Type = "totp"          // time-based codes (RFC 6238); its secret is kept sealed
	Mailbox      Type = "email"         // the word of whoever reads the mail to an address
	Recovery     Type = "recovery"      // a set of codes for the day when a factor is lost
)

// Factor reports whether people prove themselves with it beside a password or in
// place of one, so that an operator may take it from them.
func (t Type) Factor() bool { return t == TOTP || t == Recovery || t == Passkey }

// Credential is one proof that a principal has. What it is checked against
// never leaves this package.
type Credential struct {
	ID         string
	Principal  string
	Type       Type
	Name       string // what people call it; the kid of a public key
	MustChange bool   // the password is known to be compromised: accept it only to change it
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time // kept for what people prove themselves with
	RevokedAt  time.Time // zero: not revoked
	Version    int64

	data    string
	handle  string // what the world calls it, "" for most types; unique in the realm for ever
	counter int64  // see the migration
}

// alive reports whether c proves anything at now.
func (c *Credential) alive(now time.Time) bool {
	return c.ID != "" && c.RevokedAt.IsZero() && (c.ExpiresAt.IsZero() || now.Before(c.ExpiresAt))
}

// Store keeps the credentials of all realms. What clients prove themselves with
// is held in memory and forgotten when an event says that it changed.
type Store struct {
	db       *db.DB
	box      *secret.Box
	byID     *cache.Cache[*Credential]
	byOwn    *cache.Cache[*keychain] // by principal: its living secrets and keys
	byHandle *cache.Cache[whose]     // by handle: whose a passkey is
}

// whose is the credential that a handle belongs to, for ever, and the name by
// which authenticators know its owner.
type whose struct{ id, user string }

// NewStore returns the store. Call it before the log is started. box seals the
// secrets that clients sign with.
func NewStore(d *db.DB, log *audit.Log, box *secret.Box) *Store {
	s := &Store{db: d, box: box,
		byID:     cache.New("credentials", 16<<20, 8<<20, func(c *Credential) int { return 384 + len(c.data) }),
		byOwn:    cache.New("client credentials", 32<<20, 16<<20, func(k *keychain) int { return k.size() }),
		byHandle: cache.New("passkeys", 16<<20, 8<<20, func(n whose) int { return 32 + len(n.id) + len(n.user) }),
	}
	log.Follow("credentials", s.follow, func() { s.byID.DropAll(); s.byOwn.DropAll(); s.byHandle.DropAll() })
	return s
}

func (s *Store) follow(e audit.Record) {
	switch {
	case strings.HasPrefix(e.Action, "credential."):
		s.byID.Drop(e.Realm, e.Target)
		if replaced, ok := e.Data["replaces"].(string); ok {
			s.byID.Drop(e.Realm, replaced)
		}
		owner, _ := e.Data["principal"].(string)
		s.byOwn.Drop(e.Realm, owner)
	case e.Action == "realm.delete":
		s.byID.DropRealm(e.Target)
		s.byOwn.DropRealm(e.Target)
		s.byHandle.DropRealm(e.Target)
	}
}

// List returns what a principal proves itself with: neither revoked nor expired.
func (s *Store) List(ctx context.Context, realm, principal string) (all []Credential, err error) {
	err = s.db.Glance(ctx, realm, func(tx *db.Tx) error {
		all, err = living(tx, principal)
		return err
	})
	return all, err
}

// ByID reads a credential, revoked ones too, or returns fault.NotFound.
func (s *Store) ByID(ctx context.Context, realm, id string) (c Credential, err error) {
	err = s.db.Glance(ctx, realm, func(tx *db.Tx) error {
		c, err = byID(tx, id)
		return err
	})
	return c, err
}

// Live returns a credential from memory if it is neither revoked nor expired;
// otherwise the error is fault.Forbidden or fault.NotFound.
func (s *Store) Live(ctx context.Context, realm, credential string) (Credential, error) {
	c, err := s.byID.Get(realm, credential, func() (*Credential, error) {
		if !id.Valid("crd", credential) {
			return nil, unknown(credential)
		}
		c, err := s.ByID(ctx, realm, credential)
		return &c, err
	})
	if err != nil {
		return Credential{}, err
	}
	if !c.alive(s.db.Now()) {
		return Credential{}, dead(credential)
	}
	return *c, nil
}

// PeekAlive reports whether a credential is known, from memory and without
// waiting, to be neither revoked nor expired.
func (s *Store) PeekAlive(realm, credential string, now time.Time) bool {
	c, ok := s.byID.Peek(realm, credential)
	return ok && c.alive(now)
}

// Revoked lists the ids of a principal's credentials that were revoked within the
// given time.
func (s *Store) Revoked(ctx context.Context, realm, principal string, within time.Duration) (ids []string, err error) {
	err = s.db.View(ctx, realm, func(tx *db.Tx) error {
		ids, err = revokedSince(tx, principal, tx.Now.Add(-within))
		return err
	})
	return ids, err
}

// LivingTx is List within a transaction.
func LivingTx(tx *db.Tx, principal string) ([]Credential, error) { return living(tx, principal) }

// LiveTx is Live for what is to be born of the credential in this transaction.
// It holds the row until the commit, at any isolation, so that no revocation
// can come between.
func LiveTx(tx *db.Tx, id string) (Credential, error) { return AskLive(tx, id)() }

// AskLive asks for what LiveTx returns, without waiting yet.
func AskLive(tx *db.Tx, id string) func() (Credential, error) {
	answer := held(tx, id)
	return func() (Credential, error) {
		c, err := answer()
		if err == nil && !c.alive(tx.Now) {
			return Credential{}, dead(id)
		}
		return c, err
	}
}

// AliveTx is LiveTx without holding the row: for what is proved by something
// else that hangs on the credential and is held.
func AliveTx(tx *db.Tx, id string) (Credential, error) {
	c, err := byID(tx, id)
	if err == nil && !c.alive(tx.Now) {
		return Credential{}, dead(id)
	}
	return c, err
}

// Revoke ends a credential for ever. It is a death: sessions and grants born of
// it are ended afterwards, which package grant does in one call.
func (s *Store) Revoke(ctx context.Context, by audit.Actor, realm, id, reason string) error {
	return s.db.Update(ctx, realm, func(tx *db.Tx) error { return RevokeTx(tx, by, id, reason) })
}

// RevokeTx is Revoke within a transaction. A credential that is revoked already
// stays so, and the commit waits as for the first time.
func RevokeTx(tx *db.Tx, by audit.Actor, id, reason string) error {
	c, err := byID(tx, id)
	if err != nil {
		return err
	}
	if !c.RevokedAt.IsZero() {
		audit.Barrier(tx)
		return nil
	}
	if err := revoke(tx, id); err != nil {
		return err
	}
	if c.Type.Factor() {
		if err := ChangedTx(tx, c.Principal); err != nil {
			return err
		}
	}
	audit.Append(tx, by, audit.Event{Action: "credential.revoke", TargetType: string(c.Type), Target: id,
		Data: map[string]any{"principal": c.Principal, "reason": reason}, Invalidates: true})
	return nil
}

// create writes a credential of a living principal and its event, which names
// the credential that died for it, if any.
func create(tx *db.Tx, by audit.Actor, c Credential, replaces string) (Credential, error) {
	if _, err := principal.LiveTx(tx, c.Principal); err != nil {
		return c, err
	}
	if c.ID == "" {
		c.ID = id.New("crd", tx.Now)
	}
	c.CreatedAt, c.Version = tx.Now, 1
	if err := insert(tx, c); err != nil {
		return c, err
	}
	data := map[string]any{"principal": c.Principal}
	if replaces != "" {
		data["replaces"] = replaces
	}
	// Nodes hold lists of a principal's credentials, which a new one changes.
	audit.Append(tx, by, audit.Event{Action: "credential.create", TargetType: string(c.Type), Target: c.ID, Data: data, Invalidates: true})
	return c, nil
}

func checkName(name string) error {
	if len(name) > 120 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fault.New(fault.Invalid, "name_invalid", "a credential's name has at most 120 printable characters").WithField("name", "at most 120 printable characters")
	}
	return nil
}

func unknown(id string) error {
	return fault.New(fault.NotFound, "credential_unknown", "there is no credential %q", id)
}

func dead(id string) error {
	return fault.New(fault.Forbidden, "credential_dead", "credential %q is revoked or expired", id)
}
