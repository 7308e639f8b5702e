package registration

import (
	"encoding/json"

	"github.com/cardea-id/cardea/internal/db"
)

// row is what is kept of a registration beside the client.
type row struct {
	client   string
	token    []byte // hash of the registration access token
	initial  string // id of the initial access token it came with, if any
	software Software
}

func scan(r db.Row) (k row, err error) {
	var software string
	if err := r.Scan(&k.client, &k.token, &k.initial, &software); err != nil {
		return row{}, err
	}
	return k, json.Unmarshal([]byte(software), &k.software)
}

func byClient(tx *db.Tx, id string) (row, error) {
	return db.One(tx, scan, `SELECT client, token, initial, software FROM registrations WHERE realm = $1 AND client = $2`, tx.Realm, id)
}

func insert(tx *db.Tx, k row) error {
	_, err := tx.Exec(`INSERT INTO registrations (realm, client, token, initial, software, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)`,
		tx.Realm, k.client, k.token, k.initial, k.software.encode(), db.At(tx.Now))
	return err
}

// rotate puts one token in the place of another. Of several requests with the
// same token one gets through.
func rotate(tx *db.Tx, id string, old, next []byte, s Software) error {
	n, err := tx.Exec(`UPDATE registrations SET token = $4, software = $5, updated_at = $6 WHERE realm = $1 AND client = $2 AND token = $3`,
		tx.Realm, id, old, next, s.encode(), db.At(tx.Now))
	if err == nil && n == 0 {
		return stranger()
	}
	return err
}

// forget ends a registration with the token that it has.
func forget(tx *db.Tx, id string, token []byte) error {
	n, err := tx.Exec(`DELETE FROM registrations WHERE realm = $1 AND client = $2 AND token = $3`, tx.Realm, id, token)
	if err == nil && n == 0 {
		return stranger()
	}
	return err
}

func remove(tx *db.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM registrations WHERE realm = $1 AND client = $2`, tx.Realm, id)
	return err
}

// idle lists registrations that nobody has changed since an instant, the
// oldest first.
func idle(tx *db.Tx, since db.Time, limit int) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT client FROM registrations WHERE realm = $1 AND updated_at < $2 ORDER BY updated_at, client LIMIT $3`,
		tx.Realm, since, limit)
}

// kept puts off when idle lists a registration again.
func kept(tx *db.Tx, id string) error {
	_, err := tx.Exec(`UPDATE registrations SET updated_at = $3 WHERE realm = $1 AND client = $2`, tx.Realm, id, db.At(tx.Now))
	return err
}

const tokenColumns = `id, name, uses, max_uses, created_at, expires_at, revoked_at`

func scanToken(r db.Row) (t InitialToken, err error) {
	var created, expires, revoked db.Time
	err = r.Scan(&t.ID, &t.Name, &t.Uses, &t.MaxUses, &created, &expires, &revoked)
	t.CreatedAt, t.ExpiresAt, t.RevokedAt = created.Time, expires.Time, revoked.Time
	return t, err
}

func insertToken(tx *db.Tx, t InitialToken, hash []byte) error {
	_, err := tx.Exec(`INSERT INTO initial_access_tokens (realm, hash, `+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
		tx.Realm, hash, t.ID, t.Name, t.Uses, t.MaxUses, db.At(t.CreatedAt), db.At(t.ExpiresAt))
	return err
}

func tokenByID(tx *db.Tx, id string) (InitialToken, error) {
	return db.One(tx, scanToken, `SELECT `+tokenColumns+` FROM initial_access_tokens WHERE realm = $1 AND id = $2`, tx.Realm, id)
}

func tokens(tx *db.Tx, after string, limit int) ([]InitialToken, error) {
	return db.All(tx, scanToken, `SELECT `+tokenColumns+` FROM initial_access_tokens WHERE realm = $1 AND id > $2 ORDER BY id LIMIT $3`, tx.Realm, after, limit)
}

// take uses a token once more, if it is alive and has a use left, and returns
// its id.
func take(tx *db.Tx, hash []byte) (string, error) {
	return db.One(tx, db.Scalar[string], `UPDATE initial_access_tokens SET uses = uses + 1
		WHERE realm = $1 AND hash = $2 AND uses < max_uses AND revoked_at = 0 AND expires_at > $3 RETURNING id`, tx.Realm, hash, db.At(tx.Now))
}

// spendable finds a token that take would use.
func spendable(tx *db.Tx, hash []byte) (string, error) {
	return db.One(tx, db.Scalar[string], `SELECT id FROM initial_access_tokens
		WHERE realm = $1 AND hash = $2 AND uses < max_uses AND revoked_at = 0 AND expires_at > $3`, tx.Realm, hash, db.At(tx.Now))
}

func revokeToken(tx *db.Tx, id string) (int64, error) {
	return tx.Exec(`UPDATE initial_access_tokens SET revoked_at = $3 WHERE realm = $1 AND id = $2 AND revoked_at = 0`, tx.Realm, id, db.At(tx.Now))
}

func sweepTokens(tx *db.Tx, before db.Time) (int64, error) {
	return tx.Exec(`DELETE FROM initial_access_tokens WHERE realm = $1 AND expires_at < $2`, tx.Realm, before)
}
