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
	bound       string // the key or certificate it needs; "" none
	epoch       int64
	generation  int64 // counts from 1 within the family: whatever else fails, a token has one successor
	predecessor []byte
	issued      time.Time
	idle        time.Time // when it dies unused
	expires     time.Time // when its family dies
	consumed    time.Time // zero while unused
}

const refreshColumns = `hash, grant_id, client, bound, epoch, generation, predecessor, issued_at, idle_at, expires_at, consumed_at`

func scanRefresh(r db.Row) (refreshToken, error) {
	var t refreshRow
	err := r.Scan(t.columns()...)
	return t.token(), err
}

// refreshRow is a refresh token while it is read.
type refreshRow struct {
	t                               refreshToken
	issued, idle, expires, consumed db.Time
}

// columns are where refreshColumns go.
func (r *refreshRow) columns() []any {
	return []any{&r.t.hash, &r.t.grant, &r.t.client, &r.t.bound, &r.t.epoch, &r.t.generation, &r.t.predecessor, &r.issued, &r.idle, &r.expires, &r.consumed}
}

func (r *refreshRow) token() refreshToken {
	r.t.issued, r.t.idle, r.t.expires, r.t.consumed = r.issued.Time, r.idle.Time, r.expires.Time, r.consumed.Time
	return r.t
}

func insertRefresh(tx *db.Tx, t refreshToken) error {
	return tx.Later(`INSERT INTO refresh_tokens (realm, `+refreshColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0)`,
		tx.Realm, t.hash, t.grant, t.client, t.bound, t.epoch, t.generation, t.predecessor, db.At(t.issued), db.At(t.idle), db.At(t.expires))
}

func refreshByHash(tx *db.Tx, hash []byte) (refreshToken, error) {
	return db.One(tx, scanRefresh, `SELECT `+refreshColumns+` FROM refresh_tokens WHERE realm = $1 AND hash = $2`, tx.Realm, hash)
}

// consumeRefresh is the one statement that uses a refresh token up. It passes
// only for the client and with the key it was given to, in time, in the epoch it was made in,
// and while its grant, and the consent below that, are alive. It returns the
// grant as well.
func consumeRefresh(tx *db.Tx, hash []byte, client, bound string, epoch, life int64) (refreshToken, *Grant, error) {
	args := []any{db.At(tx.Now), tx.Realm, hash, client, epoch, life, bound}
	if tx.Engine() == db.Postgres { // SQLite has no such WITH
		both, err := db.One(tx, scanConsumed, consumeWithGrant, args...)
		return both.token, both.grant, err
	}
	t, err := db.One(tx, scanRefresh, consume, args...)
	if err != nil {
		return t, nil, err
	}
	g, err := byID(tx, t.grant)
	return t, g, err
}

// Both statements look rows up by their whole keys. What keeps the planner of
// PostgreSQL from other ways, where it knows nothing of the tables yet, is
// OFFSET 0: a subquery is not made a join.
const (
	consume = `UPDATE refresh_tokens AS r SET consumed_at = $1
		WHERE r.realm = $2 AND r.hash = $3 AND r.client = $4 AND r.bound IN ('', $7) AND r.epoch = $5 AND r.consumed_at = 0 AND r.idle_at > $1 AND r.expires_at > $1
		AND EXISTS (SELECT 1 FROM grants g WHERE g.realm = $2 AND g.id = r.grant_id AND g.revoked_at = 0 AND g.expires_at > $1 AND g.client_life = $6
			AND (NOT g.consent OR EXISTS (SELECT 1 FROM consents c WHERE c.realm = $2 AND c.principal = g.principal AND c.client = g.client AND c.created_at <= g.created_at))
			LIMIT 1 OFFSET 0) RETURNING ` + refreshColumns
	consumeWithGrant = `WITH used AS (` + consume + `) SELECT u.hash, u.grant_id, u.client, u.bound, u.epoch, u.generation, u.predecessor, u.issued_at, u.idle_at, u.expires_at, u.consumed_at, ` + grantColumnsOfG + `
		FROM used u CROSS JOIN LATERAL (SELECT * FROM grants WHERE realm = $2 AND id = u.grant_id OFFSET 0) AS g`
)

// grantColumnsOfG are grantColumns where another table has columns of the same
// names.
const grantColumnsOfG = `g.realm, g.id, g.kind, g.principal, g.era, g.client, g.client_life, g.session, g.credential, g.parent, g.actor, g.standing, g.consent, g.offline,
	g.scope, g.audience, g.claims, g.acr, g.amr, g.auth_time, g.list, g.idx, g.moved_list, g.moved_idx, g.moved_until, g.earlier, g.created_at, g.expires_at, g.revoked_at, g.reason, g.version`

// consumed is a token that was just used up, with its grant.
type consumed struct {
	token refreshToken
	grant *Grant
}

func scanConsumed(r db.Row) (c consumed, err error) {
	var t refreshRow
	var g grantRow
	if err = r.Scan(append(t.columns(), g.columns()...)...); err != nil {
		return c, err
	}
	c.token = t.token()
	c.grant, err = g.grant()
	return c, err
}

func sweepRefresh(tx *db.Tx, before time.Time, most int) (int64, error) {
	return tx.Exec(`DELETE FROM refresh_tokens WHERE realm = $1 AND hash IN
		(SELECT hash FROM refresh_tokens WHERE realm = $1 AND idle_at < $2 AND issued_at > 0 ORDER BY idle_at LIMIT $3)`, tx.Realm, db.At(before), most)
}
