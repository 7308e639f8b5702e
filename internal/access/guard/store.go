package guard

import (
	"github.com/cardea-id/cardea/internal/db"
)

func glassOf(tx *db.Tx) (Glass, error) {
	g, err := db.One(tx, func(row db.Row) (g Glass, err error) {
		var since, until db.Time
		err = row.Scan(&since, &until, &g.Reason)
		g.Since, g.Until = since.Time, until.Time
		return g, err
	}, `SELECT since, until, reason FROM access_glass WHERE realm = $1`, tx.Realm)
	if db.Missing(err) {
		return Glass{}, nil
	}
	return g, err
}

func putGlass(tx *db.Tx, g Glass) error {
	_, err := tx.Exec(`INSERT INTO access_glass (realm, since, until, reason) VALUES ($1, $2, $3, $4)
		ON CONFLICT (realm) DO UPDATE SET since = excluded.since, until = excluded.until, reason = excluded.reason`,
		tx.Realm, db.At(g.Since), db.At(g.Until), g.Reason)
	return err
}
