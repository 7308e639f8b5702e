package credential

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

const columns = `id, principal, type, name, data, must_change, created_at, expires_at, last_used_at, revoked_at, version, handle, counter`

func scan(r db.Row) (c Credential, err error) {
	var created, expires, used, revoked db.Time
	err = r.Scan(&c.ID, &c.Principal, &c.Type, &c.Name, &c.data, &c.MustChange, &created, &expires, &used, &revoked, &c.Version, &c.handle, &c.counter)
	c.CreatedAt, c.ExpiresAt, c.LastUsedAt, c.RevokedAt = created.Time, expires.Time, used.Time, revoked.Time
	return c, err
}

func insert(tx *db.Tx, c Credential) error {
	n, err := tx.Exec(`INSERT INTO credentials (realm, `+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING`,
		tx.Realm, c.ID, c.Principal, c.Type, c.Name, c.data, c.MustChange, db.At(c.CreatedAt), db.At(c.ExpiresAt), db.At(c.LastUsedAt), db.At(c.RevokedAt), c.Version, c.handle, c.counter)
	switch {
	case err != nil || n > 0:
		return err
	case c.Type == Passkey:
		return fault.New(fault.Conflict, "passkey_registered", "this passkey is registered already")
	default:
		return fault.New(fault.Conflict, "password_exists", "the principal has a password already")
	}
}

func byID(tx *db.Tx, id string) (Credential, error) {
	return read(tx, id, `SELECT `+columns+` FROM credentials WHERE realm = $1 AND id = $2`)
}

// held reads a credential and keeps others from changing it until the commit.
// On SQLite there is one writer, so nobody can.
func held(tx *db.Tx, id string) func() (Credential, error) {
	query := `SELECT ` + columns + ` FROM credentials WHERE realm = $1 AND id = $2`
	if tx.Engine() == db.Postgres {
		query += ` FOR SHARE`
	}
	answer := db.Ask(tx, scan, query, tx.Realm, id)
	return func() (Credential, error) {
		c, err := answer.One()
		if db.Missing(err) {
			return c, unknown(id)
		}
		return c, err
	}
}

func read(tx *db.Tx, id, query string) (Credential, error) {
	c, err := db.One(tx, scan, query, tx.Realm, id)
	if db.Missing(err) {
		return c, unknown(id)
	}
	return c, err
}

// living reads what a principal proves itself with now: few, for each type has
// its bound.
func living(tx *db.Tx, principal string) ([]Credential, error) {
	return db.All(tx, scan, `SELECT `+columns+` FROM credentials WHERE realm = $1 AND principal = $2 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $3) ORDER BY id`,
		tx.Realm, principal, db.At(tx.Now))
}

// livePassword reads the password of a principal; the zero Credential says that
// it has none.
func livePassword(tx *db.Tx, principal string) (Credential, error) {
	c, err := db.One(tx, scan, `SELECT `+columns+` FROM credentials WHERE realm = $1 AND principal = $2 AND type = 'password' AND revoked_at = 0`, tx.Realm, principal)
	if db.Missing(err) {
		return Credential{}, nil
	}
	return c, err
}

func countLiving(tx *db.Tx, principal string, t Type) (int, error) {
	return db.One(tx, db.Scalar[int], `SELECT count(*) FROM credentials WHERE realm = $1 AND principal = $2 AND type = $3 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $4)`,
		tx.Realm, principal, t, db.At(tx.Now))
}

func revokedSince(tx *db.Tx, principal string, since time.Time) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT id FROM credentials WHERE realm = $1 AND principal = $2 AND revoked_at > $3 ORDER BY id`,
		tx.Realm, principal, db.At(since))
}

func revoke(tx *db.Tx, id string) error {
	_, err := tx.Exec(`UPDATE credentials SET revoked_at = $3, data = '', version = version + 1 WHERE realm = $1 AND id = $2 AND revoked_at = 0`,
		tx.Realm, id, db.At(tx.Now))
	return err
}

// revokeKept is revoke for a password whose hash is kept, so that it is not
// chosen again.
func revokeKept(tx *db.Tx, id string) error {
	_, err := tx.Exec(`UPDATE credentials SET revoked_at = $3, version = version + 1 WHERE realm = $1 AND id = $2 AND revoked_at = 0`,
		tx.Realm, id, db.At(tx.Now))
	return err
}

// keptHashes are those of a principal's dead passwords, the latest first.
func keptHashes(tx *db.Tx, principal string) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT data FROM credentials WHERE realm = $1 AND principal = $2 AND type = $3 AND revoked_at > 0 AND data <> ''
		ORDER BY revoked_at DESC, id DESC`, tx.Realm, principal, Password)
}

// dropHashes forgets all but the latest of them.
func dropHashes(tx *db.Tx, principal string, but int) error {
	_, err := tx.Exec(`UPDATE credentials SET data = '' WHERE realm = $1 AND principal = $2 AND type = $3 AND revoked_at > 0 AND data <> '' AND id NOT IN
		(SELECT id FROM credentials WHERE realm = $1 AND principal = $2 AND type = $3 AND revoked_at > 0 AND data <> '' ORDER BY revoked_at DESC, id DESC LIMIT $4)`,
		tx.Realm, principal, Password, but)
	return err
}

func noteUse(tx *db.Tx, id string) error {
	_, err := tx.Exec(`UPDATE credentials SET last_used_at = $3 WHERE realm = $1 AND id = $2 AND revoked_at = 0`, tx.Realm, id, db.At(tx.Now))
	return err
}

// replaceHash puts a stronger hash of the same password in place of the one
// that had version, unless somebody was faster.
func replaceHash(tx *db.Tx, id string, version int64, data string) (bool, error) {
	n, err := tx.Exec(`UPDATE credentials SET data = $4, version = version + 1 WHERE realm = $1 AND id = $2 AND version = $3 AND revoked_at = 0`,
		tx.Realm, id, version, data)
	return n == 1, err
}

func markCompromised(tx *db.Tx, id string) error {
	_, err := tx.Exec(`UPDATE credentials SET must_change = TRUE, version = version + 1 WHERE realm = $1 AND id = $2`, tx.Realm, id)
	return err
}

// advance notes the use of a credential whose counter was below, and reports
// whether it was: of many who come with the same value, one succeeds.
func advance(tx *db.Tx, id string, counter int64) (bool, error) {
	n, err := tx.Exec(`UPDATE credentials SET counter = $3, last_used_at = $4 WHERE realm = $1 AND id = $2 AND counter < $3 AND revoked_at = 0`,
		tx.Realm, id, counter, db.At(tx.Now))
	return n == 1, err
}

// demandedSince notes that the realm demands a level of somebody who has no
// factor for it, and tells since when it demands that much. It stays noted when
// they get one: who adds a factor and removes it has no time anew.
func demandedSince(tx *db.Tx, principal, acr string) (time.Time, error) {
	since, err := db.One(tx, db.Scalar[db.Time], `INSERT INTO factor_demands (realm, principal, since, acr) VALUES ($1, $2, $3, $4)
		ON CONFLICT (realm, principal) DO UPDATE SET acr = excluded.acr, since = excluded.since WHERE factor_demands.acr < excluded.acr
		RETURNING since`, tx.Realm, principal, db.At(tx.Now), acr)
	if db.Missing(err) { // another was faster
		return readDemand(tx, principal, acr)
	}
	return since.Time, err
}

// readDemand is demandedSince of what was noted before, or zero.
func readDemand(tx *db.Tx, principal, acr string) (time.Time, error) {
	since, err := db.One(tx, db.Scalar[db.Time], `SELECT since FROM factor_demands WHERE realm = $1 AND principal = $2 AND acr >= $3`, tx.Realm, principal, acr)
	if db.Missing(err) {
		return time.Time{}, nil
	}
	return since.Time, err
}

// ForgetTx removes what a principal that is deleted in the same transaction
// proved itself with, the browsers it signed in with and the guesses at it. By
// the principal's end all of it is dead.
func ForgetTx(tx *db.Tx, principal string) error {
	if _, err := tx.Exec(`UPDATE credentials SET revoked_at = $3, data = '', name = '', version = version + 1 WHERE realm = $1 AND principal = $2 AND revoked_at = 0`,
		tx.Realm, principal, db.At(tx.Now)); err != nil {
		return err
	}
	if err := dropHashes(tx, principal, 0); err != nil {
		return err
	}
	for _, statement := range []string{`DELETE FROM browsers WHERE realm = $1 AND principal = $2`, `DELETE FROM factor_demands WHERE realm = $1 AND principal = $2`} {
		if _, err := tx.Exec(statement, tx.Realm, principal); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`DELETE FROM attempts WHERE realm = $1 AND subject = $2`, tx.Realm, principal)
	return err
}
