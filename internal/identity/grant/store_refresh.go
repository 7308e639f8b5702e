package grant

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// refreshToken is a refresh token as stored. Whoever can write this table can
// renew any grant.
type refreshToken struct {
	hash        []byte
	grant       string
	client      string
	epoch       int64
	predecessor []byte
	issued      time.Time
	idle        time.Time // when it dies unused
	expires     time.Time // when its family dies
	consumed    time.Time // zero while unused
}

const refreshColumns = `hash, grant_id, client, epoch, predecessor, issued_at, idle_at, expires_at, consumed_at`

func scanRefresh(r db.Row) (t refreshToken, err error) {
	var issued, idle, expires, consumed db.Time
	err = r.Scan(&t.hash, &t.grant, &t.client, &t.epoch, &t.predecessor, &issued, &idle, &expires, &consumed)
	t.issued, t.idle, t.expires, t.consumed = issued.Time, idle.Time, expires.Time, consumed.Time
	return t, err
}

func insertRefresh(tx *db.Tx, t refreshToken) error {
	return tx.Later(`INSERT INTO refresh_tokens (realm, `+refreshColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)`,
		tx.Realm, t.hash, t.grant, t.client, t.epoch, t.predecessor, db.At(t.issued), db.At(t.idle), db.At(t.expires))
}

func refreshByHash(tx *db.Tx, hash []byte) (refreshToken, error) {
	return db.One(tx, scanRefresh, `SELECT `+refreshColumns+` FROM refresh_tokens WHERE realm = $1 AND hash = $2`, tx.Realm, hash)
}

// consumeRefresh is the one statement that uses a refresh token up. It passes
// only for the client it was given to, in time, in the epoch it was made in,
// and while its grant, and the consent below that, are alive.
func consumeRefresh(tx *db.Tx, hash []byte, client string, epoch, life int64) (refreshToken, error) {
	return db.One(tx, scanRefresh, `UPDATE refresh_tokens SET consumed_at = $1
		WHERE realm = $2 AND hash = $3 AND client = $4 AND epoch = $5 AND consumed_at = 0 AND idle_at > $1 AND expires_at > $1
		AND EXISTS (SELECT 1 FROM grants g WHERE g.realm = $2 AND g.id = refresh_tokens.grant_id AND g.revoked_at = 0 AND g.expires_at > $1 AND g.client_life = $6
			AND (NOT g.consent OR EXISTS (SELECT 1 FROM consents c WHERE c.realm = $2 AND c.principal = g.principal AND c.client = g.client AND c.created_at <= g.created_at)))
		RETURNING `+refreshColumns, db.At(tx.Now), tx.Realm, hash, client, epoch, life)
}

func sweepRefresh(tx *db.Tx, before time.Time, most int) (int64, error) {
	return tx.Exec(`DELETE FROM refresh_tokens WHERE realm = $1 AND hash IN
		(SELECT hash FROM refresh_tokens WHERE realm = $1 AND idle_at < $2 AND issued_at > 0 ORDER BY idle_at LIMIT $3)`, tx.Realm, db.At(before), most)
}
