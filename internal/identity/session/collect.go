package session

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// kept is how long a session is shown after the latest time it could have lived
// to, however it ended.
const kept = 30 * 24 * time.Hour

// collectChunk is how many sessions one call of Collect deletes.
const collectChunk = 1000

// Collect deletes sessions that nobody will ask about any more. It only saves
// space: what has ended or expired is dead long before. One call does a bounded
// amount of work; the caller comes again while it deletes much.
func (s *Store) Collect(ctx context.Context, name string) (deleted int64, err error) {
	err = s.db.UpdateRC(ctx, name, func(tx *db.Tx) error {
		deleted, err = sweep(tx, tx.Now.Add(-kept), collectChunk)
		return err
	})
	return deleted, err
}
