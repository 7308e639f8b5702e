package principal

import (
	"fmt"
	"strings"

	"github.com/cardea-id/cardea/internal/db"
)

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

func insideOf(tx *db.Tx, containers []string, limit int) ([]Fact, error) {
	args := []any{tx.Realm, limit}
	var places []string
	for _, id := range containers {
		args = append(args, id)
		places = append(places, fmt.Sprintf("$%d", len(args)))
	}
	return db.All(tx, func(r db.Row) (f Fact, err error) {
		var owner *string
		var expires db.Time
		m := Member{}
		err = r.Scan(&f.ID, &f.Kind, &f.State, &owner, &expires, &m.Container, &m.Relation)
		m.Member, f.ExpiresAt = f.ID, expires.Time
		f.In = []Member{m}
		if owner != nil {
			f.Owner = *owner
		}
		return f, err
	}, `SELECT p.id, p.kind, p.state, p.owner, p.expires_at, m.container, m.relation FROM members m CROSS JOIN principals p
		WHERE m.realm = $1 AND m.container IN (`+strings.Join(places, ", ")+`) AND p.realm = $1 AND p.id = m.member AND p.state <> 'deleted' LIMIT $2`, args...)
}
