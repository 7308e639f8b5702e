package version

import (
	"github.com/cardea-id/cardea/internal/db"
)

const sourceColumns = `kind, location, branch, folder, username, password, seconds, changed_at, checked_at, seen, state, detail, since, number`

func scanSource(r db.Row) (*Source, error) {
	var s Source
	var changed, checked, since db.Time
	err := r.Scan(&s.Kind, &s.Location, &s.Branch, &s.Folder, &s.Username, &s.sealed, &s.Seconds, &changed, &checked, &s.Seen, &s.State, &s.Detail, &since, &s.Number)
	s.Changed, s.Checked, s.Since = changed.Time, checked.Time, since.Time
	return &s, err
}

// sourceOf is where a realm's folder is followed, nil if it is not.
func sourceOf(tx *db.Tx) (*Source, error) {
	s, err := db.One(tx, scanSource, `SELECT `+sourceColumns+` FROM policy_sources WHERE realm = $1`, tx.Realm)
	if db.Missing(err) {
		return nil, nil
	}
	return s, err
}

func putSource(tx *db.Tx, s *Source) error {
	_, err := tx.Exec(`INSERT INTO policy_sources (realm, `+sourceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (realm) DO UPDATE SET kind = $2, location = $3, branch = $4, folder = $5, username = $6, password = $7, seconds = $8, changed_at = $9,
		checked_at = $10, seen = $11, state = $12, detail = $13, since = $14, number = $15`,
		tx.Realm, s.Kind, s.Location, s.Branch, s.Folder, s.Username, s.sealed, s.Seconds, db.At(s.Changed), db.At(s.Checked), s.Seen, s.State, s.Detail, db.At(s.Since), s.Number)
	return err
}

// note writes down what was found at a source, unless it was set anew meanwhile.
func note(tx *db.Tx, s *Source) error {
	_, err := tx.Exec(`UPDATE policy_sources SET checked_at = $3, seen = $4, state = $5, detail = $6, since = $7, number = $8 WHERE realm = $1 AND changed_at = $2`,
		tx.Realm, db.At(s.Changed), db.At(s.Checked), s.Seen, s.State, s.Detail, db.At(s.Since), s.Number)
	return err
}

// beginLook reports whether this node is the one that looks at a source now.
func beginLook(tx *db.Tx, s *Source) (bool, error) {
	n, err := tx.Exec(`UPDATE policy_sources SET checked_at = $4 WHERE realm = $1 AND changed_at = $2 AND checked_at = $3`,
		tx.Realm, db.At(s.Changed), db.At(s.Checked), db.At(tx.Now))
	return n == 1, err
}

// dueSources are the realms whose sources it is time to look at, those first that
// wait for longest.
func dueSources(tx *db.Tx) (realms []string, err error) {
	type one struct {
		realm   string
		checked db.Time
		seconds int64
	}
	all, err := db.All(tx, func(r db.Row) (o one, err error) { return o, r.Scan(&o.realm, &o.checked, &o.seconds) },
		`SELECT realm, checked_at, seconds FROM policy_sources ORDER BY checked_at, realm`)
	for _, o := range all {
		if s := (&Source{Checked: o.checked.Time, Seconds: o.seconds}); s.due(tx.Now) {
			realms = append(realms, o.realm)
		}
	}
	return realms, err
}

func deleteSource(tx *db.Tx) (bool, error) {
	n, err := tx.Exec(`DELETE FROM policy_sources WHERE realm = $1`, tx.Realm)
	return n == 1, err
}
