package relation

import (
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Whether a batch was written before is looked up by its key.
func TestABatchIsFoundByItsKey(t *testing.T) {
	dbtest.Narrow(t, func(tx *db.Tx) error {
		_, err := batchByKey(tx, "svc_x", "key")
		if !db.Missing(err) {
			t.Errorf("a batch that was never written: %v", err)
		}
		return nil
	})
}
