package once

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// Keep is how long a value is remembered after it expired, so that a late
// second use is still told from a value that never was.
const Keep = 24 * time.Hour

// collectChunk bounds one transaction of Collect.
const collectChunk = 1000

// Collect deletes rows that no longer matter and reports how many. It only
// saves space: expiry is decided when a value is used. One call deletes a
// bounded number; the caller comes again later.
func (s *Store) Collect(ctx context.Context, realm string) (int64, error) {
	var values, seen int64
	err := s.db.UpdateRC(ctx, realm, func(tx *db.Tx) (err error) {
		if values, err = sweep(tx, db.At(tx.Now.Add(-Keep)), collectChunk); err != nil {
			return err
		}
		seen, err = sweepSeen(tx, db.At(tx.Now), collectChunk)
		return err
	})
	return values + seen, err
}
