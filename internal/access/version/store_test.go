package version

import (
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

func pruneBelow(n int64) func(tx *db.Tx) error { return func(tx *db.Tx) error { return prune(tx, n) } }

func countFiles(t *testing.T, w *world) (n int) {
	t.Helper()
	err := w.Registry.DB.View(ctx, dbtest.Realm, func(tx *db.Tx) (err error) {
		n, err = db.One(tx, db.Scalar[int], `SELECT count(*) FROM policy_files WHERE realm = $1`, tx.Realm)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
