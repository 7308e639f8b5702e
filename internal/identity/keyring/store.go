package keyring

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

type signingRow struct {
	SigningKey
	public string
	sealed []byte
}

type secretRow struct {
	id         string
	purpose    Purpose
	generation int64
	sealed     []byte
	createdAt  time.Time
	activeFrom time.Time
	retireAt   time.Time
}

func signingRows(tx *db.Tx) ([]signingRow, error) {
	return db.All(tx, func(r db.Row) (k signingRow, err error) {
		var created, from, retire, revoked db.Time
		err = r.Scan(&k.ID, &k.Alg, &k.Generation, &k.public, &k.sealed, &created, &from, &retire, &revoked)
		k.CreatedAt, k.ActiveFrom, k.RetireAt, k.RevokedAt = created.Time, from.Time, retire.Time, revoked.Time
		return k, err
	}, `SELECT id, alg, generation, public, sealed, created_at, active_from, retire_at, revoked_at
		FROM signing_keys WHERE realm = $1 ORDER BY alg, generation DESC`, tx.Realm)
}

// insertSigning adds a key. Generations are unique, so of two nodes that make
// the same generation at once one is told to try again.
func insertSigning(tx *db.Tx, k SigningKey, sealed []byte) error {
	n, err := tx.Exec(`INSERT INTO signing_keys (realm, id, alg, generation, public, sealed, created_at, active_from, retire_at, revoked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0) ON CONFLICT DO NOTHING`,
		tx.Realm, k.ID, k.Alg, k.Generation, string(k.JWK), sealed, db.At(k.CreatedAt), db.At(k.ActiveFrom))
	return one(n, err, "another rotation came first")
}

func retireRowAt(tx *db.Tx, keyID string, at time.Time) error {
	n, err := tx.Exec(`UPDATE signing_keys SET retire_at = $1 WHERE realm = $2 AND id = $3 AND revoked_at = 0`, db.At(at), tx.Realm, keyID)
	return one(n, err, "the key was revoked meanwhile")
}

func retireRow(tx *db.Tx, keyID string) error {
	n, err := tx.Exec(`UPDATE signing_keys SET retire_at = $1, sealed = $2 WHERE realm = $3 AND id = $4 AND revoked_at = 0`,
		db.At(tx.Now), []byte{}, tx.Realm, keyID)
	return one(n, err, "the key was revoked meanwhile")
}

func revokeRow(tx *db.Tx, keyID string) error {
	n, err := tx.Exec(`UPDATE signing_keys SET revoked_at = $1, sealed = $2 WHERE realm = $3 AND id = $4 AND revoked_at = 0`,
		db.At(tx.Now), []byte{}, tx.Realm, keyID)
	return one(n, err, "the key was revoked meanwhile")
}

func activateRow(tx *db.Tx, keyID string) error {
	n, err := tx.Exec(`UPDATE signing_keys SET active_from = $1 WHERE realm = $2 AND id = $3 AND revoked_at = 0`, db.At(tx.Now), tx.Realm, keyID)
	return one(n, err, "the key was revoked meanwhile")
}

func wipeSigning(tx *db.Tx, keyID string) error {
	_, err := tx.Exec(`UPDATE signing_keys SET sealed = $1 WHERE realm = $2 AND id = $3`, []byte{}, tx.Realm, keyID)
	return err
}

func secretRows(tx *db.Tx) ([]secretRow, error) {
	return db.All(tx, func(r db.Row) (k secretRow, err error) {
		var created, from, retire db.Time
		var purpose string
		err = r.Scan(&k.id, &purpose, &k.generation, &k.sealed, &created, &from, &retire)
		k.purpose, k.createdAt, k.activeFrom, k.retireAt = Purpose(purpose), created.Time, from.Time, retire.Time
		return k, err
	}, `SELECT id, purpose, generation, sealed, created_at, active_from, retire_at
		FROM secret_keys WHERE realm = $1 ORDER BY purpose, generation DESC`, tx.Realm)
}

func insertSecretRow(tx *db.Tx, k secretRow) error {
	n, err := tx.Exec(`INSERT INTO secret_keys (realm, id, purpose, generation, sealed, created_at, active_from, retire_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT DO NOTHING`,
		tx.Realm, k.id, string(k.purpose), k.generation, k.sealed, db.At(k.createdAt), db.At(k.activeFrom))
	return one(n, err, "another rotation came first")
}

func retireSecretAt(tx *db.Tx, keyID string, at time.Time) error {
	_, err := tx.Exec(`UPDATE secret_keys SET retire_at = $1 WHERE realm = $2 AND id = $3`, db.At(at), tx.Realm, keyID)
	return err
}

func deleteSecret(tx *db.Tx, keyID string) error {
	_, err := tx.Exec(`DELETE FROM secret_keys WHERE realm = $1 AND id = $2`, tx.Realm, keyID)
	return err
}

// codeOvertaken is the code of a change that another one made impossible.
const codeOvertaken = "key_changed"

// one turns "no row changed" into a conflict that the caller may retry.
func one(n int64, err error, why string) error {
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, codeOvertaken, "%s; try again", why)
	}
	return err
}
