package relation

import (
	"context"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/job"
)

// InsertSource is the row of a source, without its event.
func InsertSource(tx *db.Tx, n *Source) error {
	n.sealed = []byte("sealed")
	return insertSource(tx, n)
}

// PullAtOnce is what the job of a pull does.
func (s *Store) PullAtOnce(ctx context.Context, realm, source string) error {
	return s.doPull(ctx, &job.Job{Realm: realm, Target: source})
}
