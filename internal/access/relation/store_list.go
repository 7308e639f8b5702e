package relation

import (
	"fmt"
	"strings"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/db"
)

func scanRow(r db.Row) (t Row, err error) {
	var s, o []byte
	err = r.Scan(&t.Subject.Type, &s, &t.Relation, &t.Object.Type, &o, &t.Expires, &t.Source)
	t.Subject.ID, t.Object.ID = string(s), string(o)
	return t, err
}

const rowColumns = `subject_type, subject_id, relation, object_type, object_id, expires_at, source`

// where collects conditions with their arguments.
type where struct {
	terms []string
	args  []any
}

// and adds a condition in which %s is the place of an argument.
func (w *where) and(term string, args ...any) {
	places := make([]any, len(args))
	for i, a := range args {
		w.args = append(w.args, a)
		places[i] = fmt.Sprintf("$%d", len(w.args))
	}
	w.terms = append(w.terms, fmt.Sprintf(term, places...))
}

func (w *where) entity(prefix string, e graph.Entity) {
	if e.Type != "" {
		w.and(prefix+"_type = %s", e.Type)
	}
	if e.ID != "" {
		w.and(prefix+"_id = %s", []byte(e.ID))
	}
}

func (w *where) limit(n int) string {
	w.args = append(w.args, n)
	return fmt.Sprintf(" LIMIT $%d", len(w.args))
}

// list reads in the order of the index that narrows most.
func list(tx *db.Tx, f Filter, from []string, limit int) ([]Row, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	w := &where{terms: []string{"TRUE"}, args: []any{tx.Realm}}
	w.entity("subject", f.Subject)
	w.entity("object", f.Object)
	if f.Relation != "" {
		w.and("relation = %s", f.Relation)
	}
	if f.Source != "" {
		w.and("source = %s AND source <> ''", f.Source)
	}
	order := "subject_type, subject_id, relation, object_type, object_id"
	if f.Subject.Type == "" && f.Object.Type != "" {
		order = "object_type, object_id, subject_type, subject_id, relation"
		if from[0] != "" {
			w.and("(object_type, object_id, subject_type, subject_id, relation) > (%s, %s, %s, %s, %s)", from[3], []byte(from[4]), from[0], []byte(from[1]), from[2])
		}
	} else if from[0] != "" {
		w.and("(subject_type, subject_id, relation, object_type, object_id) > (%s, %s, %s, %s, %s)", from[0], []byte(from[1]), from[2], from[3], []byte(from[4]))
	}
	return db.All(tx, scanRow, `SELECT `+rowColumns+` FROM access_relations WHERE realm = $1 AND `+strings.Join(w.terms, " AND ")+` ORDER BY `+order+w.limit(limit), w.args...)
}

func scanAttribute(r db.Row) (a AttributeRow, err error) {
	var id []byte
	err = r.Scan(&a.Entity.Type, &id, &a.Name, &a.Value, &a.Source)
	a.Entity.ID = string(id)
	return a, err
}

func listAttributes(tx *db.Tx, f Filter, from []string, limit int) ([]AttributeRow, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	w := &where{terms: []string{"TRUE"}, args: []any{tx.Realm}}
	w.entity("entity", f.Subject)
	if f.Relation != "" {
		w.and("name = %s", f.Relation)
	}
	if f.Source != "" {
		w.and("source = %s AND source <> ''", f.Source)
	}
	if from[0] != "" {
		w.and("(entity_type, entity_id, name) > (%s, %s, %s)", from[0], []byte(from[1]), from[2])
	}
	return db.All(tx, scanAttribute, `SELECT entity_type, entity_id, name, value, source FROM access_attributes WHERE realm = $1 AND `+strings.Join(w.terms, " AND ")+
		` ORDER BY entity_type, entity_id, name`+w.limit(limit), w.args...)
}

func relationsUpTo(tx *db.Tx, version int64, from []string, limit int) ([]Row, error) {
	return db.All(tx, scanRow, `SELECT `+rowColumns+` FROM access_relations
		WHERE realm = $1 AND version <= $2 AND (subject_type, subject_id, relation, object_type, object_id) > ($3, $4, $5, $6, $7)
		ORDER BY subject_type, subject_id, relation, object_type, object_id LIMIT $8`,
		tx.Realm, version, from[0], []byte(from[1]), from[2], from[3], []byte(from[4]), limit)
}

func attributesUpTo(tx *db.Tx, version int64, from []string, limit int) ([]AttributeRow, error) {
	return db.All(tx, scanAttribute, `SELECT entity_type, entity_id, name, value, source FROM access_attributes
		WHERE realm = $1 AND version <= $2 AND (entity_type, entity_id, name) > ($3, $4, $5) ORDER BY entity_type, entity_id, name LIMIT $6`,
		tx.Realm, version, from[0], []byte(from[1]), from[2], limit)
}

func rolesOf(tx *db.Tx, typ string, subjects []graph.Entity, types []string) ([]Row, error) {
	args := []any{tx.Realm, typ}
	ids := make([]string, len(subjects))
	for i, e := range subjects {
		args = append(args, []byte(e.ID))
		ids[i] = fmt.Sprintf("$%d", len(args))
	}
	return db.All(tx, scanRow, `SELECT `+rowColumns+` FROM access_relations WHERE realm = $1 AND subject_type = $2 AND subject_id IN (`+strings.Join(ids, ", ")+`)
		AND relation <> 'member' AND relation <> 'parent' AND object_type IN (`+listOf(&args, types)+`)`, args...)
}
