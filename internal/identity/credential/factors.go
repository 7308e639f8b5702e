package credential

import (
	"cmp"
	"context"
	"hash/maphash"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// Factors checks and makes what people prove besides a password, and counts how
// often anybody guesses at it.
type Factors struct {
	guesses
	log    *audit.Log
	realms *realm.Registry
	box    *secret.Box
}

// NewFactors returns what checks and makes factors. box seals secrets that we
// must be able to compute with.
func NewFactors(d *db.DB, log *audit.Log, realms *realm.Registry, box *secret.Box) *Factors {
	return &Factors{guesses: guesses{db: d, seed: maphash.MakeSeed()}, log: log, realms: realms, box: box}
}

// Guess evaluates a guess at one of somebody's factors by calling check, if the
// account has guesses left: it is counted before check runs, durably, and given
// back if it was right (MF-03). The count is one for all factors, paths and
// nodes, apart from that of passwords; browsers that have signed in to the
// account before have one of their own. factor is for the trace of a wrong one.
func (f *Factors) Guess(ctx context.Context, by audit.Actor, name, id, factor, browser string, check func() (right bool, err error)) (Result, error) {
	refused := f.refused(by, name, id, factor)
	return f.counted(ctx, name, id, id, browser, refused, func() (Result, error) {
		right, err := check()
		if err != nil || !right {
			// An error is no proof that nothing was learned: the guess stays counted.
			refused("factor_wrong")
			return Result{}, err
		}
		return Result{Outcome: Right}, nil
	})
}

// GuessTyped is Guess for a guess at what was asked for by a name that may be
// nobody's. It is counted by what was typed besides whose it is found to be, ""
// for nobody's, so that when that is found out does not show in what is counted.
func (f *Factors) GuessTyped(ctx context.Context, by audit.Actor, name, typed, id, factor, browser string, check func() (right bool, err error)) (Result, error) {
	whose := cmp.Or(id, typed+"?")
	return f.counted(ctx, name, typed, whose, browser, f.refused(by, name, id, factor), func() (Result, error) {
		return f.Guess(ctx, by, name, whose, factor, browser, check)
	})
}

// counted evaluates a guess that counts for subject, if that has one left; the
// browsers are those known to whose account it is.
func (f *Factors) counted(ctx context.Context, name, subject, whose, browser string, refused func(reason string), evaluate func() (Result, error)) (Result, error) {
	r, err := f.realms.ByName(ctx, name)
	if err != nil {
		return Result{}, err
	}
	b := bucket{subject: "2 " + subject}
	err = f.db.View(ctx, name, func(tx *db.Tx) (err error) {
		b.browser, err = knownBrowser(tx, whose, BrowserHash(browser))
		return err
	})
	if err != nil {
		return Result{}, err
	}
	reserved, wait, err := f.reserve(ctx, name, b, r.Settings)
	if err != nil {
		return Result{}, err
	}
	if wait > 0 {
		refused("guess_limit")
		return Result{Outcome: Limited, RetryAfter: wait}, nil
	}
	result, err := evaluate()
	if err == nil && result.Outcome == Right {
		err = f.release(ctx, name, reserved)
	}
	return result, err
}

// refused leaves the trace of a guess that did not count as right.
func (f *Factors) refused(by audit.Actor, name, id, factor string) func(reason string) {
	return func(reason string) { refuseSignIn(f.log, name, by, id, reason, factor) }
}

// RememberDeviceTx has a browser that has signed in to an account before not be
// asked for a second factor until then; see [Factors.Remembered].
func RememberDeviceTx(tx *db.Tx, principal, mark string, until time.Time) error {
	if hash := BrowserHash(mark); hash != "" {
		return setRemembered(tx, principal, hash, until)
	}
	return nil
}

// Remembered reports whether the browser with a mark is not to be asked for a
// second factor. Whatever changes a person's password or factors ends that.
func (f *Factors) Remembered(ctx context.Context, name, id, mark string) (yes bool, err error) {
	hash := BrowserHash(mark)
	if hash == "" {
		return false, nil
	}
	err = f.db.View(ctx, name, func(tx *db.Tx) error {
		until, err := remembered(tx, id, hash)
		yes = tx.Now.Before(until)
		return err
	})
	return yes, err
}

// Demand notes that the realm demands a level of somebody who has no factor that
// reaches it, and tells since when it demands that much of them.
func (f *Factors) Demand(ctx context.Context, name, id, acr string) (since time.Time, err error) {
	err = f.db.View(ctx, name, func(tx *db.Tx) error {
		since, err = readDemand(tx, id, acr)
		return err
	})
	if err != nil || !since.IsZero() {
		return since, err
	}
	err = f.db.UpdateRC(ctx, name, func(tx *db.Tx) error {
		since, err = demandedSince(tx, id, acr)
		return err
	})
	return since, err
}

// ChangedTx is to be called where a person's factors or password change: no
// browser is remembered any more.
func ChangedTx(tx *db.Tx, principal string) error { return forgetRemembered(tx, principal) }

// addFactor creates a factor of a person, at most so many of its kind.
func addFactor(tx *db.Tx, by audit.Actor, c Credential, most int) (Credential, error) {
	if err := checkName(c.Name); err != nil {
		return c, err
	}
	n, err := countLiving(tx, c.Principal, c.Type)
	if err != nil {
		return c, err
	}
	if n >= most {
		return c, tooMany(c.Type, most)
	}
	if err := ChangedTx(tx, c.Principal); err != nil {
		return c, err
	}
	return create(tx, by, c, "")
}
