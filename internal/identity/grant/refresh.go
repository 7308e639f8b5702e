package grant

import (
	"bytes"
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// Grace is how long a client may repeat a refresh whose answer it lost. It gets
// the same successor as the first time, as long as that was not used.
const Grace = 10 * time.Second

// Outcome is how an attempt to refresh ended. Only OK and Repeated give tokens.
type Outcome int

// The outcomes. The zero value refuses.
const (
	Unknown  Outcome = iota // not a refresh token of this client, or its grant is dead
	OK                      // rotated, or renewed where tokens stay
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
	Token   secret.Text // the one to go on with; empty unless OK or Repeated
	Expires time.Time   // when that dies unused
}

// Refresh uses a refresh token of an authenticated client up and makes its
// successor. A token that is bound to a key or certificate needs the same one,
// named by bound; one that is not is bound by it from here on, unless bound is
// empty. Of any number of attempts one rotates; one more within [Grace]
// gets the same successor; any other has seen a token that two parties hold, so
// the grant dies with all its tokens (P-06). Every refusal is an outcome and
// not an error: what it marks is committed.
//
// Where the rules of the client say that refresh tokens stay, the token is not
// used up: it is proof of nothing without the client's key, and no answer can be
// lost (FAPI 2.0 Security Profile, section 5.3.2.1, note 1).
//
// That the principal, the session and the client are alive and that the scopes
// asked for are the grant's is checked by the Issue gate afterwards.
func (s *Store) Refresh(ctx context.Context, by audit.Actor, c *client.Client, token, bound string) (Rotation, error) {
	r, err := s.Realms.ByName(ctx, c.Realm)
	if err != nil {
		return Rotation{}, err
	}
	key, err := s.Ring.Secret(ctx, c.Realm, keyring.Derive)
	if err != nil {
		return Rotation{}, err
	}
	shown, ok := readRefresh(key, c.Realm, token)
	if !ok {
		return Rotation{}, nil
	}
	next, use := shown.next().encode(key, c.Realm), rotate
	if c.Rules(r).RefreshStays {
		next, use = secret.Text(token), renew
	}
	try := rotation{grant: shown.grant, used: secret.Hash(token), next: secret.Hash(string(next)), client: c.ID, life: c.Life, bound: bound, epoch: s.epoch()}
	idle := refreshIdle(r, c)

	var out Rotation
	var then []func(context.Context, error) error
	// READ COMMITTED: one statement decides who goes on, and it is one row.
	err = s.db.UpdateHot(ctx, c.Realm, func(tx *db.Tx) error {
		out, then = Rotation{}, nil
		try.idleUntil = tx.Now.Add(idle)
		g, dies, err := use(tx, try)
		if db.Missing(err) {
			return s.refuse(tx, by, r, shown, try, next, &out, &then)
		}
		if err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "grant.refresh", TargetType: "refresh", Target: g.ID})
		out = Rotation{OK, g, next, dies}
		return nil
	})
	for _, after := range then {
		err = after(ctx, err)
	}
	if err != nil {
		return Rotation{}, err
	}
	if out.Outcome == Reused {
		return out, s.endBelow(ctx, by, c.Realm, ancestor{Kind: "grant", ID: out.Grant.ID}, "refresh_reuse")
	}
	return s.guard(ctx, by, out)
}

// Misuse is a refresh token that should not have come.
type Misuse struct {
	Grant *Grant
	// Keyed says that it came with another key or certificate than the one it is
	// bound to. It was not used up by that. Otherwise it had been used before, and
	// the grant is dead.
	Keyed bool
	// Unused says that nobody has used its successor.
	Unused bool
}

// OnMisuse is what somebody else does about a misused refresh token, in the
// transaction that refuses it. What it returns runs after that, with how it ended.
type OnMisuse func(tx *db.Tx, by audit.Actor, r *realm.Realm, m Misuse) (after func(context.Context, error) error, err error)

// SetOnMisuse registers fn. Call it before anything is started.
func (s *Store) SetOnMisuse(fn OnMisuse) { s.onMisuse = append(s.onMisuse, fn) }

func (s *Store) tellMisuse(tx *db.Tx, by audit.Actor, r *realm.Realm, m Misuse, then *[]func(context.Context, error) error) error {
	for _, fn := range s.onMisuse {
		after, err := fn(tx, by, r, m)
		if err != nil {
			return err
		}
		if after != nil {
			*then = append(*then, after)
		}
	}
	return nil
}

// refuse finds out why a token could not be used, and kills its grant if
// somebody else has used it before.
func (s *Store) refuse(tx *db.Tx, by audit.Actor, r *realm.Realm, shown refreshText, try rotation, next secret.Text, out *Rotation, then *[]func(context.Context, error) error) error {
	g, f, err := withLast(tx, shown.grant)
	if db.Missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	holds := g.Client == try.client && (f.bound == "" || f.bound == try.bound)
	usable := f.epoch == s.epoch() && tx.Now.Before(f.idle)
	switch {
	case shown.generation == f.generation && bytes.Equal(f.hash, try.used):
		if holds && !usable {
			out.Outcome = Expired
		}
		if g.Client == try.client && f.bound != "" && f.bound != try.bound && usable && g.Alive(tx.Now) {
			return s.tellMisuse(tx, by, r, Misuse{Grant: g, Keyed: true}, then)
		}
		return nil
	case shown.generation >= f.generation:
		return nil // of a future that a restored backup does not know
	case shown.generation == f.generation-1 && holds && usable && bytes.Equal(f.hash, try.next) && tx.Now.Sub(f.rotated) <= Grace && g.Alive(tx.Now):
		// Nobody has used the successor: its answer may have been lost.
		*out = Rotation{Repeated, g, next, f.idle}
		return nil
	}
	if g, err = s.killOne(tx, by, g.ID, "refresh_reuse"); err != nil {
		return err
	}
	*out = Rotation{Outcome: Reused, Grant: g}
	unused := shown.generation == f.generation-1 && bytes.Equal(f.hash, try.next)
	return s.tellMisuse(tx, by, r, Misuse{Grant: g, Unused: unused}, then)
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

// KnowsRefresh finds the grant of a refresh token, whether it is still good or
// not, for revocation (RFC 7009). It is NotFound when there is none.
func (s *Store) KnowsRefresh(ctx context.Context, realm, token string) (*Grant, error) {
	g, _, _, err := s.findRefresh(ctx, realm, token)
	return g, err
}

// LiveRefresh is KnowsRefresh for introspection: the token must be unused, in
// time and of a living grant.
func (s *Store) LiveRefresh(ctx context.Context, realm, token string) (Live, error) {
	g, f, now, err := s.findRefresh(ctx, realm, token)
	if err != nil {
		return Live{}, err
	}
	if !bytes.Equal(f.hash, secret.Hash(token)) || f.epoch != s.epoch() || !now.Before(f.idle) || !g.Alive(now) {
		return Live{}, unknown(g.ID)
	}
	return Live{g, f.bound, f.idle}, nil
}

// Live is a refresh token that could be used now.
type Live struct {
	Grant   *Grant
	Bound   string    // see [New]
	Expires time.Time // when it dies unused
}

// findRefresh reads the grant that a token of ours names, and the time.
func (s *Store) findRefresh(ctx context.Context, realm, token string) (g *Grant, f lastRefresh, now time.Time, err error) {
	key, err := s.Ring.Secret(ctx, realm, keyring.Derive)
	if err != nil {
		return nil, f, now, err
	}
	shown, ok := readRefresh(key, realm, token)
	if !ok {
		return nil, f, now, unknown("")
	}
	err = s.db.View(ctx, realm, func(tx *db.Tx) (err error) {
		now = tx.Now
		g, f, err = withLast(tx, shown.grant)
		if db.Missing(err) {
			return unknown(shown.grant)
		}
		return err
	})
	return g, f, now, err
}
