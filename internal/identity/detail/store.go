package detail

import (
	"encoding/json"

	"github.com/cardea-id/cardea/internal/db"
)

const columns = `name, schema_text, words, version, created_at, updated_at, deleted`

func scan(r db.Row) (*Type, error) {
	t := &Type{}
	var words string
	var created, updated db.Time
	if err := r.Scan(&t.Name, &t.Schema, &words, &t.Version, &created, &updated, &t.deleted); err != nil {
		return nil, err
	}
	t.Created, t.Updated = created.Time, updated.Time
	return t, json.Unmarshal([]byte(words), &t.Words)
}

func all(tx *db.Tx) ([]*Type, error) {
	return db.All(tx, scan, `SELECT `+columns+` FROM authorization_detail_types WHERE realm = $1 AND NOT deleted ORDER BY name LIMIT $2`, tx.Realm, maxTypes)
}

// one reads a type, deleted or not.
func one(tx *db.Tx, name string) (*Type, error) {
	return db.One(tx, scan, `SELECT `+columns+` FROM authorization_detail_types WHERE realm = $1 AND name = $2`, tx.Realm, name)
}

func count(tx *db.Tx) (int64, error) {
	return db.One(tx, db.Scalar[int64], `SELECT COUNT(*) FROM authorization_detail_types WHERE realm = $1 AND NOT deleted`, tx.Realm)
}

func insert(tx *db.Tx, t *Type) error {
	words, err := json.Marshal(t.Words)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO authorization_detail_types (realm, `+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE)`,
		tx.Realm, t.Name, t.Schema, string(words), t.Version, db.At(t.Created), db.At(t.Updated))
	return err
}

func update(tx *db.Tx, t *Type) error {
	words, err := json.Marshal(t.Words)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE authorization_detail_types SET schema_text = $3, words = $4, version = $5, created_at = $6, updated_at = $7, deleted = FALSE WHERE realm = $1 AND name = $2`,
		tx.Realm, t.Name, t.Schema, string(words), t.Version, db.At(t.Created), db.At(t.Updated))
	return err
}

// remove empties the row and keeps the name, so that the deletion can be
// repeated. It reports whether the type was there.
func remove(tx *db.Tx, name string) (bool, error) {
	n, err := tx.Exec(`UPDATE authorization_detail_types SET schema_text = '{}', words = '{}', version = version + 1, updated_at = $3, deleted = TRUE
		WHERE realm = $1 AND name = $2 AND NOT deleted`, tx.Realm, name, db.At(tx.Now))
	return n == 1, err
}
