package relation

import (
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

const sourceColumns = `id, name, kind, settings, secret, enabled, version, due_at, pulled_at, good_at, failures, last_error, facts, added, removed, created_at, updated_at`

// sourceSettings is what is kept as JSON.
type sourceSettings struct {
	URL    string `json:"url,omitempty"`
	Query  string `json:"query,omitempty"`
	Every  int64  `json:"every"`
	Shrink int64  `json:"shrink"`
}

func scanSource(r db.Row) (*Source, error) {
	n := &Source{}
	var settings string
	var due, pulled, good, created, updated db.Time
	err := r.Scan(&n.ID, &n.Name, &n.Kind, &settings, &n.sealed, &n.Enabled, &n.Version, &due, &pulled, &good, &n.Failures, &n.LastError,
		&n.Facts, &n.Added, &n.Removed, &created, &updated)
	if err != nil {
		return nil, err
	}
	n.Due, n.Pulled, n.Good, n.Created, n.Updated = due.Time, pulled.Time, good.Time, created.Time, updated.Time
	var s sourceSettings
	err = json.Unmarshal([]byte(settings), &s)
	n.URL, n.Query, n.Every, n.Shrink = s.URL, s.Query, s.Every, s.Shrink
	return n, err
}

func (n *Source) settings() (string, error) {
	text, err := json.Marshal(sourceSettings{n.URL, n.Query, n.Every, n.Shrink})
	return string(text), err
}

func countSources(tx *db.Tx) (int64, error) {
	return db.One(tx, db.Scalar[int64], `SELECT COUNT(*) FROM access_sources WHERE realm = $1`, tx.Realm)
}

func insertSource(tx *db.Tx, n *Source) error {
	settings, err := n.settings()
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO access_sources (realm, `+sourceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, '', 0, 0, 0, $10, $10)`,
		tx.Realm, n.ID, n.Name, n.Kind, settings, n.sealed, n.Enabled, n.Version, db.At(n.Due), db.At(n.Created))
	return err
}

func updateSource(tx *db.Tx, n *Source) error {
	settings, err := n.settings()
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE access_sources SET name = $3, settings = $4, secret = $5, enabled = $6, version = $7, due_at = $8, updated_at = $9 WHERE realm = $1 AND id = $2`,
		tx.Realm, n.ID, n.Name, settings, n.sealed, n.Enabled, n.Version, db.At(n.Due), db.At(n.Updated))
	return err
}

func sourceByID(tx *db.Tx, id string) (*Source, error) {
	n, err := db.One(tx, scanSource, `SELECT `+sourceColumns+` FROM access_sources WHERE realm = $1 AND (id = $2 OR name = $2)`, tx.Realm, id)
	if db.Missing(err) {
		return nil, fault.New(fault.NotFound, "source_unknown", "there is no source %q", id)
	}
	return n, err
}

func sources(tx *db.Tx) ([]*Source, error) {
	return db.All(tx, scanSource, `SELECT `+sourceColumns+` FROM access_sources WHERE realm = $1 ORDER BY name`, tx.Realm)
}

func dueSources(tx *db.Tx) ([]*Source, error) {
	return db.All(tx, scanSource, `SELECT `+sourceColumns+` FROM access_sources WHERE realm = $1 AND enabled AND due_at <= $2 ORDER BY due_at`, tx.Realm, db.At(tx.Now))
}

func dueRealms(tx *db.Tx) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT DISTINCT realm FROM access_sources WHERE enabled AND due_at <= $1 ORDER BY realm`, db.At(tx.Now))
}

func setDue(tx *db.Tx, id string, due time.Time) error {
	return tx.Later(`UPDATE access_sources SET due_at = $3 WHERE realm = $1 AND id = $2`, tx.Realm, id, db.At(due))
}

func beginPull(tx *db.Tx, n *Source) error {
	_, err := tx.Exec(`UPDATE access_sources SET pulled_at = $3 WHERE realm = $1 AND id = $2`, tx.Realm, n.ID, db.At(n.Pulled))
	return err
}

func pullFailed(tx *db.Tx, id, why string) error {
	_, err := tx.Exec(`UPDATE access_sources SET failures = failures + 1, last_error = $3 WHERE realm = $1 AND id = $2`, tx.Realm, id, why)
	return err
}

func pullDone(tx *db.Tx, id string, facts, added, removed int64) error {
	_, err := tx.Exec(`UPDATE access_sources SET good_at = $3, failures = 0, last_error = '', facts = $4, added = $5, removed = $6 WHERE realm = $1 AND id = $2`,
		tx.Realm, id, db.At(tx.Now), facts, added, removed)
	return err
}

// disown leaves the facts of a source as if they had been written.
func disown(tx *db.Tx, id string) error {
	if err := tx.Later(`UPDATE access_relations SET source = '' WHERE realm = $1 AND source = $2 AND source <> ''`, tx.Realm, id); err != nil {
		return err
	}
	if err := tx.Later(`UPDATE access_attributes SET source = '' WHERE realm = $1 AND source = $2 AND source <> ''`, tx.Realm, id); err != nil {
		return err
	}
	return tx.Later(`DELETE FROM access_sources WHERE realm = $1 AND id = $2`, tx.Realm, id)
}

func ownerOf(tx *db.Tx, t graph.Tuple) (owner string, there bool, err error) {
	owner, err = db.One(tx, db.Scalar[string], `SELECT source FROM access_relations
		WHERE realm = $1 AND subject_type = $2 AND subject_id = $3 AND relation = $4 AND object_type = $5 AND object_id = $6`,
		tx.Realm, t.Subject.Type, []byte(t.Subject.ID), t.Relation, t.Object.Type, []byte(t.Object.ID))
	if db.Missing(err) {
		return "", false, nil
	}
	return owner, err == nil, err
}

func attributeOwner(tx *db.Tx, a graph.Attribute) (owner string, there bool, err error) {
	owner, err = db.One(tx, db.Scalar[string], `SELECT source FROM access_attributes WHERE realm = $1 AND entity_type = $2 AND entity_id = $3 AND name = $4`,
		tx.Realm, a.Entity.Type, []byte(a.Entity.ID), a.Name)
	if db.Missing(err) {
		return "", false, nil
	}
	return owner, err == nil, err
}
