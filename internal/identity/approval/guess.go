package approval

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
)

// Found is what looking a user code up came to. A refusal is a result and not
// an error: it leaves a mark that must be committed.
type Found struct {
	*Request               // nil: the code is no open request's, or was not looked at
	Wait     time.Duration // not zero: too many were wrong, and this one was not looked at
}

// Find looks for the open request of a device by its user code (RFC 8628,
// section 5.1). A code that is nobody's is counted against the guesser, in the
// transaction that looked, under the lock of the guesser's row: so however many
// are typed at once, on however many nodes, no more wrong ones are looked at
// than the realm's guess_limit within its guess_window. Right ones cost nothing.
func (s *Store) Find(ctx context.Context, name, guesser, code string, limits realm.Settings) (found Found, err error) {
	err = s.db.UpdateRC(ctx, name, func(tx *db.Tx) error {
		found = Found{}
		all, err := lockGuesses(tx, guesser)
		if err != nil {
			return err
		}
		taken, wait := window(all, tx.Now, limits)
		if wait > 0 {
			found.Wait = wait
			return nil
		}
		r, err := byUserCode(tx, codeHash(code), s.epoch())
		if err == nil {
			found.Request = r
			return nil
		}
		if !db.Missing(err) {
			return err
		}
		return writeGuesses(tx, guesser, append(taken, tx.Now.UnixMilli()))
	})
	return found, err
}

// window drops what is older than the realm's window, and says how long until
// another guess is looked at: zero if one is.
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

func decodeGuesses(text string) (all []int64, err error) {
	return all, json.Unmarshal([]byte(text), &all)
}

func encodeGuesses(all []int64) (string, error) {
	b, err := json.Marshal(all)
	return string(b), err
}
