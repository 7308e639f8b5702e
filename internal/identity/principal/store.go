package principal

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

const columns = `id, kind, name, display_name, state, owner, locale, profile, expires_at, life, signouts, version, created_at, updated_at`

func scan(r db.Row) (*Principal, error) {
	var p Principal
	var owner *string
	var profile string
	var expires, created, updated db.Time
	err := r.Scan(&p.ID, &p.Kind, &p.Name, &p.DisplayName, &p.State, &owner, &p.Locale, &profile, &expires, &p.Life, &p.Signouts, &p.Version, &created, &updated)
	if err != nil {
		return nil, err
	}
	if owner != nil {
		p.Owner = *owner
	}
	p.ExpiresAt, p.CreatedAt, p.UpdatedAt = expires.Time, created.Time, updated.Time
	if err := json.Unmarshal([]byte(profile), &p.Profile); err != nil {
		return nil, fmt.Errorf("profile of %s: %w", p.ID, err)
	}
	return &p, nil
}

// sortKey is what List finds by the beginning of a display name.
func (p *Principal) sortKey() []byte {
	if p.DisplayName == "" {
		return []byte(Canonical(p.Name))
	}
	return []byte(Canonical(p.DisplayName))
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func insert(tx *db.Tx, p *Principal) error {
	profile, err := json.Marshal(p.Profile)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO principals (realm, `+columns+`, sort_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		tx.Realm, p.ID, p.Kind, p.Name, p.DisplayName, p.State, nullable(p.Owner), p.Locale, string(profile), db.At(p.ExpiresAt), p.Life, p.Signouts, p.Version,
		db.At(p.CreatedAt), db.At(p.UpdatedAt), p.sortKey())
	return err
}

func update(tx *db.Tx, p *Principal) error {
	profile, err := json.Marshal(p.Profile)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE principals SET name = $3, display_name = $4, owner = $5, locale = $6, profile = $7, expires_at = $8, version = $9, updated_at = $10, sort_key = $11, life = $12
		WHERE realm = $1 AND id = $2`,
		tx.Realm, p.ID, p.Name, p.DisplayName, nullable(p.Owner), p.Locale, string(profile), db.At(p.ExpiresAt), p.Version, db.At(p.UpdatedAt), p.sortKey(), p.Life)
	return err
}

// askFlagged is askByID that tells whether the principal is flagged, too.
func askFlagged(tx *db.Tx, id string) func() (*Principal, bool, error) {
	var flagged bool
	answer := db.Ask(tx, func(r db.Row) (*Principal, error) { return scan(wider{r, &flagged}) },
		`SELECT `+columns+`, flagged FROM principals WHERE realm = $1 AND id = $2`, tx.Realm, id)
	return func() (*Principal, bool, error) {
		p, err := answer.One()
		if db.Missing(err) {
			return nil, false, unknown(id)
		}
		return p, flagged, err
	}
}

// wider is a row with one more column than its reader knows.
type wider struct {
	db.Row
	last any
}

func (w wider) Scan(dest ...any) error { return w.Row.Scan(append(dest, w.last)...) }

// lockFlagged lists the next principals that are flagged, and keeps others from
// changing them until the commit. On SQLite there is one writer, so nobody can.
func lockFlagged(tx *db.Tx, after string, most int) ([]string, error) {
	query := `SELECT id FROM principals WHERE realm = $1 AND flagged AND id > $2 ORDER BY id LIMIT $3`
	if tx.Engine() == db.Postgres {
		query += ` FOR NO KEY UPDATE`
	}
	return db.All(tx, db.Scalar[string], query, tx.Realm, after, most)
}

func unflag(tx *db.Tx, id string) error {
	_, err := tx.Exec(`UPDATE principals SET flagged = FALSE WHERE realm = $1 AND id = $2`, tx.Realm, id)
	return err
}

func byID(tx *db.Tx, id string) (*Principal, error) { return askByID(tx, id)() }

func askByID(tx *db.Tx, id string) func() (*Principal, error) {
	answer := db.Ask(tx, scan, `SELECT `+columns+` FROM principals WHERE realm = $1 AND id = $2`, tx.Realm, id)
	return func() (*Principal, error) {
		p, err := answer.One()
		if db.Missing(err) {
			return nil, unknown(id)
		}
		return p, err
	}
}

func setState(tx *db.Tx, id string, s State, lives int) error {
	_, err := tx.Exec(`UPDATE principals SET state = $3, life = life + $4, version = version + 1, updated_at = $5 WHERE realm = $1 AND id = $2`,
		tx.Realm, id, s, lives, db.At(tx.Now))
	return err
}

func signOut(tx *db.Tx, id string) error {
	_, err := tx.Exec(`UPDATE principals SET signouts = signouts + 1, version = version + 1, updated_at = $3 WHERE realm = $1 AND id = $2`,
		tx.Realm, id, db.At(tx.Now))
	return err
}

// bury makes a tombstone of a principal.
func bury(tx *db.Tx, id string) error {
	_, err := tx.Exec(`UPDATE principals SET state = $3, name = '', display_name = '', sort_key = $4, locale = '', profile = '{}', life = life + 1, version = version + 1, updated_at = $5
		WHERE realm = $1 AND id = $2`, tx.Realm, id, Deleted, []byte{}, db.At(tx.Now))
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM identifiers WHERE realm = $1 AND principal = $2`, tx.Realm, id); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM members WHERE realm = $1 AND container = $2`, tx.Realm, id); err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM members WHERE realm = $1 AND member = $2`, tx.Realm, id)
	return err
}

// ownedBelow measures how deep the chains of what id owns are, and reports
// whether owner is among it.
func ownedBelow(tx *db.Tx, id, owner string) (depth int, loops bool, err error) {
	found, err := db.All(tx, func(r db.Row) (o struct {
		id    string
		depth int
	}, err error) {
		return o, r.Scan(&o.id, &o.depth)
	}, `WITH RECURSIVE below (id, depth) AS (
		SELECT id, 0 FROM principals WHERE realm = $1 AND id = $2
		UNION
		SELECT p.id, below.depth + 1 FROM below CROSS JOIN `+tx.ForEach("principals p", "p.id", `p.realm = $1 AND p.owner = below.id AND below.depth < $4`)+`
	) SELECT id, depth FROM below WHERE id = $3 OR depth = (SELECT max(depth) FROM below)`, tx.Realm, id, owner, maxOwners+1)
	for _, o := range found {
		depth = max(depth, o.depth)
		loops = loops || o.id == owner
	}
	return depth, loops, err
}

func ownedIDs(tx *db.Tx, id string) ([]string, error) {
	return db.All(tx, db.Scalar[string], `WITH RECURSIVE below (id, depth) AS (
		SELECT id, 1 FROM principals WHERE realm = $1 AND owner = $2
		UNION
		SELECT p.id, below.depth + 1 FROM below CROSS JOIN `+tx.ForEach("principals p", "p.id", `p.realm = $1 AND p.owner = below.id AND below.depth < $3`)+`
	) SELECT DISTINCT id FROM below ORDER BY id`, tx.Realm, id, maxOwners+1)
}

func list(tx *db.Tx, f Filter, after string, limit int) ([]*Principal, error) {
	query := `SELECT ` + columns + ` FROM principals WHERE realm = $1 AND id > $2`
	args := []any{tx.Realm, after}
	and := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		query += " AND " + condition
	}
	if f.Kind != "" {
		and("kind = ?", f.Kind)
	}
	if f.State != "" {
		and("state = ?", f.State)
	} else {
		and("state <> ?", Deleted)
	}
	if f.Owner != "" {
		and("owner = ?", f.Owner)
	}
	args = append(args, limit)
	page, err := db.All(tx, scan, query+fmt.Sprintf(` ORDER BY id LIMIT $%d`, len(args)), args...)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	return page, fillEmails(tx, page)
}

func unknownOr(err error) error {
	if db.Missing(err) {
		return unknownIdentifier()
	}
	return err
}

func taken(t string) error {
	if t == "email" {
		return fault.New(fault.Conflict, "email_taken", "somebody has that e-mail address").WithField("email", "is taken")
	}
	return fault.New(fault.Conflict, "name_taken", "somebody has that name").WithField("name", "is taken")
}
