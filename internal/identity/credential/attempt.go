package credential

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// Guesses at an account are counted before they are evaluated: an attempt is
// reserved in a transaction of its own, committed, and only then is the password
// looked at; a right one gives its reservation back. So however many guess at
// once, on however many nodes, and whoever is killed meanwhile, no more than the
// realm's limit of wrong passwords is evaluated within its window (P-08).
//
// The unknown browsers of the world share one bucket of attempts per account.
// A browser that has signed in to the account before has one of its own, so that
// strangers cannot lock the owner out.

// bucket is where the attempts of one account and browser are counted.
type bucket struct {
	subject string // id of a principal, or "?" and the hash of an identifier that is nobody's
	browser string // hash of a known browser, or ""
}

// subjectOf names an identifier that is nobody's, so that it is limited like
// one that is somebody's.
func subjectOf(identifier string) string {
	return "?" + base64.RawURLEncoding.EncodeToString(secret.Hash(principal.Canonical(strings.TrimSpace(identifier))))
}

// guesses counts attempts.
type guesses struct {
	db    *db.DB
	seed  maphash.Seed
	turns [256]sync.Mutex
}

// turn is held while a bucket of attempts is changed, so that many guesses at
// one account wait here and not, each with a connection, for its row. Other nodes
// do not matter: the row's lock is what carries the guarantee.
func (p *guesses) turn(name string, b bucket) *sync.Mutex {
	return &p.turns[maphash.String(p.seed, name+" "+b.subject)%uint64(len(p.turns))]
}

// reservation is an attempt that was counted and not yet found right or wrong.
type reservation struct {
	bucket
	at int64
}

// reserve counts an attempt, or says how long it takes until one is free.
func (p *guesses) reserve(ctx context.Context, name string, b bucket, s realm.Settings) (r reservation, wait time.Duration, err error) {
	turn := p.turn(name, b)
	turn.Lock()
	defer turn.Unlock()
	// The row is locked by its first statement, which carries the guarantee.
	err = p.db.UpdateRC(ctx, name, func(tx *db.Tx) error {
		r, wait = reservation{}, 0
		all, err := lockAttempts(tx, b)
		if err != nil {
			return err
		}
		taken, free := window(all, tx.Now, s)
		if free > 0 {
			wait = free
			return nil
		}
		r = reservation{b, tx.Now.UnixMilli()}
		return writeAttempts(tx, b, append(taken, r.at))
	})
	return r, wait, err
}

// release gives a reservation back. It is done also when the caller has gone.
func (p *guesses) release(ctx context.Context, name string, r reservation) error {
	turn := p.turn(name, r.bucket)
	turn.Lock()
	defer turn.Unlock()
	return p.db.UpdateRC(context.WithoutCancel(ctx), name, func(tx *db.Tx) error { return releaseTx(tx, r) })
}

func releaseTx(tx *db.Tx, r reservation) error {
	all, err := lockAttempts(tx, r.bucket)
	if err != nil {
		return err
	}
	if i := slices.Index(all, r.at); i >= 0 {
		all = slices.Delete(all, i, i+1)
	}
	return writeAttempts(tx, r.bucket, all)
}

// window drops what is older than the realm's window, and says how long until
// an attempt is free: zero if one is.
func window(all []int64, now time.Time, s realm.Settings) (taken []int64, wait time.Duration) {
	since := now.Add(-s.GuessWindow).UnixMilli()
	for _, at := range all {
		if at > since {
			taken = append(taken, at)
		}
	}
	if len(taken) < s.GuessLimit {
		return taken, 0
	}
	first := taken[len(taken)-s.GuessLimit]
	return taken, max(time.Duration(first-since)*time.Millisecond, time.Millisecond)
}

// Sweep forgets attempts that no longer count, and reports how many rows went.
// Correctness does not need it; disks do.
func (p *Passwords) Sweep(ctx context.Context, name string) (n int64, err error) {
	r, err := p.realms.ByName(ctx, name)
	if err != nil {
		return 0, err
	}
	err = p.db.UpdateRC(ctx, name, func(tx *db.Tx) error {
		n, err = sweepAttempts(tx, tx.Now.Add(-r.Settings.GuessWindow))
		return err
	})
	return n, err
}

func decodeAttempts(text string) (all []int64, err error) {
	return all, json.Unmarshal([]byte(text), &all)
}

func encodeAttempts(all []int64) (string, error) {
	if len(all) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(all)
	return string(b), err
}
