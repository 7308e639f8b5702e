package terms

import "github.com/cardea-id/cardea/internal/db"

const columns = `id, document, version, title, link, body, effective_at, withdrawn_at, created_at`

func scan(r db.Row) (*Version, error) {
	var v Version
	var effective, withdrawn, created db.Time
	err := r.Scan(&v.ID, &v.Document, &v.Version, &v.Title, &v.Link, &v.Text, &effective, &withdrawn, &created)
	v.Effective, v.Withdrawn, v.Created = effective.Time, withdrawn.Time, created.Time
	return &v, err
}

func insert(tx *db.Tx, v *Version) (bool, error) {
	n, err := tx.Exec(`INSERT INTO terms (realm, `+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9) ON CONFLICT DO NOTHING`,
		tx.Realm, v.ID, v.Document, v.Version, v.Title, v.Link, v.Text, db.At(v.Effective), db.At(v.Created))
	return n == 1, err
}

func count(tx *db.Tx) (int, error) {
	return db.One(tx, db.Scalar[int], `SELECT count(*) FROM terms WHERE realm = $1`, tx.Realm)
}

func withdraw(tx *db.Tx, id string) error {
	_, err := tx.Exec(`UPDATE terms SET withdrawn_at = $3 WHERE realm = $1 AND id = $2 AND withdrawn_at = 0`, tx.Realm, id, db.At(tx.Now))
	return err
}

func byID(tx *db.Tx, id string) (*Version, error) {
	v, err := db.One(tx, scan, `SELECT `+columns+` FROM terms WHERE realm = $1 AND id = $2`, tx.Realm, id)
	if db.Missing(err) {
		return nil, unknown()
	}
	return v, err
}

func list(tx *db.Tx, after string, limit int) ([]*Version, error) {
	return db.All(tx, scan, `SELECT `+columns+` FROM terms WHERE realm = $1 AND id > $2 ORDER BY id LIMIT $3`, tx.Realm, after, limit)
}

// standing are the versions that were not withdrawn.
func standing(tx *db.Tx) ([]*Version, error) {
	return db.All(tx, scan, `SELECT `+columns+` FROM terms WHERE realm = $1 AND withdrawn_at = 0 ORDER BY id`, tx.Realm)
}

func scanAcceptance(r db.Row) (a Acceptance, err error) {
	var at db.Time
	err = r.Scan(&a.Person, &a.Terms, &at)
	a.At = at.Time
	return a, err
}

func accept(tx *db.Tx, person, terms string) (bool, error) {
	n, err := tx.Exec(`INSERT INTO terms_acceptances (realm, principal, terms, accepted_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		tx.Realm, person, terms, db.At(tx.Now))
	return n == 1, err
}

func acceptedBy(tx *db.Tx, person string) ([]Acceptance, error) {
	return db.All(tx, scanAcceptance, `SELECT principal, terms, accepted_at FROM terms_acceptances WHERE realm = $1 AND principal = $2 ORDER BY accepted_at, terms`, tx.Realm, person)
}

func acceptancesOf(tx *db.Tx, terms, after string, limit int) ([]Acceptance, error) {
	return db.All(tx, scanAcceptance, `SELECT principal, terms, accepted_at FROM terms_acceptances WHERE realm = $1 AND terms = $2 AND principal > $3 ORDER BY principal LIMIT $4`,
		tx.Realm, terms, after, limit)
}
