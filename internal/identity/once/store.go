package once

import (
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/secret"
)

const columns = `purpose, subject, client, binding, payload, version, issued, created_at, expires_at, consumed_at, epoch`

func scan(r db.Row) (v Value, err error) {
	var payload string
	var created, expires, consumed db.Time
	err = r.Scan(&v.Purpose, &v.Subject, &v.Client, &v.Binding, &payload, &v.Version, &v.Issued, &created, &expires, &consumed, &v.epoch)
	v.Payload, v.Created, v.Expires, v.Consumed = json.RawMessage(payload), created.Time, expires.Time, consumed.Time
	return v, err
}

func (s *Store) insert(tx *db.Tx, hash []byte, v Value) error {
	return tx.Later(`INSERT INTO once (realm, hash, epoch, purpose, subject, client, binding, payload, version, issued, created_at, expires_at, consumed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, '', $9, $10, 0)`,
		tx.Realm, hash, s.epoch(), string(v.Purpose), v.Subject, v.Client, v.Binding, string(v.Payload), db.At(tx.Now), db.At(v.Expires))
}

// consume is the one statement that uses a value up.
func (s *Store) consume(tx *db.Tx, hash []byte, u Use) (Value, error) {
	return db.One(tx, scan, `UPDATE once SET consumed_at = $1, issued = $2
		WHERE realm = $3 AND purpose = $4 AND hash = $5 AND client = $6 AND binding = $7
		AND epoch = $8 AND consumed_at = 0 AND expires_at > $1 RETURNING `+columns,
		db.At(tx.Now), u.Issues, tx.Realm, string(u.Purpose), hash, u.Client, u.Binding, s.epoch())
}

func (s *Store) look(tx *db.Tx, hash []byte, u Use) (Value, Outcome, error) {
	v, err := db.One(tx, scan, `SELECT `+columns+` FROM once
		WHERE realm = $1 AND purpose = $2 AND hash = $3 AND client = $4 AND binding = $5`,
		tx.Realm, string(u.Purpose), hash, u.Client, u.Binding)
	switch {
	case db.Missing(err):
		return Value{}, Unknown, nil
	case err != nil:
		return Value{}, Unknown, err
	case !v.Consumed.IsZero():
		return v, Reused, nil
	case v.epoch != s.epoch() || !v.Expires.After(tx.Now):
		return v, Expired, nil
	}
	return v, OK, nil
}

func (s *Store) amend(tx *db.Tx, hash []byte, u Use, version int64, payload json.RawMessage) (bool, error) {
	n, err := tx.Exec(`UPDATE once SET payload = $1, version = version + 1
		WHERE realm = $2 AND purpose = $3 AND hash = $4 AND client = $5 AND binding = $6
		AND epoch = $7 AND consumed_at = 0 AND expires_at > $8 AND version = $9`,
		string(payload), tx.Realm, string(u.Purpose), hash, u.Client, u.Binding, s.epoch(), db.At(tx.Now), version)
	return n == 1, err
}

func (s *Store) prolong(tx *db.Tx, hash []byte, u Use, version int64, payload json.RawMessage, until time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE once SET payload = $1, version = version + 1, expires_at = $2
		WHERE realm = $3 AND purpose = $4 AND hash = $5 AND client = $6 AND binding = $7
		AND epoch = $8 AND consumed_at = 0 AND expires_at > $9 AND version = $10`,
		string(payload), db.At(until), tx.Realm, string(u.Purpose), hash, u.Client, u.Binding, s.epoch(), db.At(tx.Now), version)
	return n == 1, err
}

func (s *Store) remove(tx *db.Tx, hash []byte, p Purpose) error {
	_, err := tx.Exec(`DELETE FROM once WHERE realm = $1 AND purpose = $2 AND hash = $3`, tx.Realm, string(p), hash)
	return err
}

func (s *Store) removeOf(tx *db.Tx, p Purpose, subject string) error {
	_, err := tx.Exec(`DELETE FROM once WHERE realm = $1 AND purpose = $2 AND subject = $3`, tx.Realm, string(p), subject)
	return err
}

func (s *Store) removeLater(tx *db.Tx, p Purpose, subject string, than time.Time) error {
	_, err := tx.Exec(`DELETE FROM once WHERE realm = $1 AND purpose = $2 AND subject = $3 AND created_at > $4`, tx.Realm, string(p), subject, db.At(than))
	return err
}

// note remembers that a key was seen and reports, a little later, whether it is
// new.
func note(tx *db.Tx, k Key) func() (bool, error) {
	added := tx.AskExec(`INSERT INTO once_seen (realm, purpose, client, hash, expires_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT DO NOTHING`, tx.Realm, string(k.Purpose), k.Client, secret.Hash(k.Value), db.At(k.Until))
	return func() (bool, error) {
		n, err := added()
		return n == 1, err
	}
}

// crowd counts what is remembered for a client, up to most.
func crowd(tx *db.Tx, p Purpose, client string, most int64) (int64, error) {
	return db.One(tx, db.Scalar[int64], `SELECT COUNT(*) FROM (SELECT 1 AS one FROM once_seen
		WHERE realm = $1 AND purpose = $2 AND client = $3 AND expires_at > $4 LIMIT $5) AS live`,
		tx.Realm, string(p), client, db.At(tx.Now), most)
}

// sweep deletes at most most values that expired before the given time.
func sweep(tx *db.Tx, before db.Time, most int) (int64, error) {
	return tx.Exec(`DELETE FROM once WHERE realm = $1 AND (purpose, hash) IN (SELECT purpose, hash FROM once
		WHERE realm = $1 AND expires_at < $2 AND created_at > 0 ORDER BY expires_at LIMIT $3)`, tx.Realm, before, most)
}

func sweepSeen(tx *db.Tx, before db.Time, most int) (int64, error) {
	return tx.Exec(`DELETE FROM once_seen WHERE realm = $1 AND (purpose, client, hash) IN (SELECT purpose, client, hash FROM once_seen
		WHERE realm = $1 AND expires_at < $2 AND purpose <> '' ORDER BY expires_at LIMIT $3)`, tx.Realm, before, most)
}
