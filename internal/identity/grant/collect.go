package grant

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// keep is how long a grant that ended by time is still shown.
const keep = 7 * 24 * time.Hour

// collectChunk bounds what one call of Collect deletes of each kind.
const collectChunk = 1000

// Collect deletes what no longer matters and retires status lists whose last
// token has expired. It only saves space: expiry is decided at use. One call
// does a bounded amount of work; the caller comes again later.
func (s *Store) Collect(ctx context.Context, realm string) (deleted int64, err error) {
	r, err := s.Realms.ByName(ctx, realm)
	if err != nil {
		return 0, err
	}
	err = s.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		deleted = 0
		for _, sweep := range []func() (int64, error){
			func() (int64, error) {
				return sweepGrants(tx, tx.Now.Add(-keep), tx.Now.Add(-keep-r.Settings.SessionAbsolute), collectChunk)
			},
			func() (int64, error) { return sweepDeadTokens(tx, collectChunk) },
		} {
			n, err := sweep()
			if err != nil {
				return err
			}
			deleted += n
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return deleted, s.retire(ctx, realm)
}

// retire closes the book on lists that closed longer ago than any token lives:
// grants still on them have issued nothing since, or they would have moved.
func (s *Store) retire(ctx context.Context, realm string) error {
	return s.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		gone, err := retireLists(tx, tx.Now.Add(-MaxTokenLife))
		if err != nil {
			return err
		}
		for _, list := range gone {
			if err := deletePages(tx, list); err != nil {
				return err
			}
			audit.Append(tx, audit.System, audit.Event{Action: "status_list.retire", TargetType: "status_list", Target: list, Invalidates: true})
		}
		return nil
	})
}
