package session

import (
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

const columns = `id, principal, credential, era, secret_hash, acr, amr, auth_time, created_at, last_seen_at, idle_until, expires_at, ended_at, reason, ip, user_agent, browser, proofs`

func scan(r db.Row) (*Session, error) {
	var s Session
	var amr string
	var auth, created, seen, idle, expires, ended db.Time
	err := r.Scan(&s.ID, &s.Principal, &s.Credential, &s.era, &s.hash, &s.ACR, &amr, &auth, &created, &seen, &idle, &expires, &ended, &s.Reason, &s.IP, &s.UserAgent, &s.Browser, &s.Proofs)
	if err != nil {
		return nil, err
	}
	s.AMR = strings.Fields(amr)
	s.AuthTime, s.CreatedAt, s.LastSeenAt, s.IdleUntil, s.ExpiresAt, s.EndedAt = auth.Time, created.Time, seen.Time, idle.Time, expires.Time, ended.Time
	return &s, nil
}

func insert(tx *db.Tx, s *Session) error {
	return tx.Later(`INSERT INTO sessions (realm, `+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
		tx.Realm, s.ID, s.Principal, s.Credential, s.era, s.hash, s.ACR, strings.Join(s.AMR, " "), db.At(s.AuthTime), db.At(s.CreatedAt), db.At(s.LastSeenAt),
		db.At(s.IdleUntil), db.At(s.ExpiresAt), db.At(s.EndedAt), s.Reason, s.IP, s.UserAgent, s.Browser, s.Proofs)
}

func byID(tx *db.Tx, id string) (*Session, error) {
	return found(db.One(tx, scan, `SELECT `+columns+` FROM sessions WHERE realm = $1 AND id = $2`, tx.Realm, id))
}

// held reads a session and keeps others from changing it until the commit. On
// SQLite there is one writer, so nobody can.
//
// A row lock alone would let whoever uses a session without pause hold off its
// end: PostgreSQL lets those who share a row overtake a writer that waits for it.
// Its advisory locks are given in the order they were asked for, so births queue
// behind a death that waits.
func held(tx *db.Tx, id string) func() (*Session, error) {
	if tx.Engine() != db.Postgres {
		return func() (*Session, error) { return byID(tx, id) }
	}
	if err := tx.Later(`SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))`, lockName(tx.Realm, id)); err != nil {
		return failed(err)
	}
	query := `SELECT ` + columns + ` FROM sessions WHERE realm = $1 AND id = $2`
	if !tx.ReadCommitted() {
		// The snapshot may be older than the lock: a row that changed since
		// must be a conflict.
		query += ` FOR SHARE`
	}
	answer := db.Ask(tx, scan, query, tx.Realm, id)
	return func() (*Session, error) { return found(answer.One()) }
}

func failed(err error) func() (*Session, error) {
	return func() (*Session, error) { return nil, err }
}

// doom takes its place in the queue of those who are to end a session.
func doom(tx *db.Tx, id string) error {
	if tx.Engine() != db.Postgres {
		return nil
	}
	_, err := tx.Exec(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, lockName(tx.Realm, id))
	return err
}

func lockName(realm, id string) string { return "session " + realm + " " + id }

func found(s *Session, err error) (*Session, error) {
	if db.Missing(err) {
		return nil, unknown()
	}
	return s, err
}

func idBySecret(tx *db.Tx, hash []byte) (string, error) {
	id, err := db.One(tx, db.Scalar[string], `SELECT id FROM sessions WHERE realm = $1 AND secret_hash = $2`, tx.Realm, hash)
	if db.Missing(err) {
		return "", unknown()
	}
	return id, err
}

// renew writes a fresh proof and its new secret.
func renew(tx *db.Tx, s *Session) error {
	_, err := tx.Exec(`UPDATE sessions SET credential = $3, secret_hash = $4, era = $12, acr = $5, amr = $6, auth_time = $7, last_seen_at = $8, idle_until = $9, ip = $10, user_agent = $11, proofs = $13
		WHERE realm = $1 AND id = $2`,
		tx.Realm, s.ID, s.Credential, s.hash, s.ACR, strings.Join(s.AMR, " "), db.At(s.AuthTime), db.At(s.LastSeenAt), db.At(s.IdleUntil), s.IP, s.UserAgent, s.era, s.Proofs)
	return err
}

// touch notes that a living session was used, unless another node did.
func touch(tx *db.Tx, id string, idle, precision time.Duration) error {
	_, err := tx.Exec(`UPDATE sessions SET last_seen_at = $3, idle_until = $4
		WHERE realm = $1 AND id = $2 AND ended_at = 0 AND idle_until > $3 AND expires_at > $3 AND last_seen_at <= $5`,
		tx.Realm, id, db.At(tx.Now), db.At(tx.Now.Add(idle)), db.At(tx.Now.Add(-precision)))
	return err
}

func end(tx *db.Tx, id, reason string) error {
	if err := doom(tx, id); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE sessions SET ended_at = $3, reason = $4 WHERE realm = $1 AND id = $2 AND ended_at = 0`, tx.Realm, id, db.At(tx.Now), reason)
	return err
}

// overdue is how long a session must have expired to be left out of an end: a
// use of it that began in time may be about to be committed.
const overdue = time.Hour

// openOf finds up to limit sessions of a principal that neither were ended nor
// expired long ago, but for one.
func openOf(tx *db.Tx, principal, except string, limit int) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT id FROM sessions WHERE realm = $1 AND principal = $2 AND id <> $3 AND ended_at = 0
		AND idle_until > $4 AND expires_at > $4 ORDER BY id LIMIT $5`, tx.Realm, principal, except, db.At(tx.Now.Add(-overdue)), limit)
}

// openBornOf is openOf for a credential. The sessions that were born of one are its
// owner's, by whom they are found.
func openBornOf(tx *db.Tx, c credential.Credential, limit int) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT id FROM sessions WHERE realm = $1 AND principal = $2 AND credential = $3 AND ended_at = 0
		AND idle_until > $4 AND expires_at > $4 ORDER BY id LIMIT $5`, tx.Realm, c.Principal, c.ID, db.At(tx.Now.Add(-overdue)), limit)
}

// bornOf finds the sessions of a credential that could live now if nobody had
// ended them, and so all that living grants can hang on.
func bornOf(tx *db.Tx, c credential.Credential) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT id FROM sessions WHERE realm = $1 AND principal = $2 AND credential = $3 AND expires_at > $4 ORDER BY id`,
		tx.Realm, c.Principal, c.ID, db.At(tx.Now))
}

// sweep deletes up to limit sessions that could not have lived past the given
// time.
func sweep(tx *db.Tx, before time.Time, limit int) (int64, error) {
	return tx.Exec(`DELETE FROM sessions WHERE realm = $1 AND id IN
		(SELECT id FROM sessions WHERE realm = $1 AND expires_at < $2 ORDER BY expires_at LIMIT $3)`, tx.Realm, db.At(before), limit)
}

// list reads sessions from the newest to the oldest.
func list(tx *db.Tx, f Filter, before string, limit int) ([]*Session, error) {
	query := `SELECT ` + columns + ` FROM sessions WHERE realm = $1 AND (id < $2 OR $2 = '')`
	args := []any{tx.Realm, before, limit}
	if f.Principal != "" {
		args = append(args, f.Principal)
		query += ` AND principal = $4`
	}
	if f.Live {
		args = append(args, db.At(tx.Now))
		query += ` AND ended_at = 0`
		if f.Principal == "" {
			query += ` AND idle_until > $4 AND expires_at > $4`
		} else {
			query += ` AND idle_until > $5 AND expires_at > $5`
		}
	}
	return db.All(tx, scan, query+` ORDER BY id DESC LIMIT $3`, args...)
}

// ForgetTx removes from the sessions of a principal that is deleted in the same
// transaction where and with what it signed in.
func ForgetTx(tx *db.Tx, principal string) error {
	_, err := tx.Exec(`UPDATE sessions SET ip = '', user_agent = '', browser = '' WHERE realm = $1 AND principal = $2`, tx.Realm, principal)
	return err
}
