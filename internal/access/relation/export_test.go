package relation

import (
	"context"

	"github.com/cardea-id/cardea/internal/job"
)

// PullAtOnce is what the job of a pull does.
func (s *Store) PullAtOnce(ctx context.Context, realm, source string) error {
	return s.doPull(ctx, &job.Job{Realm: realm, Target: source})
}
