package grant

import (
	"bytes"
	"context"
	"encoding/base64"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/secret"
)

// RefreshPrefix begins every refresh token.
const RefreshPrefix = "cdr_"

// Grace is how long a client may repeat a refresh whose answer it lost. It gets
// the same successor as the first time, as long as that was not used.
const Grace = 10 * time.Second

// Outcome is how an attempt to refresh ended. Only OK and Repeated give tokens.
type Outcome int

// The outcomes. The zero value refuses.
const (
	Unknown  Outcome = iota // not a refresh token of this client, or its grant is dead
	OK                      // rotated
	Repeated                // within the grace: the same successor as before
	Reused                  // used before: the grant has been revoked
	Expired                 // its time is over, or its epoch is
)

func (o Outcome) String() string {
	return [...]string{"unknown", "ok", "repeated", "reused", "expired"}[o]
}

// Rotation is the result of a refresh.
type Rotation struct {
	Outcome Outcome
	Grant   *Grant      // nil unless OK, Repeated or Reused
	Token   secret.Text // the successor; empty unless OK or Repeated
	Expires time.Time   // when the successor dies unused
}

// Refresh uses a refresh token of an authenticated client up and makes its
// successor. A token that is bound to a key or certificate needs the same one,
// named by bound; one that is not is bound by it from here on, unless bound is
// empty. Of any number of attempts one rotates; one more within [Grace]
// gets the same successor; any other has seen a token that two parties hold, so
// the grant dies with all its tokens (P-06). Every refusal is an outcome and
// not an error: what it marks is committed.
//
// That the principal, the session and the client are alive and that the scopes
// asked for are the grant's is checked by the Issue gate afterwards.
func (s *Store) Refresh(ctx context.Context, by audit.Actor, c *client.Client, token, bound string) (Rotation, error) {
	if !secret.Valid(RefreshPrefix, token) {
		return Rotation{}, nil
	}
	r, err := s.Realms.ByName(ctx, c.Realm)
	if err != nil {
		return Rotation{}, err
	}
	key, err := s.Ring.Secret(ctx, c.Realm, keyring.Derive)
	if err != nil {
		return Rotation{}, err
	}
	hash := secret.Hash(token)
	next := successor(key, c.Realm, hash)
	idle := refreshIdle(r, c)

	var out Rotation
	// READ COMMITTED: consumeRefresh alone decides who rotates, and that a family
	// has one token of each generation holds even if it did not.
	err = s.db.UpdateHot(ctx, c.Realm, func(tx *db.Tx) error {
		out = Rotation{}
		used, g, err := consumeRefresh(tx, hash, c.ID, bound, s.epoch(), c.Life)
		switch {
		case err == nil:
			used.bound = bound // the same, or the first
			return s.succeed(tx, by, used, g, next, idle, &out)
		case db.Missing(err):
			return s.refuse(tx, by, hash, next, holder{c.ID, bound}, &out)
		}
		return err
	})
	if err != nil {
		return Rotation{}, err
	}
	if out.Outcome == Reused {
		return out, s.endBelow(ctx, by, c.Realm, ancestor{Kind: "grant", ID: out.Grant.ID}, "refresh_reuse")
	}
	return s.guard(ctx, by, out)
}

// succeed makes the successor of a token that was just consumed.
func (s *Store) succeed(tx *db.Tx, by audit.Actor, used refreshToken, g *Grant, next secret.Text, idle time.Duration, out *Rotation) error {
	t := refreshToken{hash: secret.Hash(string(next)), grant: used.grant, client: used.client, bound: used.bound, epoch: used.epoch, generation: used.generation + 1, predecessor: used.hash,
		issued: tx.Now, idle: earliest(tx.Now.Add(idle), used.expires), expires: used.expires}
	if err := insertRefresh(tx, t); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "grant.refresh", TargetType: "refresh", Target: used.grant})
	*out = Rotation{OK, g, next, t.idle}
	return nil
}

// holder is who presents a refresh token.
type holder struct{ client, bound string }

// has reports whether the token may be his.
func (h holder) has(t refreshToken) bool {
	return t.client == h.client && (t.bound == "" || t.bound == h.bound)
}

// refuse finds out why a token could not be consumed, and kills its grant if
// somebody else has used it.
func (s *Store) refuse(tx *db.Tx, by audit.Actor, hash []byte, next secret.Text, who holder, out *Rotation) error {
	t, err := refreshByHash(tx, hash)
	if db.Missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if t.consumed.IsZero() {
		if who.has(t) && (t.epoch != s.epoch() || !tx.Now.Before(t.idle)) {
			out.Outcome = Expired
		}
		return nil
	}
	if who.has(t) && tx.Now.Sub(t.consumed) <= Grace {
		repeated, err := s.repeat(tx, t, next, who, out)
		if err != nil || repeated {
			return err
		}
	}
	g, err := s.killOne(tx, by, t.grant, "refresh_reuse")
	if err != nil {
		return err
	}
	*out = Rotation{Outcome: Reused, Grant: g}
	return nil
}

// repeat gives the successor once more while nobody has used it and the grant
// is alive.
func (s *Store) repeat(tx *db.Tx, used refreshToken, next secret.Text, who holder, out *Rotation) (bool, error) {
	t, err := refreshByHash(tx, secret.Hash(string(next)))
	if db.Missing(err) {
		return false, nil
	}
	if err != nil || !who.has(t) || !t.consumed.IsZero() || !bytes.Equal(t.predecessor, used.hash) || t.epoch != s.epoch() || !tx.Now.Before(t.idle) {
		return false, err
	}
	g, err := byID(tx, t.grant)
	if err != nil || !g.Alive(tx.Now) {
		return false, err
	}
	*out = Rotation{Repeated, g, next, t.idle}
	return true, nil
}

// successor computes the token that follows another. Only a holder of the
// realm's key can, so the database alone does not tell it.
func successor(key []byte, realm string, hash []byte) secret.Text {
	b := secret.Derive(key, "refresh token successor", realm, base64.RawURLEncoding.EncodeToString(hash))
	return secret.Text(secret.Encode(RefreshPrefix, b))
}

// guard refuses a grant that this node knows to be dead although the database
// says that it lives: a failover may have lost its death.
func (s *Store) guard(ctx context.Context, by audit.Actor, out Rotation) (Rotation, error) {
	if out.Grant == nil {
		return out, nil
	}
	gone, err := s.Status.Killed(ctx, out.Grant.Realm, out.Grant.Status)
	if err != nil || !gone {
		return out, err
	}
	return Rotation{}, s.Revoke(ctx, by, out.Grant.Realm, out.Grant.ID, "died before a failover")
}

// KnowsRefresh finds the grant and client of a refresh token, whether it is
// still good or not, for revocation (RFC 7009). It is NotFound when there is none.
func (s *Store) KnowsRefresh(ctx context.Context, realm, token string) (g *Grant, err error) {
	if !secret.Valid(RefreshPrefix, token) {
		return nil, unknown("")
	}
	err = s.db.View(ctx, realm, func(tx *db.Tx) error {
		t, err := refreshByHash(tx, secret.Hash(token))
		if err != nil {
			return err
		}
		g, err = byID(tx, t.grant)
		return err
	})
	return g, err
}

// LiveRefresh is KnowsRefresh for introspection: the token must be unused, in
// time and of a living grant. It also returns when the token dies unused.
func (s *Store) LiveRefresh(ctx context.Context, realm, token string) (g *Grant, idle time.Time, err error) {
	if !secret.Valid(RefreshPrefix, token) {
		return nil, time.Time{}, unknown("")
	}
	err = s.db.View(ctx, realm, func(tx *db.Tx) error {
		t, err := refreshByHash(tx, secret.Hash(token))
		if err != nil {
			return err
		}
		if !t.consumed.IsZero() || t.epoch != s.epoch() || !tx.Now.Before(t.idle) {
			return unknown(t.grant)
		}
		idle = t.idle
		if g, err = byID(tx, t.grant); err == nil && !g.Alive(tx.Now) {
			return unknown(t.grant)
		}
		return err
	})
	return g, idle, err
}
