package credential

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// passkeyByHandle reads a passkey, revoked ones too, and the name under which
// its owner's devices know them.
func passkeyByHandle(tx *db.Tx, handle string) (passkeyCandidate, error) {
	k, err := db.One(tx, scanCandidate, `SELECT `+columns+`, COALESCE((SELECT u.handle FROM passkey_users u WHERE u.realm = credentials.realm AND u.principal = credentials.principal), '')
		FROM credentials WHERE realm = $1 AND handle = $2 AND handle <> ''`, tx.Realm, handle)
	if db.Missing(err) {
		return k, unknown(handle)
	}
	return k, err
}

func scanCandidate(r db.Row) (k passkeyCandidate, err error) {
	k.Credential, err = scan(wider{r, &k.user})
	return k, err
}

// wider is a row with one more column than its reader knows.
type wider struct {
	db.Row
	last any
}

func (w wider) Scan(dest ...any) error { return w.Row.Scan(append(dest, w.last)...) }

// askUse notes the use of a passkey, unless what is kept of it changed: then its
// answer is missing. Whose a passkey is never changes; what else is read of it now
// is all that its use goes by.
func askUse(tx *db.Tx, c Credential, data string) *db.Answer[Credential] {
	return db.Ask(tx, func(r db.Row) (Credential, error) {
		var expires db.Time
		err := r.Scan(&c.MustChange, &expires)
		c.ExpiresAt, c.RevokedAt, c.LastUsedAt, c.data = expires.Time, time.Time{}, tx.Now, data
		return c, err
	}, `UPDATE credentials SET data = $4, last_used_at = $5 WHERE realm = $1 AND id = $2 AND data = $3 AND revoked_at = 0 RETURNING must_change, expires_at`,
		tx.Realm, c.ID, c.data, data, db.At(tx.Now))
}

func rename(tx *db.Tx, id, name string) error {
	_, err := tx.Exec(`UPDATE credentials SET name = $3, version = version + 1 WHERE realm = $1 AND id = $2 AND revoked_at = 0`, tx.Realm, id, name)
	return err
}

func passkeyUser(tx *db.Tx, principal string) (string, error) {
	handle, err := db.One(tx, db.Scalar[string], `SELECT handle FROM passkey_users WHERE realm = $1 AND principal = $2`, tx.Realm, principal)
	if db.Missing(err) {
		return "", nil
	}
	return handle, err
}

func isPasskeyUser(tx *db.Tx, handle string) (bool, error) {
	n, err := db.One(tx, db.Scalar[int], `SELECT count(*) FROM passkey_users WHERE realm = $1 AND handle = $2`, tx.Realm, handle)
	return n > 0, err
}

func addPasskeyUser(tx *db.Tx, principal, handle string) error {
	_, err := tx.Exec(`INSERT INTO passkey_users (realm, principal, handle) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, tx.Realm, principal, handle)
	return err
}
