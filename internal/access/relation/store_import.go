package relation

import (
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

const importColumns = `id, name, state, parts, done_parts, facts, done_facts, last_error, actor_kind, actor, client, created_at, updated_at, ended_at`

func scanImport(r db.Row) (*Import, error) {
	i := &Import{}
	var created, updated, ended db.Time
	err := r.Scan(&i.ID, &i.Name, &i.State, &i.Parts, &i.DoneParts, &i.Facts, &i.DoneFacts, &i.LastError, &i.By.Kind, &i.By.ID, &i.By.Client, &created, &updated, &ended)
	i.Created, i.Updated, i.Ended = created.Time, updated.Time, ended.Time
	return i, err
}

func insertImport(tx *db.Tx, i *Import) error {
	_, err := tx.Exec(`INSERT INTO access_imports (realm, `+importColumns+`) VALUES ($1, $2, $3, $4, 0, 0, 0, 0, '', $5, $6, $7, $8, $8, 0)`,
		tx.Realm, i.ID, i.Name, i.State, i.By.Kind, i.By.ID, i.By.Client, db.At(i.Created))
	return err
}

func updateImport(tx *db.Tx, i *Import) error {
	_, err := tx.Exec(`UPDATE access_imports SET state = $3, parts = $4, done_parts = $5, facts = $6, done_facts = $7, last_error = $8, updated_at = $9, ended_at = $10 WHERE realm = $1 AND id = $2`,
		tx.Realm, i.ID, i.State, i.Parts, i.DoneParts, i.Facts, i.DoneFacts, i.LastError, db.At(i.Updated), db.At(i.Ended))
	return err
}

func importByID(tx *db.Tx, id string) (*Import, error) {
	i, err := db.One(tx, scanImport, `SELECT `+importColumns+` FROM access_imports WHERE realm = $1 AND id = $2`, tx.Realm, id)
	if db.Missing(err) {
		return nil, fault.New(fault.NotFound, "import_unknown", "there is no import %q", id)
	}
	return i, err
}

func imports(tx *db.Tx, below string, limit int) ([]*Import, error) {
	return db.All(tx, scanImport, `SELECT `+importColumns+` FROM access_imports WHERE realm = $1 AND id < $2 ORDER BY id DESC LIMIT $3`, tx.Realm, below, limit)
}

func countImports(tx *db.Tx) (int64, error) {
	return db.One(tx, db.Scalar[int64], `SELECT COUNT(*) FROM access_imports WHERE realm = $1 AND state IN ('open', 'running', 'failed')`, tx.Realm)
}

func putPart(tx *db.Tx, id string, part, facts int64, body []byte) error {
	_, err := tx.Exec(`INSERT INTO access_import_parts (realm, import, part, facts, body) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (realm, import, part) DO UPDATE SET facts = excluded.facts, body = excluded.body`, tx.Realm, id, part, facts, body)
	if err == nil {
		_, err = tx.Exec(`UPDATE access_imports SET updated_at = $3 WHERE realm = $1 AND id = $2`, tx.Realm, id, db.At(tx.Now))
	}
	return err
}

func countParts(tx *db.Tx, id string) (parts, facts, last int64, err error) {
	type counted struct{ parts, facts, last int64 }
	c, err := db.One(tx, func(r db.Row) (c counted, err error) { return c, r.Scan(&c.parts, &c.facts, &c.last) },
		`SELECT COUNT(*), CAST(COALESCE(SUM(facts), 0) AS BIGINT), COALESCE(MAX(part), 0) FROM access_import_parts WHERE realm = $1 AND import = $2`, tx.Realm, id)
	return c.parts, c.facts, c.last, err
}

func partBody(tx *db.Tx, id string, part int64) ([]byte, error) {
	return db.One(tx, db.Scalar[[]byte], `SELECT body FROM access_import_parts WHERE realm = $1 AND import = $2 AND part = $3`, tx.Realm, id, part)
}

func dropPart(tx *db.Tx, id string, part int64) error {
	return tx.Later(`DELETE FROM access_import_parts WHERE realm = $1 AND import = $2 AND part = $3`, tx.Realm, id, part)
}

func dropParts(tx *db.Tx, id string) error {
	return tx.Later(`DELETE FROM access_import_parts WHERE realm = $1 AND import = $2`, tx.Realm, id)
}

// sweepImports forgets imports that nobody has touched since, a bounded number of
// parts at a time.
func sweepImports(tx *db.Tx, before time.Time) (int64, error) {
	parts, err := tx.Exec(`DELETE FROM access_import_parts WHERE realm = $1 AND import IN (SELECT id FROM access_imports WHERE realm = $1 AND state <> 'running' AND updated_at < $2 ORDER BY id LIMIT 1)`,
		tx.Realm, db.At(before))
	if err != nil || parts > 0 {
		return parts, err
	}
	return tx.Exec(`DELETE FROM access_imports WHERE realm = $1 AND id IN (SELECT id FROM access_imports WHERE realm = $1 AND state <> 'running' AND updated_at < $2
		AND NOT EXISTS (SELECT part FROM access_import_parts p WHERE p.realm = $1 AND p.import = access_imports.id) ORDER BY id LIMIT 1000)`, tx.Realm, db.At(before))
}
