package journal

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// segment is one row: many decisions.
type segment struct {
	id, node         string
	first, last      time.Time
	records, dropped int64
	body, used       []byte
}

func insert(tx *db.Tx, s segment) error {
	_, err := tx.Exec(`INSERT INTO decision_segments (realm, id, node, first_at, last_at, records, dropped, body, used) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		tx.Realm, s.id, s.node, db.At(s.first), db.At(s.last), s.records, s.dropped, s.body, s.used)
	return err
}

func scanBody(r db.Row) (s segment, err error) {
	err = r.Scan(&s.id, &s.dropped, &s.body)
	return s, err
}

// newest lists segments before id, those written last first.
func newest(tx *db.Tx, before string, limit int) ([]segment, error) {
	return db.All(tx, scanBody, `SELECT id, dropped, body FROM decision_segments WHERE realm = $1 AND id < $2 ORDER BY id DESC LIMIT $3`, tx.Realm, before, limit)
}

// within lists segments before id that reach into a time, those written last first.
func within(tx *db.Tx, before string, since, until time.Time, limit int) ([]segment, error) {
	return db.All(tx, scanBody, `SELECT id, dropped, body FROM decision_segments WHERE realm = $1 AND id < $2 AND last_at >= $3 AND first_at < $4 ORDER BY id DESC LIMIT $5`,
		tx.Realm, before, db.At(since), db.At(until), limit)
}

// around lists the segments that can hold a decision of an instant.
func around(tx *db.Tx, at time.Time) ([]segment, error) {
	return db.All(tx, scanBody, `SELECT id, dropped, body FROM decision_segments WHERE realm = $1 AND last_at >= $2 AND first_at <= $2 ORDER BY id`, tx.Realm, db.At(at))
}

// sums lists what segments after id needed.
func sums(tx *db.Tx, after string, since time.Time, limit int) ([]segment, error) {
	return db.All(tx, func(r db.Row) (s segment, err error) {
		var first db.Time
		err = r.Scan(&s.id, &s.records, &s.dropped, &first, &s.used)
		s.first = first.Time
		return s, err
	}, `SELECT id, records, dropped, first_at, used FROM decision_segments WHERE realm = $1 AND id > $2 AND last_at >= $3 ORDER BY id LIMIT $4`,
		tx.Realm, after, db.At(since), limit)
}

// deleteBefore deletes what ended before an instant, and says how many segments
// that were.
func deleteBefore(tx *db.Tx, before time.Time, limit int) (int64, error) {
	return tx.Exec(`DELETE FROM decision_segments WHERE realm = $1 AND id IN (SELECT id FROM decision_segments WHERE realm = $1 AND last_at < $2 ORDER BY last_at LIMIT $3)`,
		tx.Realm, db.At(before), limit)
}
