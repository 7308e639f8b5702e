package version

import (
	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/db"
)

const columns = `number, hash, content, files, bytes, tests, message, origin, plan, actor_kind, actor, created_at`

func scan(r db.Row) (*Version, error) {
	var v Version
	var created db.Time
	err := r.Scan(&v.Number, &v.Hash, &v.Content, &v.Files, &v.Bytes, &v.Tests, &v.Message, &v.Origin, &v.Plan, &v.By.Kind, &v.By.ID, &created)
	v.Created = created.Time
	return &v, err
}

// newest is the version that counts, nil if there is none.
func newest(tx *db.Tx) (*Version, error) {
	v, err := db.One(tx, scan, `SELECT `+columns+` FROM policy_versions WHERE realm = $1 ORDER BY number DESC LIMIT 1`, tx.Realm)
	if db.Missing(err) {
		return nil, nil
	}
	return v, err
}

// ofContent is the newest version that has the very same files; nil if none has.
func ofContent(tx *db.Tx, content string) (*Version, error) {
	v, err := db.One(tx, scan, `SELECT `+columns+` FROM policy_versions WHERE realm = $1 AND content = $2 ORDER BY number DESC LIMIT 1`, tx.Realm, content)
	if db.Missing(err) {
		return nil, nil
	}
	return v, err
}

func byNumber(tx *db.Tx, number int64) (*Version, error) {
	v, err := db.One(tx, scan, `SELECT `+columns+` FROM policy_versions WHERE realm = $1 AND number = $2`, tx.Realm, number)
	if db.Missing(err) {
		return nil, unknown(number)
	}
	return v, err
}

// list reads versions below a number, the newest first.
func list(tx *db.Tx, below int64, limit int) ([]*Version, error) {
	return db.All(tx, scan, `SELECT `+columns+` FROM policy_versions WHERE realm = $1 AND number < $2 ORDER BY number DESC LIMIT $3`, tx.Realm, below, limit)
}

func insert(tx *db.Tx, v *Version) error {
	_, err := tx.Exec(`INSERT INTO policy_versions (realm, `+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		tx.Realm, v.Number, v.Hash, v.Content, v.Files, v.Bytes, v.Tests, v.Message, v.Origin, v.Plan, v.By.Kind, v.By.ID, db.At(v.Created))
	return err
}

func insertFile(tx *db.Tx, number int64, path, hash, body string) error {
	if _, err := tx.Exec(`INSERT INTO policy_files (realm, hash, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, tx.Realm, hash, body); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO policy_version_files (realm, number, path, hash) VALUES ($1, $2, $3, $4)`, tx.Realm, number, path, hash)
	return err
}

func scanFile(r db.Row) (f folder.File, err error) {
	var body string
	err = r.Scan(&f.Path, &body)
	f.Text = []byte(body)
	return f, err
}

func filesOf(tx *db.Tx, number int64) (folder.Files, error) {
	return db.All(tx, scanFile, `SELECT v.path, f.body FROM policy_version_files v JOIN policy_files f ON f.realm = v.realm AND f.hash = v.hash
		WHERE v.realm = $1 AND v.number = $2 ORDER BY v.path`, tx.Realm, number)
}

// prune forgets the versions below a number, and the files that no other has.
func prune(tx *db.Tx, below int64) error {
	if _, err := tx.Exec(`DELETE FROM policy_version_files WHERE realm = $1 AND number < $2`, tx.Realm, below); err != nil {
		return err
	}
	n, err := tx.Exec(`DELETE FROM policy_versions WHERE realm = $1 AND number < $2`, tx.Realm, below)
	if err != nil || n == 0 {
		return err
	}
	_, err = tx.Exec(`DELETE FROM policy_files WHERE realm = $1 AND hash NOT IN (SELECT hash FROM policy_version_files WHERE realm = $1)`, tx.Realm)
	return err
}
