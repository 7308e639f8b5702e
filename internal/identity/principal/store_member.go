package principal

import "github.com/cardea-id/cardea/internal/db"

func scanMember(r db.Row) (m Member, err error) {
	var since db.Time
	err = r.Scan(&m.Container, &m.Member, &m.Relation, &since, &m.Kind)
	m.Since = since.Time
	return m, err
}

const memberColumns = `m.container, m.member, m.relation, m.created_at, p.kind`

func insertMember(tx *db.Tx, m Member) (changed bool, err error) {
	n, err := tx.Exec(`INSERT INTO members (realm, container, member, relation, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (realm, container, member) DO UPDATE SET relation = excluded.relation WHERE members.relation <> excluded.relation`,
		tx.Realm, m.Container, m.Member, m.Relation, db.At(tx.Now))
	return n > 0, err
}

func deleteMember(tx *db.Tx, container, member string) (int64, error) {
	return tx.Exec(`DELETE FROM members WHERE realm = $1 AND container = $2 AND member = $3`, tx.Realm, container, member)
}

func membersOf(tx *db.Tx, container, after string, limit int) ([]Member, error) {
	return db.All(tx, scanMember, `SELECT `+memberColumns+` FROM members m JOIN principals p ON p.realm = m.realm AND p.id = m.member
		WHERE m.realm = $1 AND m.container = $2 AND m.member > $3 ORDER BY m.member LIMIT $4`,
		tx.Realm, container, after, limit)
}

func containersOf(tx *db.Tx, member, after string, limit int) ([]Member, error) {
	return db.All(tx, scanMember, `SELECT `+memberColumns+` FROM members m JOIN principals p ON p.realm = m.realm AND p.id = m.container
		WHERE m.realm = $1 AND m.member = $2 AND m.container > $3 ORDER BY m.container LIMIT $4`,
		tx.Realm, member, after, limit)
}

// containersAbove counts the levels of groups above container, and reports
// whether group is one of them.
func containersAbove(tx *db.Tx, container, group string) (depth int, loops bool, err error) {
	found, err := db.All(tx, func(r db.Row) (o struct {
		id    string
		depth int
	}, err error) {
		return o, r.Scan(&o.id, &o.depth)
	}, `WITH RECURSIVE above (id, depth) AS (
		SELECT CAST($2 AS TEXT), 0
		UNION
		SELECT m.container, above.depth + 1 FROM above CROSS JOIN `+tx.ForEach("members m", "m.container", `m.realm = $1 AND m.member = above.id AND above.depth < $4`)+`
	) SELECT id, depth FROM above WHERE id = $3 OR depth = (SELECT max(depth) FROM above)`, tx.Realm, container, group, maxNesting+1)
	for _, o := range found {
		depth = max(depth, o.depth)
		loops = loops || o.id == group
	}
	return depth, loops, err
}

// groupsBelow counts the levels of groups nested in group.
func groupsBelow(tx *db.Tx, group string) (int, error) {
	return db.One(tx, db.Scalar[int], `WITH RECURSIVE below (id, depth) AS (
		SELECT CAST($2 AS TEXT), 0
		UNION
		SELECT m.member, below.depth + 1 FROM below CROSS JOIN `+tx.ForEach("members m", "m.member", `m.realm = $1 AND m.container = below.id AND below.depth < $3
			AND EXISTS (SELECT p.id FROM principals p WHERE p.realm = $1 AND p.id = m.member AND p.kind = 'group' LIMIT 1 OFFSET 0)`)+`
	) SELECT max(depth) FROM below`, tx.Realm, group, maxNesting+1)
}

func organizationNames(tx *db.Tx, id string) ([]string, error) {
	pairs, err := db.All(tx, func(r db.Row) (p [2]string, err error) { return p, r.Scan(&p[0], &p[1]) },
		`SELECT o.name, o.display_name FROM members m JOIN principals o ON o.realm = m.realm AND o.id = m.container
		WHERE m.realm = $1 AND m.member = $2 AND o.kind = 'organization' ORDER BY o.id LIMIT 20`, tx.Realm, id)
	var names []string
	for _, p := range pairs {
		names = append(names, p[0], p[1])
	}
	return names, err
}
