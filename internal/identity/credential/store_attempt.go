package credential

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

func scanAttempts(r db.Row) ([]int64, error) {
	var text string
	if err := r.Scan(&text); err != nil {
		return nil, err
	}
	return decodeAttempts(text)
}

func readAttempts(tx *db.Tx, b bucket) ([]int64, error) {
	all, err := db.One(tx, scanAttempts, `SELECT taken FROM attempts WHERE realm = $1 AND subject = $2 AND browser = $3`, tx.Realm, b.subject, b.browser)
	if db.Missing(err) {
		return nil, nil
	}
	return all, err
}

// lockAttempts makes the row if need be and keeps others from it until the
// commit: an update that changes nothing locks at any isolation.
func lockAttempts(tx *db.Tx, b bucket) ([]int64, error) {
	return db.One(tx, scanAttempts, `INSERT INTO attempts (realm, subject, browser, taken, last_at) VALUES ($1, $2, $3, '[]', $4)
		ON CONFLICT (realm, subject, browser) DO UPDATE SET last_at = excluded.last_at RETURNING taken`, tx.Realm, b.subject, b.browser, db.At(tx.Now))
}

func writeAttempts(tx *db.Tx, b bucket, all []int64) error {
	text, err := encodeAttempts(all)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE attempts SET taken = $4 WHERE realm = $1 AND subject = $2 AND browser = $3`, tx.Realm, b.subject, b.browser, text)
	return err
}

func sweepAttempts(tx *db.Tx, before time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM attempts WHERE realm = $1 AND last_at < $2`, tx.Realm, db.At(before))
}

// knownBrowser returns hash if the browser has signed in to the account before,
// otherwise "".
func knownBrowser(tx *db.Tx, principal, hash string) (string, error) {
	known, err := askKnown(tx, principal, hash).One()
	if db.Missing(err) {
		return "", nil
	}
	return known, err
}

func askKnown(tx *db.Tx, principal, hash string) *db.Answer[string] {
	return db.Ask(tx, db.Scalar[string], `SELECT browser FROM browsers WHERE realm = $1 AND principal = $2 AND browser = $3`, tx.Realm, principal, hash)
}

// askVisit asks when a browser signed in to an account last, and how.
func askVisit(tx *db.Tx, principal, hash string) func() (*Visit, error) {
	answer := db.Ask(tx, func(r db.Row) (*Visit, error) {
		var v Visit
		var at db.Time
		err := r.Scan(&at, &v.Habit)
		v.At = at.Time
		return &v, err
	}, `SELECT last_seen_at, habit FROM browsers WHERE realm = $1 AND principal = $2 AND browser = $3`, tx.Realm, principal, hash)
	return func() (*Visit, error) {
		v, err := answer.One()
		if db.Missing(err) {
			return &Visit{}, nil
		}
		return v, err
	}
}

func noteBrowser(tx *db.Tx, principal, hash, habit string) error {
	return tx.Later(`INSERT INTO browsers (realm, principal, browser, first_seen_at, last_seen_at, habit) VALUES ($1, $2, $3, $4, $4, $5)
		ON CONFLICT (realm, principal, browser) DO UPDATE SET last_seen_at = excluded.last_seen_at,
			habit = CASE WHEN excluded.habit = '' THEN browsers.habit ELSE excluded.habit END`, tx.Realm, principal, hash, db.At(tx.Now), habit)
}

func askHabits(tx *db.Tx, principal string) func() ([]string, error) {
	return db.AskAll(tx, db.Scalar[string], `SELECT habit FROM browsers WHERE realm = $1 AND principal = $2 AND habit <> ''`, tx.Realm, principal)
}

func forgetHabits(tx *db.Tx, principal string) error {
	return tx.Later(`UPDATE browsers SET habit = '' WHERE realm = $1 AND principal = $2 AND habit <> ''`, tx.Realm, principal)
}

func forgetBrowsers(tx *db.Tx, principal string, keep int) error {
	_, err := tx.Exec(`DELETE FROM browsers WHERE realm = $1 AND principal = $2 AND browser NOT IN
		(SELECT browser FROM browsers WHERE realm = $1 AND principal = $2 ORDER BY last_seen_at DESC, browser LIMIT $3)`, tx.Realm, principal, keep)
	return err
}

func setRemembered(tx *db.Tx, principal, hash string, until time.Time) error {
	_, err := tx.Exec(`UPDATE browsers SET remembered_until = $4 WHERE realm = $1 AND principal = $2 AND browser = $3`, tx.Realm, principal, hash, db.At(until))
	return err
}

func remembered(tx *db.Tx, principal, hash string) (time.Time, error) {
	until, err := db.One(tx, db.Scalar[db.Time], `SELECT remembered_until FROM browsers WHERE realm = $1 AND principal = $2 AND browser = $3`, tx.Realm, principal, hash)
	if db.Missing(err) {
		return time.Time{}, nil
	}
	return until.Time, err
}

func forgetRemembered(tx *db.Tx, principal string) error {
	_, err := tx.Exec(`UPDATE browsers SET remembered_until = 0 WHERE realm = $1 AND principal = $2 AND remembered_until <> 0`, tx.Realm, principal)
	return err
}
