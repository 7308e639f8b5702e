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

// A page of a list begins where the one before ended, and looks at nothing but what
// was asked for.
func TestJobsAreListedFromWhereThePageBegins(t *testing.T) {
	d := dbtest.Open(t, db.SQLite).DB
	for _, c := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "(realm=? AND id<?)"},
		{Filter{State: Dead}, "(realm=? AND state=? AND id<?)"},
		{Filter{Kind: "letter"}, "(realm=? AND kind=? AND id<?)"},
		{Filter{Target: "cli_1"}, "(realm=? AND target=? AND id<?)"},
		{Filter{Subject: "usr_1"}, "(realm=? AND subject=? AND id<?)"},
	} {
		ctx, traffic := dbtest.Watch(context.Background())
		if err := d.View(ctx, dbtest.Realm, func(tx *db.Tx) error {
			_, err := list(tx, c.f, "job_1", 10)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if plan := traffic.Plan(t, d); !strings.Contains(plan, c.want) || strings.Contains(plan, "TEMP") {
			t.Errorf("%+v: %s", c.f, plan)
		}
	}
}
