package trust

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Whom somebody is elsewhere is found without looking at everybody.
func TestThoseOfAPrincipalAreFoundByIt(t *testing.T) {
	d := dbtest.Open(t, db.SQLite).DB
	ctx, traffic := dbtest.Watch(context.Background())
	err := d.View(ctx, dbtest.Realm, func(tx *db.Tx) error {
		_, err := linksOf(tx, "usr_1")
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
