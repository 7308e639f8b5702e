package relation

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/db"
)

// upward is the beginning of a statement: ends are the entities of all sides (1
// the subjects, 2 the resources, 3 others) with all that they are inside of at a time,
// which is $2.
func upward(tx *db.Tx, sides [3][]graph.Entity, at int64) (text string, args []any) {
	bytes := ""
	if tx.Engine() == db.Postgres {
		bytes = "::bytea"
	}
	args = []any{tx.Realm, at}
	var seeds []string
	for side, entities := range sides {
		for _, e := range entities {
			args = append(args, e.Type, []byte(e.ID))
			seeds = append(seeds, fmt.Sprintf("(%d, CAST($%d AS TEXT), $%d%s)", side+1, len(args)-1, len(args), bytes))
		}
	}
	// UNION keeps each once, so that it ends also where something were in a circle.
	return `WITH RECURSIVE seeds (side, type, id) AS (VALUES ` + strings.Join(seeds, ", ") + `), ends (side, type, id) AS (
		SELECT side, type, id FROM seeds
		UNION
		SELECT ends.side, r.object_type, r.object_id FROM ends CROSS JOIN ` + upFrom(tx, "r.object_type, r.object_id",
		`r.realm = $1 AND r.subject_type = ends.type AND r.subject_id = ends.id AND `+lasting) + `) `, args
}

// lasting is true of relations r that have not ended at $2.
const lasting = `(r.expires_at = 0 OR r.expires_at > $2)`

// between reads what leads upward, and the roles of some names of the one side on the
// other if both together are no more than mostPairs. Each pair of both sides is looked
// up by the index of objects, so the cost does not grow with how many roles anybody
// holds.
func between(tx *db.Tx, sides [3][]graph.Entity, names []string, at int64) ([]Row, error) {
	text, args := upward(tx, sides, at)
	text += `SELECT ` + rowColumns + ` FROM ends CROSS JOIN ` + upFrom(tx, rowColumns,
		`r.realm = $1 AND r.subject_type = ends.type AND r.subject_id = ends.id AND `+lasting)
	if len(names) > 0 {
		text += `
		UNION
		SELECT ` + rowColumns + ` FROM (SELECT type, id FROM ends WHERE side = 2 AND (SELECT COUNT(*) FROM ends WHERE side = 1) * (SELECT COUNT(*) FROM ends WHERE side = 2) <= ` + strconv.Itoa(mostPairs) + `) o
		CROSS JOIN (SELECT type, id FROM ends WHERE side = 1) s CROSS JOIN ` + tx.ForEach("access_relations r", rowColumns,
			`r.realm = $1 AND r.object_type = o.type AND r.object_id = o.id AND r.subject_type = s.type AND r.subject_id = s.id AND r.relation IN (`+listOf(&args, names)+`) AND `+lasting)
	}
	return db.All(tx, scanRow, text+` LIMIT `+strconv.Itoa(mostUpward+mostRoles+1), args...)
}

func knownAbove(tx *db.Tx, sides [3][]graph.Entity, at int64) ([]AttributeRow, error) {
	text, args := upward(tx, sides, at)
	return db.All(tx, scanAttribute, text+`SELECT DISTINCT a.entity_type, a.entity_id, a.name, a.value, a.source FROM ends CROSS JOIN `+
		tx.ForEach("access_attributes a", "a.entity_type, a.entity_id, a.name, a.value, a.source", `a.realm = $1 AND a.entity_type = ends.type AND a.entity_id = ends.id`), args...)
}

// candidates reads the smallest ids above after of the entities of a type that
// facts speak of. Each part is cut before they are put together, by an index.
func candidates(tx *db.Tx, typ, after string, limit int) ([]string, error) {
	return db.All(tx, func(r db.Row) (string, error) {
		var id []byte
		err := r.Scan(&id)
		return string(id), err
	}, `SELECT id FROM (SELECT DISTINCT subject_id AS id FROM access_relations WHERE realm = $1 AND subject_type = $2 AND subject_id > $3 ORDER BY subject_id LIMIT $4) s
		UNION SELECT id FROM (SELECT DISTINCT object_id AS id FROM access_relations WHERE realm = $1 AND object_type = $2 AND object_id > $3 ORDER BY object_id LIMIT $4) o
		UNION SELECT id FROM (SELECT DISTINCT entity_id AS id FROM access_attributes WHERE realm = $1 AND entity_type = $2 AND entity_id > $3 ORDER BY entity_id LIMIT $4) a
		ORDER BY id LIMIT $4`, tx.Realm, typ, []byte(after), limit)
}

// insideOf reads by the index of objects.
func insideOf(tx *db.Tx, of []graph.Entity, parents bool, at int64, limit int) ([]Row, error) {
	relations := "'member', 'parent'"
	if parents {
		relations = "'parent'"
	}
	text, args := upward(tx, [3][]graph.Entity{2: of}, at) // of which only the seeds are asked
	return db.All(tx, scanRow, text+`SELECT `+rowColumns+` FROM seeds CROSS JOIN `+tx.ForEach("access_relations r", rowColumns,
		fmt.Sprintf(`r.realm = $1 AND r.object_type = seeds.type AND r.object_id = seeds.id AND r.relation IN (%s) AND %s`, relations, lasting))+
		` LIMIT `+strconv.Itoa(limit), args...)
}

// aboveAll reads by the primary key.
func aboveAll(tx *db.Tx, of []graph.Entity, at int64, limit int) ([]Row, error) {
	text, args := upward(tx, [3][]graph.Entity{2: of}, at) // of which only the seeds are asked
	return db.All(tx, scanRow, text+`SELECT `+rowColumns+` FROM seeds CROSS JOIN `+upFrom(tx, rowColumns,
		`r.realm = $1 AND r.subject_type = seeds.type AND r.subject_id = seeds.id AND `+lasting)+` LIMIT `+strconv.Itoa(limit), args...)
}

func fromType(tx *db.Tx, typ string, at int64, limit int) ([]Row, error) {
	return db.All(tx, scanRow, `SELECT `+rowColumns+` FROM access_relations r WHERE realm = $1 AND `+lasting+` AND subject_type = $3 LIMIT $4`, tx.Realm, at, typ, limit)
}

func grantedTo(tx *db.Tx, to []graph.Entity, names []string, at int64, limit int) ([]Row, error) {
	text, args := upward(tx, [3][]graph.Entity{to}, at)
	return db.All(tx, scanRow, text+`SELECT `+rowColumns+` FROM ends CROSS JOIN `+tx.ForEach("access_relations r", rowColumns,
		`r.realm = $1 AND r.subject_type = ends.type AND r.subject_id = ends.id AND r.relation IN (`+listOf(&args, names)+`) AND `+lasting)+
		` LIMIT `+strconv.Itoa(limit), args...)
}

func attributesAfter(tx *db.Tx, typ string, from *AttributeRow, limit int) ([]AttributeRow, error) {
	return db.All(tx, scanAttribute, `SELECT entity_type, entity_id, name, value, source FROM access_attributes
		WHERE realm = $1 AND entity_type = $2 AND (entity_id, name) > ($3, $4) ORDER BY entity_id, name LIMIT $5`, tx.Realm, typ, []byte(from.Entity.ID), from.Name, limit)
}
