package job

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// resting are the tasks that are not due, or that a node holds.
func resting(tx *db.Tx) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT task FROM schedules WHERE realm = '' AND (due_at > $1 OR held_until > $1)`, db.At(tx.Now))
}

// claim takes a task that is due and not held, in one conditional statement,
// and tells where it goes on.
func claim(tx *db.Tx, task, node string, hold time.Duration) (after string, mine bool, err error) {
	if _, err := tx.Exec(`INSERT INTO schedules (realm, task, due_at, held_until, holder, last_error) VALUES ('', $1, 0, 0, '', '') ON CONFLICT (realm, task) DO NOTHING`, task); err != nil {
		return "", false, err
	}
	after, err = db.One(tx, db.Scalar[string], `UPDATE schedules SET holder = $2, held_until = $3
		WHERE realm = '' AND task = $1 AND due_at <= $4 AND held_until <= $4 RETURNING resume_after`,
		task, node, db.At(tx.Now.Add(hold)), db.At(tx.Now))
	if db.Missing(err) {
		return "", false, nil
	}
	return after, err == nil, err
}

func finish(tx *db.Tx, task, node string, due time.Time, next, said string) error {
	_, err := tx.Exec(`UPDATE schedules SET due_at = $3, held_until = 0, holder = '', resume_after = $4, last_error = $5
		WHERE realm = '' AND task = $1 AND holder = $2`,
		task, node, db.At(due), next, said)
	return err
}
