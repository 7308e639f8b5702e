package relation

import (
	"fmt"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/db"
)

// hold makes the transaction the only one that writes facts of the realm, and
// gives their version.
func hold(tx *db.Tx) (int64, error) {
	return db.One(tx, db.Scalar[int64], `INSERT INTO access_facts (realm, version) VALUES ($1, 0)
		ON CONFLICT (realm) DO UPDATE SET version = access_facts.version RETURNING version`, tx.Realm)
}

func setVersion(tx *db.Tx, version int64) error {
	return tx.Later(`UPDATE access_facts SET version = $2 WHERE realm = $1`, tx.Realm, version)
}

func version(tx *db.Tx) (int64, error) {
	v, err := db.One(tx, db.Scalar[int64], `SELECT version FROM access_facts WHERE realm = $1`, tx.Realm)
	if db.Missing(err) {
		return 0, nil
	}
	return v, err
}

// apply writes the rows of a change, in the order that [graph.Change] has.
func apply(tx *db.Tx, version int64, source string, c graph.Change, texts []string) error {
	for _, e := range c.Drop {
		if err := drop(tx, e); err != nil {
			return err
		}
	}
	for _, t := range c.Remove {
		if err := tx.Later(`DELETE FROM access_relations WHERE realm = $1 AND subject_type = $2 AND subject_id = $3 AND relation = $4 AND object_type = $5 AND object_id = $6`,
			tx.Realm, t.Subject.Type, []byte(t.Subject.ID), t.Relation, t.Object.Type, []byte(t.Object.ID)); err != nil {
			return err
		}
	}
	for _, a := range c.Unset {
		if err := tx.Later(`DELETE FROM access_attributes WHERE realm = $1 AND entity_type = $2 AND entity_id = $3 AND name = $4`,
			tx.Realm, a.Entity.Type, []byte(a.Entity.ID), a.Name); err != nil {
			return err
		}
	}
	for _, t := range c.Add {
		if err := tx.Later(`INSERT INTO access_relations (realm, subject_type, subject_id, relation, object_type, object_id, expires_at, version, source) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (realm, subject_type, subject_id, relation, object_type, object_id) DO UPDATE SET expires_at = excluded.expires_at, version = excluded.version, source = excluded.source`,
			tx.Realm, t.Subject.Type, []byte(t.Subject.ID), t.Relation, t.Object.Type, []byte(t.Object.ID), t.Expires, version, source); err != nil {
			return err
		}
	}
	for i, a := range c.Set {
		if err := tx.Later(`INSERT INTO access_attributes (realm, entity_type, entity_id, name, value, version, source) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (realm, entity_type, entity_id, name) DO UPDATE SET value = excluded.value, version = excluded.version, source = excluded.source`,
			tx.Realm, a.Entity.Type, []byte(a.Entity.ID), a.Name, texts[i], version, source); err != nil {
			return err
		}
	}
	return nil
}

func drop(tx *db.Tx, e graph.Entity) error {
	if err := tx.Later(`DELETE FROM access_relations WHERE realm = $1 AND subject_type = $2 AND subject_id = $3`, tx.Realm, e.Type, []byte(e.ID)); err != nil {
		return err
	}
	if err := tx.Later(`DELETE FROM access_relations WHERE realm = $1 AND object_type = $2 AND object_id = $3`, tx.Realm, e.Type, []byte(e.ID)); err != nil {
		return err
	}
	return tx.Later(`DELETE FROM access_attributes WHERE realm = $1 AND entity_type = $2 AND entity_id = $3`, tx.Realm, e.Type, []byte(e.ID))
}

func mentioned(tx *db.Tx, e graph.Entity) (bool, error) {
	return db.One(tx, db.Scalar[bool], `SELECT EXISTS (SELECT realm FROM access_relations WHERE realm = $1 AND subject_type = $2 AND subject_id = $3)
		OR EXISTS (SELECT realm FROM access_relations WHERE realm = $1 AND object_type = $2 AND object_id = $3)
		OR EXISTS (SELECT realm FROM access_attributes WHERE realm = $1 AND entity_type = $2 AND entity_id = $3)`, tx.Realm, e.Type, []byte(e.ID))
}

// nesting is what an entity is inside of.
type nesting struct {
	count, depth int64
	loops        bool
	kinds        bool // some of it is of the types that were asked about
}

// upFrom goes behind FROM, or behind FROM … CROSS JOIN: the relations r upward that meet
// a condition, looked up by the primary key. For PostgreSQL the two names are rows,
// which can be nothing but the last of what is looked up: for two words it would read
// all roles of a subject, or the index of what is inside. SQLite looks words up, and
// for rows would make an index of all facts.
func upFrom(tx *db.Tx, columns, condition string) string {
	if tx.Engine() == db.SQLite {
		return tx.ForEach("access_relations r", columns, condition+` AND r.relation IN ('member', 'parent')`)
	}
	return `(VALUES ('member'), ('parent')) AS ways (name) CROSS JOIN ` + tx.ForEach("access_relations r", columns, condition+` AND r.relation = ways.name`)
}

// askAbove measures what an entity is inside of: how many, how deep, and whether
// it is itself among it, or anything of some types.
func askAbove(tx *db.Tx, e graph.Entity, types []string) *db.Answer[nesting] {
	args := []any{tx.Realm, e.Type, []byte(e.ID), graph.MaxDepth}
	kinds := "0 = 1"
	if len(types) > 0 {
		kinds = "COALESCE(MAX(CASE WHEN type IN (" + listOf(&args, types) + ") THEN 1 ELSE 0 END), 0) = 1"
	}
	return db.Ask(tx, func(r db.Row) (n nesting, err error) {
		return n, r.Scan(&n.count, &n.depth, &n.loops, &n.kinds)
	}, `WITH RECURSIVE up (type, id, depth) AS (
			SELECT r.object_type, r.object_id, 1 FROM `+upFrom(tx, "r.object_type, r.object_id",
		`r.realm = $1 AND r.subject_type = $2 AND r.subject_id = $3`)+`
			UNION
			SELECT r.object_type, r.object_id, up.depth + 1 FROM up CROSS JOIN `+upFrom(tx, "r.object_type, r.object_id",
		`r.realm = $1 AND r.subject_type = up.type AND r.subject_id = up.id AND up.depth <= $4`)+`
		) SELECT (SELECT COUNT(*) FROM (SELECT DISTINCT type, id FROM up) every_one), COALESCE(MAX(depth), 0), COALESCE(MAX(CASE WHEN type = $2 AND id = $3 THEN 1 ELSE 0 END), 0) = 1, `+kinds+` FROM up`, args...)
}

// hasInside is true of relations r whose subject has something inside.
const hasInside = `EXISTS (SELECT i.realm FROM access_relations i WHERE i.realm = $1 AND i.object_type = r.subject_type AND i.object_id = r.subject_id AND i.relation IN ('member', 'parent') LIMIT 1 OFFSET 0)`

// askBelow measures how many levels are inside an entity. All on a level but those
// that have something inside count alike, so one of them is enough: a group of a
// million people is one level, not a million rows.
func askBelow(tx *db.Tx, e graph.Entity) *db.Answer[int64] {
	return db.Ask(tx, db.Scalar[int64], `WITH RECURSIVE down (type, id, depth) AS (
			SELECT subject_type, subject_id, 1 FROM access_relations r WHERE r.realm = $1 AND r.object_type = $2 AND r.object_id = $3 AND r.relation IN ('member', 'parent') AND `+hasInside+`
			UNION
			SELECT r.subject_type, r.subject_id, down.depth + 1 FROM down CROSS JOIN `+tx.ForEach("access_relations r", "r.subject_type, r.subject_id",
		`r.realm = $1 AND r.object_type = down.type AND r.object_id = down.id AND r.relation IN ('member', 'parent') AND down.depth <= $4 AND `+hasInside)+`
		) SELECT COALESCE((SELECT MAX(depth) FROM down), 0) + CASE WHEN EXISTS (SELECT realm FROM access_relations WHERE realm = $1 AND object_type = $2 AND object_id = $3 AND relation IN ('member', 'parent')) THEN 1 ELSE 0 END`,
		tx.Realm, e.Type, []byte(e.ID), graph.MaxDepth)
}

// aboveOf reads what an entity is inside of, as far as it is of some types.
func aboveOf(tx *db.Tx, e graph.Entity, types []string) ([]graph.Entity, error) {
	args := []any{tx.Realm, e.Type, []byte(e.ID)}
	return db.All(tx, func(r db.Row) (e graph.Entity, err error) {
		var id []byte
		err = r.Scan(&e.Type, &id)
		e.ID = string(id)
		return e, err
	}, `WITH RECURSIVE up (type, id) AS (
			SELECT r.object_type, r.object_id FROM `+upFrom(tx, "r.object_type, r.object_id",
		`r.realm = $1 AND r.subject_type = $2 AND r.subject_id = $3`)+`
			UNION
			SELECT r.object_type, r.object_id FROM up CROSS JOIN `+upFrom(tx, "r.object_type, r.object_id",
		`r.realm = $1 AND r.subject_type = up.type AND r.subject_id = up.id`)+`
		) SELECT type, id FROM up WHERE type IN (`+listOf(&args, types)+`) ORDER BY type, id`, args...)
}

// anyBelow reports whether anything of some types is inside an entity. Like
// askBelow it goes through those that have something inside.
func anyBelow(tx *db.Tx, e graph.Entity, types []string) (bool, error) {
	args := []any{tx.Realm, e.Type, []byte(e.ID)}
	return db.One(tx, db.Scalar[bool], `WITH RECURSIVE down (type, id) AS (
			SELECT object_type, object_id FROM access_relations WHERE realm = $1 AND object_type = $2 AND object_id = $3 AND relation IN ('member', 'parent')
			UNION
			SELECT r.subject_type, r.subject_id FROM down CROSS JOIN `+tx.ForEach("access_relations r", "r.subject_type, r.subject_id",
		`r.realm = $1 AND r.object_type = down.type AND r.object_id = down.id AND r.relation IN ('member', 'parent') AND `+hasInside)+`
		) SELECT EXISTS (SELECT r.realm FROM down CROSS JOIN `+tx.ForEach("access_relations r", "r.realm",
		`r.realm = $1 AND r.object_type = down.type AND r.object_id = down.id AND r.relation IN ('member', 'parent') AND r.subject_type IN (`+listOf(&args, types)+`)`)+`)`, args...)
}

// listOf appends the values to the arguments of a statement and gives their places.
func listOf(args *[]any, values []string) string {
	var places []string
	for _, v := range values {
		*args = append(*args, v)
		places = append(places, fmt.Sprintf("$%d", len(*args)))
	}
	return strings.Join(places, ", ")
}

func tupleVersion(tx *db.Tx, t graph.Tuple) (int64, error) {
	return db.One(tx, db.Scalar[int64], `SELECT version FROM access_relations
		WHERE realm = $1 AND subject_type = $2 AND subject_id = $3 AND relation = $4 AND object_type = $5 AND object_id = $6 AND (expires_at = 0 OR expires_at > $7)`,
		tx.Realm, t.Subject.Type, []byte(t.Subject.ID), t.Relation, t.Object.Type, []byte(t.Object.ID), tx.Now.UnixMilli())
}

func attributeOf(tx *db.Tx, e graph.Entity, name string) (value string, version int64, err error) {
	type pair struct {
		value   string
		version int64
	}
	p, err := db.One(tx, func(r db.Row) (p pair, err error) { return p, r.Scan(&p.value, &p.version) },
		`SELECT value, version FROM access_attributes WHERE realm = $1 AND entity_type = $2 AND entity_id = $3 AND name = $4`, tx.Realm, e.Type, []byte(e.ID), name)
	return p.value, p.version, err
}

// batch is a row of access_batches.
type batch struct {
	target string
	digest []byte
}

func scanBatch(r db.Row) (b batch, err error) { return b, r.Scan(&b.target, &b.digest) }

func insertBatch(tx *db.Tx, version int64, target, sender, key string, digest []byte) error {
	if digest == nil {
		digest = []byte{}
	}
	return tx.Later(`INSERT INTO access_batches (realm, version, target, sender, once_key, digest, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		tx.Realm, version, target, sender, key, digest, db.At(tx.Now))
}

func batchByKey(tx *db.Tx, sender, key string) (batch, error) {
	return db.One(tx, scanBatch, `SELECT target, digest FROM access_batches WHERE realm = $1 AND sender = $2 AND once_key = $3 AND once_key <> ''`, tx.Realm, sender, key)
}

func batchUpTo(tx *db.Tx, version int64) (batch, error) {
	return db.One(tx, scanBatch, `SELECT target, digest FROM access_batches WHERE realm = $1 AND version = $2`, tx.Realm, version)
}

func oldestBatch(tx *db.Tx) (batch, error) {
	return db.One(tx, scanBatch, `SELECT target, digest FROM access_batches WHERE realm = $1 ORDER BY version LIMIT 1`, tx.Realm)
}

// sweepBatches leaves the newest batch, by which the place of all before is judged.
func sweepBatches(tx *db.Tx, before time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM access_batches WHERE realm = $1 AND version IN (
		SELECT version FROM access_batches WHERE realm = $1 AND created_at < $2 AND version < (SELECT MAX(version) FROM access_batches WHERE realm = $1) ORDER BY created_at LIMIT 1000)`,
		tx.Realm, db.At(before))
}
