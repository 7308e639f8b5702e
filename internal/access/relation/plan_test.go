package relation

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Whether a batch was written before is looked up by its key.
func TestABatchIsFoundByItsKey(t *testing.T) {
	d := dbtest.Open(t, db.SQLite).DB
	ctx, traffic := dbtest.Watch(context.Background())
	err := d.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
		_, err := batchByKey(tx, "svc_x", "key")
		if !db.Missing(err) {
			t.Errorf("a batch that was never written: %v", err)
		}
		return nil
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
