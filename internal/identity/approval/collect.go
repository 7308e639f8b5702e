package approval

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
)

// Keep is how long a request is remembered after its time, so that a client
// that comes late is told why, and a second use is told from a code that never
// was.
const Keep = time.Hour

// collectChunk bounds one transaction of Collect.
const collectChunk = 1000

// Collect deletes requests and guesses that no longer matter, and reports how
// many. It only saves space: expiry is decided at use. One call deletes a
// bounded number; the caller comes again later.
func (s *Store) Collect(ctx context.Context, name string, limits realm.Settings) (n int64, err error) {
	err = s.db.UpdateRC(ctx, name, func(tx *db.Tx) error {
		if n, err = sweep(tx, tx.Now.Add(-Keep), collectChunk); err != nil {
			return err
		}
		guesses, err := sweepGuesses(tx, tx.Now.Add(-limits.GuessWindow), collectChunk)
		n += guesses
		return err
	})
	return n, err
}
