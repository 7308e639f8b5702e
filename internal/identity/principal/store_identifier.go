package principal

import (
	"fmt"
	"strings"

	"github.com/cardea-id/cardea/internal/db"
)

// identifier is a name or an address by which a principal is found.
type identifier struct {
	Space, Type, Value string
	Verified, Primary  bool
}

// claim gives an identifier to a principal, or says that it is taken. The
// primary key decides between two who claim it at the same time.
func claim(tx *db.Tx, principal string, i identifier) error {
	n, err := tx.Exec(`INSERT INTO identifiers (realm, space, key, principal, type, value, verified, is_primary, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (realm, space, key) DO NOTHING`,
		tx.Realm, i.Space, []byte(Canonical(i.Value)), principal, i.Type, i.Value, i.Verified, i.Primary, db.At(tx.Now))
	if err == nil && n == 0 {
		return taken(i.Type)
	}
	return err
}

func release(tx *db.Tx, principal, space, value string) error {
	_, err := tx.Exec(`DELETE FROM identifiers WHERE realm = $1 AND space = $2 AND key = $3 AND principal = $4`,
		tx.Realm, space, []byte(Canonical(value)), principal)
	return err
}

func holder(tx *db.Tx, space, key string) (string, error) {
	owner, err := db.One(tx, db.Scalar[string], `SELECT principal FROM identifiers WHERE realm = $1 AND space = $2 AND key = $3`, tx.Realm, space, []byte(key))
	return owner, unknownOr(err)
}

type ownedEmail struct {
	owner string
	Email
}

func scanEmail(r db.Row) (e ownedEmail, err error) {
	return e, r.Scan(&e.owner, &e.Address, &e.Verified, &e.Primary)
}

const emailColumns = `principal, value, verified, is_primary`

func emailsOf(tx *db.Tx, principal string) ([]Email, error) {
	p := &Principal{ID: principal}
	err := fillEmails(tx, []*Principal{p})
	return p.Emails, err
}

// fillEmails reads the addresses of a page of principals.
func fillEmails(tx *db.Tx, page []*Principal) error {
	marks, args, byID := make([]string, len(page)), []any{tx.Realm}, map[string]*Principal{}
	for i, p := range page {
		args = append(args, p.ID)
		marks[i] = fmt.Sprintf("$%d", len(args))
		byID[p.ID] = p
	}
	all, err := db.All(tx, scanEmail, `SELECT `+emailColumns+` FROM identifiers WHERE realm = $1 AND type = 'email' AND principal IN (`+strings.Join(marks, ", ")+`)
		ORDER BY principal, is_primary DESC, created_at, key`, args...)
	for _, e := range all {
		byID[e.owner].Emails = append(byID[e.owner].Emails, e.Email)
	}
	return err
}

func verifyEmail(tx *db.Tx, principal, key string) (int64, error) {
	return tx.Exec(`UPDATE identifiers SET verified = TRUE WHERE realm = $1 AND space = $2 AND key = $3 AND principal = $4 AND type = 'email'`,
		tx.Realm, Person.space(), []byte(key), principal)
}

func clearPrimary(tx *db.Tx, principal string) error {
	_, err := tx.Exec(`UPDATE identifiers SET is_primary = FALSE WHERE realm = $1 AND principal = $2 AND type = 'email' AND is_primary`, tx.Realm, principal)
	return err
}

func makePrimary(tx *db.Tx, principal, key string) (int64, error) {
	return tx.Exec(`UPDATE identifiers SET is_primary = TRUE WHERE realm = $1 AND space = $2 AND key = $3 AND principal = $4 AND type = 'email'`,
		tx.Realm, Person.space(), []byte(key), principal)
}

func removeEmail(tx *db.Tx, principal, key string) (int64, error) {
	return tx.Exec(`DELETE FROM identifiers WHERE realm = $1 AND space = $2 AND key = $3 AND principal = $4 AND type = 'email'`,
		tx.Realm, Person.space(), []byte(key), principal)
}
