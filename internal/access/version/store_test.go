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

// upgraded changes the texts of all versions, so that they are what a newer program
// has no longer compiled.
func upgraded(t *testing.T, w *world, old, new string) {
	t.Helper()
	err := w.Registry.DB.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
		if _, err := tx.Exec(`UPDATE policy_versions SET content = content || 'x' WHERE realm = $1`, tx.Realm); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE policy_files SET body = replace(body, $2, $3) WHERE realm = $1`, tx.Realm, old, new)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
