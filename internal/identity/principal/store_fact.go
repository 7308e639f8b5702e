package principal

import "github.com/cardea-id/cardea/internal/db"

func scanFact(r db.Row) (f Fact, err error) {
	var owner *string
	var expires db.Time
	err = r.Scan(&f.ID, &f.Kind, &f.State, &owner, &expires)
	if owner != nil {
		f.Owner = *owner
	}
	f.ExpiresAt = expires.Time
	return f, err
}

func factsOf(tx *db.Tx, id string) ([]Fact, error) {
	return db.All(tx, scanFact, `SELECT id, kind, state, owner, expires_at FROM principals WHERE realm = $1 AND id = $2 AND state <> 'deleted'`, tx.Realm, id)
}

func factsAfter(tx *db.Tx, after string, limit int) ([]Fact, error) {
	return db.All(tx, scanFact, `SELECT id, kind, state, owner, expires_at FROM principals WHERE realm = $1 AND id > $2 AND state <> 'deleted' ORDER BY id LIMIT $3`,
		tx.Realm, after, limit)
}

// containersBetween reads what the principals from one id to another are directly in.
func containersBetween(tx *db.Tx, first, last string) ([]Member, error) {
	return db.All(tx, func(r db.Row) (m Member, err error) { return m, r.Scan(&m.Container, &m.Member, &m.Relation) },
		`SELECT container, member, relation FROM members WHERE realm = $1 AND member >= $2 AND member <= $3 ORDER BY member, container`, tx.Realm, first, last)
}
