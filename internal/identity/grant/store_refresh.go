package grant

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// lastRefresh is what a grant knows of its refresh tokens: the last of them, which
// alone is good. Whoever can write these columns can renew any grant.
type lastRefresh struct {
	hash       []byte    // of the last token; nil: the grant has none
	generation int64     // counts the tokens there were, from 1
	bound      string    // the key or certificate that the last token needs; "" none
	epoch      int64     // of the log when the last token was made
	rotated    time.Time // when the last token was made of another; zero for the first
	idle       time.Time // when the last token dies unused; the family dies with the grant
}

const lastColumns = `refresh_hash, refresh_generation, refresh_bound, refresh_epoch, refreshed_at, refresh_idle_at`

// withLast reads a grant with its family.
func withLast(tx *db.Tx, id string) (*Grant, lastRefresh, error) {
	both, err := db.One(tx, scanWithLast, `SELECT `+grantColumns+`, `+lastColumns+` FROM grants WHERE realm = $1 AND id = $2`, tx.Realm, id)
	return both.grant, both.last, err
}

type grantWithLast struct {
	grant *Grant
	last  lastRefresh
}

func scanWithLast(r db.Row) (v grantWithLast, err error) {
	var g grantRow
	var rotated, idle db.Time
	f := &v.last
	if err = r.Scan(append(g.columns(), &f.hash, &f.generation, &f.bound, &f.epoch, &rotated, &idle)...); err != nil {
		return v, err
	}
	f.rotated, f.idle = rotated.Time, idle.Time
	v.grant, err = g.grant()
	return v, err
}

func (f lastRefresh) args() []any {
	return []any{f.hash, f.generation, f.bound, f.epoch, db.At(f.rotated), db.At(f.idle)}
}

// rotation is what rotate needs to know.
type rotation struct {
	grant     string
	used      []byte // hash of the token shown
	next      []byte // hash of its successor
	client    string
	life      int64  // of the client
	bound     string // the key or certificate shown; "" none
	epoch     int64
	idleUntil time.Time
}

// rotate is the one statement that uses a refresh token up. It passes only for
// the last token of the family, for the client and with the key it was given
// to, in time, in the epoch it was made in, and while the grant, and the consent
// below that, are alive. It returns the grant, and when the successor dies
// unused.
func rotate(tx *db.Tx, r rotation) (*Grant, time.Time, error) {
	both, err := db.One(tx, scanRotated, rotateText,
		db.At(tx.Now), tx.Realm, r.grant, r.used, r.client, r.life, r.bound, r.epoch, db.At(r.idleUntil), r.next)
	return both.grant, both.idle, err
}

// renew passes where rotate does, and leaves the token in its place: it only
// ages anew.
func renew(tx *db.Tx, r rotation) (*Grant, time.Time, error) {
	both, err := db.One(tx, scanRotated, renewText,
		db.At(tx.Now), tx.Realm, r.grant, r.used, r.client, r.life, r.bound, r.epoch, db.At(r.idleUntil))
	return both.grant, both.idle, err
}

const (
	rotateText = `UPDATE grants SET refresh_hash = $10, refresh_generation = refresh_generation + 1, refreshed_at = $1, ` + whileGood
	renewText  = `UPDATE grants SET ` + whileGood

	// whileGood is what both have in common.
	whileGood = `refresh_bound = $7, refresh_idle_at = CASE WHEN expires_at < $9 THEN expires_at ELSE $9 END
	WHERE realm = $2 AND id = $3 AND refresh_hash = $4 AND client = $5 AND client_life = $6 AND refresh_bound IN ('', $7) AND refresh_epoch = $8
	AND refresh_idle_at > $1 AND expires_at > $1 AND revoked_at = 0
	AND (NOT consent OR EXISTS (SELECT 1 FROM consents c WHERE c.realm = $2 AND c.principal = grants.principal AND c.client = grants.client AND c.created_at <= grants.created_at))
	RETURNING ` + grantColumns + `, refresh_idle_at`
)

type rotated struct {
	grant *Grant
	idle  time.Time
}

func scanRotated(r db.Row) (v rotated, err error) {
	var g grantRow
	var idle db.Time
	if err = r.Scan(append(g.columns(), &idle)...); err != nil {
		return v, err
	}
	v.idle = idle.Time
	v.grant, err = g.grant()
	return v, err
}
