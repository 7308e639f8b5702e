package operator

import (
	"github.com/cardea-id/cardea/internal/db"
)

const columns = `realm, principal, role, version, created_at, updated_at`

func scan(row db.Row) (o Operator, err error) {
	var created, updated db.Time
	err = row.Scan(&o.Realm, &o.Principal, &o.Role, &o.Version, &created, &updated)
	o.Created, o.Updated = created.Time, updated.Time
	return o, err
}

func byPrincipal(tx *db.Tx, principal string) (Operator, error) {
	return db.One(tx, scan, `SELECT `+columns+` FROM operators WHERE realm = $1 AND principal = $2`, tx.Realm, principal)
}

func list(tx *db.Tx, after string, limit int) ([]Operator, error) {
	return db.All(tx, scan, `SELECT `+columns+` FROM operators WHERE realm = $1 AND principal > $2 ORDER BY principal LIMIT $3`,
		tx.Realm, after, limit)
}

func owners(tx *db.Tx) ([]string, error) {
	return db.All(tx, db.Scalar[string], `SELECT principal FROM operators WHERE realm = $1 AND role = $2 ORDER BY principal LIMIT 1000`,
		tx.Realm, string(Owner))
}

func insert(tx *db.Tx, principal string, role Role) (bool, error) {
	n, err := tx.Exec(`INSERT INTO operators (realm, principal, role, version, created_at, updated_at)
		VALUES ($1, $2, $3, 1, $4, $4) ON CONFLICT DO NOTHING`, tx.Realm, principal, string(role), db.At(tx.Now))
	return n == 1, err
}

func change(tx *db.Tx, principal string, version int64, role Role) (bool, error) {
	n, err := tx.Exec(`UPDATE operators SET role = $1, version = version + 1, updated_at = $2
		WHERE realm = $3 AND principal = $4 AND version = $5`, string(role), db.At(tx.Now), tx.Realm, principal, version)
	return n == 1, err
}

func remove(tx *db.Tx, principal string) (bool, error) {
	n, err := tx.Exec(`DELETE FROM operators WHERE realm = $1 AND principal = $2`, tx.Realm, principal)
	return n == 1, err
}

// everHad reports whether the realm ever had an operator.
func everHad(tx *db.Tx) (bool, error) {
	n, err := db.One(tx, db.Scalar[int64], `SELECT COUNT(*) FROM operator_history WHERE realm = $1`, tx.Realm)
	return n > 0, err
}

// remember notes that roles change in this transaction. Two transactions that
// both do it never commit side by side.
func remember(tx *db.Tx) error {
	_, err := tx.Exec(`INSERT INTO operator_history (realm, first_at, changes) VALUES ($1, $2, 1)
		ON CONFLICT (realm) DO UPDATE SET changes = operator_history.changes + 1`, tx.Realm, db.At(tx.Now))
	return err
}
