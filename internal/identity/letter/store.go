package letter

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// countLetter counts one more and tells how many that makes since an instant. A
// count that began before it begins anew.
func countLetter(tx *db.Tx, kind string, key []byte, since time.Time) (int, error) {
	return db.One(tx, db.Scalar[int], `INSERT INTO letter_quota (realm, kind, key, since, n) VALUES ($1, $2, $3, $4, 1)
		ON CONFLICT (realm, kind, key) DO UPDATE SET
			n = CASE WHEN letter_quota.since <= $5 THEN 1 ELSE letter_quota.n + 1 END,
			since = CASE WHEN letter_quota.since <= $5 THEN $4 ELSE letter_quota.since END
		RETURNING n`, tx.Realm, kind, key, db.At(tx.Now), db.At(since))
}

// sweepQuota deletes up to limit counts that began before an instant.
func sweepQuota(tx *db.Tx, before time.Time, limit int) (int64, error) {
	return tx.Exec(`DELETE FROM letter_quota WHERE realm = $1 AND (kind, key) IN
		(SELECT kind, key FROM letter_quota WHERE realm = $1 AND since <= $2 ORDER BY since LIMIT $3)`, tx.Realm, db.At(before), limit)
}
