package job

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Whatever else waits, or will be due some day, is not looked at to find jobs that
// are due, and to take some of one target.
func TestJobsAreTakenWithoutLookingAtAllThatWait(t *testing.T) {
	d := dbtest.Open(t, db.SQLite).DB
	ctx, traffic := dbtest.Watch(context.Background())
	err := d.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
		if _, err := dueLanes(tx, 4, 10); err != nil {
			return err
		}
		_, err := claimDue(tx, "cli_1", "nod_1", tx.Now.Add(time.Minute), perLane)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range traffic.Whole(t, d) {
		t.Error(step)
	}
	if plan := traffic.Plan(t, d); strings.Contains(plan, "SCAN jobs") || strings.Count(plan, "SEARCH jobs") != 3 {
		t.Error(plan)
	}
}
