package job

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// claim takes a task that is due and not held, in one conditional statement.
func claim(tx *db.Tx, task, node string, hold time.Duration) (bool, error) {
	if _, err := tx.Exec(`INSERT INTO schedules (realm, task, due_at, held_until, holder, last_error) VALUES ('', $1, 0, 0, '', '') ON CONFLICT (realm, task) DO NOTHING`, task); err != nil {
		return false, err
	}
	n, err := tx.Exec(`UPDATE schedules SET holder = $2, held_until = $3 WHERE realm = '' AND task = $1 AND due_at <= $4 AND held_until <= $4`,
		task, node, db.At(tx.Now.Add(hold)), db.At(tx.Now))
	return n == 1, err
}

func finish(tx *db.Tx, task, node string, due time.Time, said string) error {
	_, err := tx.Exec(`UPDATE schedules SET due_at = $3, held_until = 0, holder = '', last_error = $4 WHERE realm = '' AND task = $1 AND holder = $2`,
		task, node, db.At(due), said)
	return err
}
