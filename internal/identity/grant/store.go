package grant

import (
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

const grantColumns = `realm, id, kind, principal, era, client, client_life, session, credential, parent, actor, standing, consent, offline, scope, audience, claims,
	acr, amr, auth_time, list, idx, moved_list, moved_idx, moved_until, earlier, created_at, expires_at, revoked_at, reason, version, details, actor_era`

func scanGrant(r db.Row) (*Grant, error) {
	var g grantRow
	if err := r.Scan(g.columns()...); err != nil {
		return nil, err
	}
	return g.grant()
}

// grantRow is a grant while it is read.
type grantRow struct {
	g                                               Grant
	session, credential, parent, standing           *string
	scope, audience, amr, earlier                   string
	authTime, movedUntil, created, expires, revoked db.Time
}

// columns are where grantColumns go.
func (r *grantRow) columns() []any {
	g := &r.g
	return []any{&g.Realm, &g.ID, &g.Kind, &g.Principal, &g.Era, &g.Client, &g.clientLife, &r.session, &r.credential, &r.parent, &g.Actor, &r.standing, &g.Consent, &g.Offline,
		&r.scope, &r.audience, &g.Claims, &g.ACR, &r.amr, &r.authTime, &g.Status.List, &g.Status.Index, &g.moved.List, &g.moved.Index, &r.movedUntil, &r.earlier,
		&r.created, &r.expires, &r.revoked, &g.Reason, &g.Version, &g.Details, &g.ActorEra}
}

func (r *grantRow) grant() (*Grant, error) {
	g := &r.g
	g.Session, g.Credential, g.Parent, g.standing = text(r.session), text(r.credential), text(r.parent), text(r.standing)
	g.Scopes, g.Audience, g.AMR = split(r.scope), split(r.audience), split(r.amr)
	g.AuthTime, g.moved.Until, g.Created, g.Expires, g.Revoked = r.authTime.Time, r.movedUntil.Time, r.created.Time, r.expires.Time, r.revoked.Time
	if r.earlier == "[]" {
		return g, nil
	}
	return g, json.Unmarshal([]byte(r.earlier), &g.earlier)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func null(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

const insertGrantText = `INSERT INTO grants (` + grantColumns + `, ` + lastColumns + `)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, '', 0, 0, '[]', $23, $24, 0, '', 1, $25, $26, $27, $28, $29, $30, $31, $32)`

func insertGrant(tx *db.Tx, g *Grant, f lastRefresh) error {
	return tx.Later(insertGrantText, append(grantArgs(g), f.args()...)...)
}

// insertStanding reports whether there was no living grant of the same standing.
func insertStanding(tx *db.Tx, g *Grant) (bool, error) {
	n, err := tx.Exec(insertGrantText+` ON CONFLICT (realm, standing) WHERE standing IS NOT NULL AND revoked_at = 0 DO NOTHING`, append(grantArgs(g), lastRefresh{}.args()...)...)
	return n == 1, err
}

func grantArgs(g *Grant) []any {
	return []any{g.Realm, g.ID, string(g.Kind), g.Principal, g.Era, g.Client, g.clientLife, null(g.Session), null(g.Credential), null(g.Parent), g.Actor, null(g.standing),
		g.Consent, g.Offline, join(g.Scopes), join(g.Audience), g.Claims, g.ACR, join(g.AMR), db.At(g.AuthTime),
		g.Status.List, g.Status.Index, db.At(g.Created), db.At(g.Expires), g.Details, g.ActorEra}
}

func byID(tx *db.Tx, id string) (*Grant, error) {
	g, err := db.One(tx, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE realm = $1 AND id = $2`, tx.Realm, id)
	if db.Missing(err) {
		return nil, unknown(id)
	}
	return g, err
}

// heldGrant reads a grant and holds its row until the commit, so that its death
// waits for the birth below it. SQLite has one writer and needs no lock.
func heldGrant(tx *db.Tx, id string) (*Grant, error) {
	if tx.Engine() == db.SQLite {
		return byID(tx, id)
	}
	g, err := db.One(tx, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE realm = $1 AND id = $2 FOR SHARE`, tx.Realm, id)
	if db.Missing(err) {
		return nil, unknown(id)
	}
	return g, err
}

func byStanding(tx *db.Tx, standing string) (*Grant, error) {
	return db.One(tx, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE realm = $1 AND standing = $2 AND revoked_at = 0`, tx.Realm, standing)
}

// revoke kills one grant and returns it as it is then. It is NotFound when the
// grant is dead already or was never there.
func revoke(tx *db.Tx, id, reason string) (*Grant, error) {
	return db.One(tx, scanGrant, `UPDATE grants SET revoked_at = $1, reason = $2, version = version + 1
		WHERE realm = $3 AND id = $4 AND revoked_at = 0 RETURNING `+grantColumns, db.At(tx.Now), reason, tx.Realm, id)
}

// move gives a living grant a new status index and keeps the old ones, to be
// killed as well while tokens with them may live. They change with the index
// only, so what g knows of them holds as long as its index does.
func move(tx *db.Tx, g *Grant, to audit.Bit, until time.Time) (*Grant, error) {
	earlier, err := json.Marshal(g.old(tx.Now))
	if err != nil {
		return nil, err
	}
	return db.One(tx, scanGrant, `UPDATE grants SET moved_list = list, moved_idx = idx, moved_until = $1, earlier = $2, list = $3, idx = $4, version = version + 1
		WHERE realm = $5 AND id = $6 AND revoked_at = 0 AND list = $7 AND idx = $8 RETURNING `+grantColumns,
		db.At(until), string(earlier), to.List, to.Index, tx.Realm, g.ID, g.Status.List, g.Status.Index)
}

// casualty is what the end of an ancestor needs to know of a grant it killed.
type casualty struct {
	id   string
	bits []audit.Bit
}

func scanCasualty(now time.Time) func(db.Row) (casualty, error) {
	return func(r db.Row) (c casualty, err error) {
		var g Grant
		var until db.Time
		var earlier string
		if err = r.Scan(&g.ID, &g.Status.List, &g.Status.Index, &g.moved.List, &g.moved.Index, &until, &earlier); err != nil {
			return c, err
		}
		g.moved.Until = until.Time
		err = json.Unmarshal([]byte(earlier), &g.earlier)
		return casualty{g.ID, g.bits(now)}, err
	}
}

// The statements below each kill one chunk of the living grants under an
// ancestor. They take: now, reason, realm, the ancestor, its client if it is a
// consent, and how many at most; belowClient between which of the client's grants.
const (
	killText      = `UPDATE grants SET revoked_at = $1, reason = $2, version = version + 1 WHERE realm = $3 AND revoked_at = 0 AND id IN (`
	killReturning = `) RETURNING id, list, idx, moved_list, moved_idx, moved_until, earlier`

	underSession    = killText + `SELECT id FROM grants WHERE realm = $3 AND session = $4 AND NOT offline AND revoked_at = 0 AND $5 = '' LIMIT $6` + killReturning
	underCredential = killText + `SELECT id FROM grants WHERE realm = $3 AND credential = $4 AND revoked_at = 0 AND $5 = '' LIMIT $6` + killReturning
	underPrincipal  = killText + `SELECT id FROM grants WHERE realm = $3 AND principal = $4 AND revoked_at = 0 AND $5 = '' LIMIT $6` + killReturning
	underActor      = killText + `SELECT id FROM grants WHERE realm = $3 AND actor = $4 AND actor <> '' AND revoked_at = 0 AND $5 = '' LIMIT $6` + killReturning
	underConsent    = killText + `SELECT id FROM grants WHERE realm = $3 AND principal = $4 AND client = $5 AND consent AND revoked_at = 0 LIMIT $6` + killReturning
)

// as is a statement that is the same on both engines.
func as(text string) func(*db.Tx) string { return func(*db.Tx) string { return text } }

// below kills grants below grants. The first, a SELECT of ids, may be dead
// themselves. Databases keep to the order from one to the next; they begin at all
// grants of the realm else.
func below(tx *db.Tx, first string) string {
	return killText + `WITH RECURSIVE doomed(id) AS (` + first + `
		UNION SELECT g.id FROM doomed CROSS JOIN ` + tx.ForEach("grants g", "g.id", `g.realm = $3 AND g.parent = doomed.id`) + `)
		SELECT d.id FROM doomed CROSS JOIN ` + tx.ForEach("grants d", "d.id", `d.realm = $3 AND d.id = doomed.id AND d.revoked_at = 0`) + ` LIMIT $6` + killReturning
}

// belowThose is below for the grants of a condition, which themselves stay.
func belowThose(condition string) func(*db.Tx) string {
	return func(tx *db.Tx) string {
		return below(tx, `SELECT c.id FROM (SELECT id FROM grants WHERE realm = $3 AND `+condition+`) p CROSS JOIN `+
			tx.ForEach("grants c", "c.id", `c.realm = $3 AND c.parent = p.id`))
	}
}

func belowGrant(tx *db.Tx) string {
	return below(tx, `SELECT id FROM grants WHERE realm = $3 AND parent = $4 AND $5 = ''`)
}

func belowClient(tx *db.Tx) string { return belowThose(`client = $4 AND id > $5 AND id <= $7`)(tx) }

func killUnder(tx *db.Tx, statement string, a ancestor, reason string, most int) ([]casualty, error) {
	return db.All(tx, scanCasualty(tx.Now), statement, db.At(tx.Now), reason, tx.Realm, a.ID, a.Client, most)
}

// killUnderClient is killUnder for one part of a client's grants: as many as may be
// killed at once, behind the id after. A client may have a million, and few have any
// below them. rest is behind which id to go on, or "".
func killUnderClient(tx *db.Tx, client, after, reason string, most int) (killed []casualty, rest string, err error) {
	ids, err := db.All(tx, db.Scalar[string], `SELECT id FROM grants WHERE realm = $1 AND client = $2 AND id > $3 ORDER BY id LIMIT $4`, tx.Realm, client, after, most)
	if err != nil || len(ids) == 0 {
		return nil, "", err
	}
	last := ids[len(ids)-1]
	killed, err = db.All(tx, scanCasualty(tx.Now), belowClient(tx), db.At(tx.Now), reason, tx.Realm, client, after, most, last)
	if len(ids) == most {
		rest = last
	}
	return killed, rest, err
}

func listByPrincipal(tx *db.Tx, f Filter, most int) ([]*Grant, error) {
	return db.All(tx, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE realm = $1 AND principal = $2 AND id > $3
		AND (revoked_at = 0 AND (expires_at = 0 OR expires_at > $4) OR $5) ORDER BY id LIMIT $6`, tx.Realm, f.Principal, f.After, db.At(tx.Now), f.Dead, most)
}

func listByClient(tx *db.Tx, f Filter, most int) ([]*Grant, error) {
	return db.All(tx, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE realm = $1 AND client = $2 AND id > $3
		AND (revoked_at = 0 AND (expires_at = 0 OR expires_at > $4) OR $5) ORDER BY id LIMIT $6`, tx.Realm, f.Client, f.After, db.At(tx.Now), f.Dead, most)
}

func listBySession(tx *db.Tx, f Filter, most int) ([]*Grant, error) {
	return db.All(tx, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE realm = $1 AND session = $2 AND id > $3
		AND (revoked_at = 0 AND (expires_at = 0 OR expires_at > $4) OR $5) ORDER BY id LIMIT $6`, tx.Realm, f.Session, f.After, db.At(tx.Now), f.Dead, most)
}

func listAll(tx *db.Tx, f Filter, most int) ([]*Grant, error) {
	return db.All(tx, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE realm = $1 AND id > $2
		AND (revoked_at = 0 AND (expires_at = 0 OR expires_at > $3) OR $4) ORDER BY id LIMIT $5`, tx.Realm, f.After, db.At(tx.Now), f.Dead, most)
}

// clientsOf lists the clients that somebody let act for them with a session,
// dead grants too. Who only exchanged a token of the session's never heard of it.
func clientsOf(tx *db.Tx, session string) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT DISTINCT client FROM grants WHERE realm = $1 AND session = $2 AND kind = $3 ORDER BY client`,
		tx.Realm, session, string(Authorization))
}

// sweepGrants deletes grants that ended by time before the given instant. Of those
// of a session that was made since another one, the last of each client stays,
// so that it is known whom to tell when the session ends.
func sweepGrants(tx *db.Tx, before, sessions time.Time, most int) (int64, error) {
	return tx.Exec(`DELETE FROM grants WHERE realm = $1 AND id IN
		(SELECT g.id FROM grants g WHERE g.realm = $1 AND g.expires_at > 0 AND g.expires_at < $2 AND (g.session IS NULL OR g.created_at < $3 OR EXISTS
			(SELECT 1 FROM grants n WHERE n.realm = g.realm AND n.session = g.session AND n.client = g.client AND n.kind = g.kind AND n.id > g.id))
		ORDER BY g.expires_at LIMIT $4)`, tx.Realm, db.At(before), db.At(sessions), most)
}
