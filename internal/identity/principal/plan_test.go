package principal

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Changes of one person, group or service look at what is near them. A plan that
// begins with everybody costs more the more there are.
func TestWhoIsAboveAndBelowIsFoundByWhoAsks(t *testing.T) {
	d := dbtest.Open(t, db.SQLite).DB
	ctx, traffic := dbtest.Watch(context.Background())
	err := d.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
		if err := bury(tx, "usr_x"); err != nil {
			return err
		}
		if _, _, err := ownedBelow(tx, "svc_x", "usr_x"); err != nil {
			return err
		}
		if _, err := ownedIDs(tx, "usr_x"); err != nil {
			return err
		}
		if _, _, err := containersAbove(tx, "grp_x", "grp_y"); err != nil {
			return err
		}
		_, err := groupsBelow(tx, "grp_x")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if traffic.Trips() == 0 {
		t.Fatal("nothing was sent")
	}
	for _, step := range traffic.Whole(t, d) {
		t.Error(step)
	}
}
