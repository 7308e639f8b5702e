package approval

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

const columns = `realm, id, kind, client, subject, request, state, answer, issued, wait, hasty, epoch, created_at, decided_at, expires_at, sealed`

func scan(row db.Row) (*Request, error) {
	r := new(Request)
	var request, answer string
	var wait int64
	var created, decided, expires db.Time
	err := row.Scan(&r.Realm, &r.ID, &r.Kind, &r.Client, &r.Subject, &request, &r.State, &answer, &r.Issued, &wait, &r.hasty, &r.epoch, &created, &decided, &expires, &r.sealed)
	if err != nil {
		return nil, err
	}
	r.Wait, r.Created, r.Decided, r.Expires = time.Duration(wait)*time.Millisecond, created.Time, decided.Time, expires.Time
	if err := json.Unmarshal([]byte(request), &r.Asked); err != nil {
		return nil, fmt.Errorf("approval %q: request: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(answer), &r.Answer); err != nil {
		return nil, fmt.Errorf("approval %q: answer: %w", r.ID, err)
	}
	return r, nil
}

// insert reports whether the codes were free.
func insert(tx *db.Tx, r Request, hash []byte, userCode string) (bool, error) {
	request, err := json.Marshal(r.Asked)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`INSERT INTO approvals (realm, id, kind, hash, user_code, client, subject, request, state, answer, issued, wait, polled_at, hasty, epoch, created_at, decided_at, expires_at, sealed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '{}', '', $10, 0, FALSE, $11, $12, 0, $13, $14) ON CONFLICT DO NOTHING`,
		tx.Realm, r.ID, string(r.Kind), hash, userCode, r.Client, r.Subject, string(request), string(Pending), r.Wait.Milliseconds(), r.epoch, db.At(tx.Now), db.At(r.Expires), r.sealed)
	return n == 1, err
}

func byID(tx *db.Tx, id string) (*Request, error) {
	return db.One(tx, scan, `SELECT `+columns+` FROM approvals WHERE realm = $1 AND id = $2`, tx.Realm, id)
}

func byHash(tx *db.Tx, k Kind, client string, hash []byte) (*Request, error) {
	return db.One(tx, scan, `SELECT `+columns+` FROM approvals WHERE realm = $1 AND kind = $2 AND hash = $3 AND client = $4`, tx.Realm, string(k), hash, client)
}

// byUserCode finds an open request.
func byUserCode(tx *db.Tx, hash string, epoch int64) (*Request, error) {
	return db.One(tx, scan, `SELECT `+columns+` FROM approvals WHERE realm = $1 AND user_code = $2 AND user_code <> ''
		AND state = $3 AND epoch = $4 AND expires_at > $5`, tx.Realm, hash, string(Pending), epoch, db.At(tx.Now))
}

func openFor(tx *db.Tx, subject string, epoch int64, most int) ([]*Request, error) {
	return db.All(tx, scan, `SELECT `+columns+` FROM approvals WHERE realm = $1 AND subject = $2 AND subject <> ''
		AND state = $3 AND epoch = $4 AND expires_at > $5 ORDER BY id DESC LIMIT $6`, tx.Realm, subject, string(Pending), epoch, db.At(tx.Now), most)
}

// countOpen counts what waits for a subject, of one client and of all, as far as
// most.
func countOpen(tx *db.Tx, subject, client string, epoch int64, most int) (ofClient, all int, err error) {
	open, err := openFor(tx, subject, epoch, most)
	for _, r := range open {
		if r.Client == client {
			ofClient++
		}
	}
	return ofClient, len(open), err
}

// decide is the one statement that ends the pending state. Where a subject is
// known, nobody else decides.
func decide(tx *db.Tx, id string, to State, a Answer, epoch int64) (*Request, error) {
	answer, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	return db.One(tx, scan, `UPDATE approvals SET state = $3, answer = $4, decided_at = $5
		WHERE realm = $1 AND id = $2 AND state = $6 AND epoch = $7 AND expires_at > $5 AND (subject = '' OR subject = $8) RETURNING `+columns,
		tx.Realm, id, string(to), string(answer), db.At(tx.Now), string(Pending), epoch, a.Principal)
}

// poll notes a question about a pending request, and whether it came early. All
// right-hand sides see the row as it was before.
func poll(tx *db.Tx, k Kind, client string, hash []byte, epoch int64) (*Request, error) {
	return db.One(tx, scan, `UPDATE approvals SET
		hasty = (polled_at > 0 AND polled_at + wait > $5),
		wait = CASE WHEN polled_at > 0 AND polled_at + wait > $5 THEN wait + $6 ELSE wait END,
		polled_at = $7
		WHERE realm = $1 AND kind = $2 AND hash = $3 AND client = $4 AND state = $8 AND epoch = $9 AND expires_at > $7 RETURNING `+columns,
		tx.Realm, string(k), hash, client, db.At(tx.Now.Add(early)), Slower.Milliseconds(), db.At(tx.Now), string(Pending), epoch)
}

// consume is the one statement that uses an approved request up.
func consume(tx *db.Tx, k Kind, client string, hash []byte, issues string, epoch int64) (*Request, error) {
	return db.One(tx, scan, `UPDATE approvals SET state = $5, issued = $6
		WHERE realm = $1 AND kind = $2 AND hash = $3 AND client = $4 AND state = $7 AND epoch = $8 AND expires_at > $9 RETURNING `+columns,
		tx.Realm, string(k), hash, client, string(Consumed), issues, string(Approved), epoch, db.At(tx.Now))
}

func keep(tx *db.Tx, id, sealed string) error {
	_, err := tx.Exec(`UPDATE approvals SET sealed = $3 WHERE realm = $1 AND id = $2`, tx.Realm, id, sealed)
	return err
}

// sweep deletes at most most requests that expired before the given time.
func sweep(tx *db.Tx, before time.Time, most int) (int64, error) {
	return tx.Exec(`DELETE FROM approvals WHERE realm = $1 AND id IN (SELECT id FROM approvals
		WHERE realm = $1 AND expires_at < $2 ORDER BY expires_at LIMIT $3)`, tx.Realm, db.At(before), most)
}

// Guesses

func scanGuesses(r db.Row) ([]int64, error) {
	var text string
	if err := r.Scan(&text); err != nil {
		return nil, err
	}
	return decodeGuesses(text)
}

// lockGuesses makes the row if need be and keeps others from it until the
// commit: an update that changes nothing locks at any isolation.
func lockGuesses(tx *db.Tx, guesser string) ([]int64, error) {
	return db.One(tx, scanGuesses, `INSERT INTO approval_guesses (realm, guesser, taken, last_at) VALUES ($1, $2, '[]', $3)
		ON CONFLICT (realm, guesser) DO UPDATE SET last_at = excluded.last_at RETURNING taken`, tx.Realm, guesser, db.At(tx.Now))
}

func writeGuesses(tx *db.Tx, guesser string, all []int64) error {
	text, err := encodeGuesses(all)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE approval_guesses SET taken = $3 WHERE realm = $1 AND guesser = $2`, tx.Realm, guesser, text)
	return err
}

func sweepGuesses(tx *db.Tx, before time.Time, most int) (int64, error) {
	return tx.Exec(`DELETE FROM approval_guesses WHERE realm = $1 AND guesser IN (SELECT guesser FROM approval_guesses
		WHERE realm = $1 AND last_at < $2 ORDER BY last_at LIMIT $3)`, tx.Realm, db.At(before), most)
}
