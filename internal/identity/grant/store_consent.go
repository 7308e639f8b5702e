package grant

import (
	"github.com/cardea-id/cardea/internal/db"
)

const consentColumns = `realm, principal, client, scope, created_at, updated_at, version`

func scanConsent(r db.Row) (*Consent, error) {
	c := new(Consent)
	var scope string
	var created, updated db.Time
	err := r.Scan(&c.Realm, &c.Principal, &c.Client, &scope, &created, &updated, &c.Version)
	c.Scopes, c.Created, c.Updated = split(scope), created.Time, updated.Time
	return c, err
}

func consentOf(tx *db.Tx, principal, client string) (*Consent, error) {
	return db.One(tx, scanConsent, `SELECT `+consentColumns+` FROM consents WHERE realm = $1 AND principal = $2 AND client = $3`,
		tx.Realm, principal, client)
}

// heldConsent reads a consent and holds its row until the commit, so that its
// revocation waits for the birth that rests on it.
func heldConsent(tx *db.Tx, principal, client string) (*Consent, error) {
	if tx.Engine() == db.SQLite {
		return consentOf(tx, principal, client)
	}
	return db.One(tx, scanConsent, `SELECT `+consentColumns+` FROM consents WHERE realm = $1 AND principal = $2 AND client = $3 FOR SHARE`,
		tx.Realm, principal, client)
}

// insertConsent reports whether there was none.
func insertConsent(tx *db.Tx, c *Consent) (bool, error) {
	n, err := tx.Exec(`INSERT INTO consents (`+consentColumns+`) VALUES ($1, $2, $3, $4, $5, $5, 1) ON CONFLICT DO NOTHING`,
		tx.Realm, c.Principal, c.Client, join(c.Scopes), db.At(tx.Now))
	return n == 1, err
}

func widenConsent(tx *db.Tx, c *Consent) error {
	_, err := tx.Exec(`UPDATE consents SET scope = $4, updated_at = $5, version = version + 1 WHERE realm = $1 AND principal = $2 AND client = $3`,
		tx.Realm, c.Principal, c.Client, join(c.Scopes), db.At(tx.Now))
	return err
}

// deleteConsent reports whether there was one.
func deleteConsent(tx *db.Tx, principal, client string) (bool, error) {
	n, err := tx.Exec(`DELETE FROM consents WHERE realm = $1 AND principal = $2 AND client = $3`, tx.Realm, principal, client)
	return n == 1, err
}

func consentsOfPrincipal(tx *db.Tx, principal, after string, most int) ([]*Consent, error) {
	return db.All(tx, scanConsent, `SELECT `+consentColumns+` FROM consents WHERE realm = $1 AND principal = $2 AND client > $3
		ORDER BY client LIMIT $4`, tx.Realm, principal, after, most)
}

func consentsOfClient(tx *db.Tx, client, after string, most int) ([]*Consent, error) {
	return db.All(tx, scanConsent, `SELECT `+consentColumns+` FROM consents WHERE realm = $1 AND client = $2 AND principal > $3
		ORDER BY principal LIMIT $4`, tx.Realm, client, after, most)
}

// used reports whether a client has a grant that is remembered, dead or alive,
// or anybody's consent.
func used(tx *db.Tx, client string) (bool, error) {
	return db.One(tx, db.Scalar[bool], `SELECT EXISTS (SELECT 1 FROM grants WHERE realm = $1 AND client = $2)
		OR EXISTS (SELECT 1 FROM consents WHERE realm = $1 AND client = $2)`, tx.Realm, client)
}
