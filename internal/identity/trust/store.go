package trust

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

const columns = `realm, id, settings, version, created, updated`

func scan(r db.Row) (*Issuer, error) {
	i := &Issuer{}
	var created, updated db.Time
	var settings string
	if err := r.Scan(&i.Realm, &i.ID, &settings, &i.Version, &created, &updated); err != nil {
		return nil, err
	}
	i.Created, i.Updated = created.Time, updated.Time
	err := json.Unmarshal([]byte(settings), &i.Settings)
	if err == nil && i.JWKS != "" {
		i.keys, err = credential.ParseKeys([]byte(i.JWKS))
	}
	if err != nil {
		return nil, fmt.Errorf("trusted issuer %q: settings: %w", i.ID, err)
	}
	return i, nil
}

func byIssuer(tx *db.Tx, iss string) (*Issuer, error) {
	return db.One(tx, scan, `SELECT `+columns+` FROM trusted_issuers WHERE realm = $1 AND issuer = $2 AND NOT deleted`, tx.Realm, iss)
}

// living reads an issuer, in order to change it if a version is insisted on.
func living(tx *db.Tx, id string, version int64) (*Issuer, error) {
	i, err := db.One(tx, scan, `SELECT `+columns+` FROM trusted_issuers WHERE realm = $1 AND id = $2 AND NOT deleted`, tx.Realm, id)
	if db.Missing(err) {
		return nil, unknown(id)
	}
	if err == nil && version != 0 && version != i.Version {
		return nil, fault.New(fault.Precondition, "version_mismatch", "trusted issuer %q has changed since it was read", id)
	}
	return i, err
}

// known is fault.NotFound for an issuer that never was.
func known(tx *db.Tx, id string) error {
	_, err := db.One(tx, db.Scalar[bool], `SELECT deleted FROM trusted_issuers WHERE realm = $1 AND id = $2`, tx.Realm, id)
	if db.Missing(err) {
		return unknown(id)
	}
	return err
}

func list(tx *db.Tx, after string, limit int) ([]*Issuer, error) {
	return db.All(tx, scan, `SELECT `+columns+` FROM trusted_issuers WHERE realm = $1 AND id > $2 AND NOT deleted ORDER BY id LIMIT $3`, tx.Realm, after, limit)
}

func insert(tx *db.Tx, i *Issuer) error {
	settings, err := json.Marshal(i.Settings)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO trusted_issuers (realm, id, issuer, deleted, settings, version, created, updated) VALUES ($1, $2, $3, FALSE, $4, 1, $5, $5)`,
		tx.Realm, i.ID, i.Settings.Issuer, string(settings), db.At(i.Created))
	return err
}

// update writes the settings over the version before.
func update(tx *db.Tx, i *Issuer) error {
	settings, err := json.Marshal(i.Settings)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE trusted_issuers SET settings = $3, version = version + 1, updated = $4 WHERE realm = $1 AND id = $2 AND version = $5 AND NOT deleted`,
		tx.Realm, i.ID, string(settings), db.At(i.Updated), i.Version-1)
	if err == nil && n == 0 {
		return fault.New(fault.Precondition, "version_mismatch", "trusted issuer %q has changed since it was read", i.ID)
	}
	return err
}

// remove keeps the row, emptied, for whoever asks for the removal again. It
// reports whether the issuer was there.
func remove(tx *db.Tx, id string) (bool, error) {
	n, err := tx.Exec(`UPDATE trusted_issuers SET deleted = TRUE, settings = '{}', version = version + 1, updated = $3 WHERE realm = $1 AND id = $2 AND NOT deleted`,
		tx.Realm, id, db.At(tx.Now))
	return n == 1, err
}

const linkColumns = `credential, issuer, subject, principal, created`

func scanLink(r db.Row) (*Link, error) {
	l := &Link{}
	var created db.Time
	err := r.Scan(&l.ID, &l.Issuer, &l.Subject, &l.Principal, &created)
	l.Created = created.Time
	return l, err
}

func bySubject(tx *db.Tx, issuer, subject string) (*Link, error) {
	return db.One(tx, scanLink, `SELECT `+linkColumns+` FROM trusted_subjects WHERE realm = $1 AND issuer = $2 AND subject = $3`, tx.Realm, issuer, subject)
}

func linkByID(tx *db.Tx, issuer, id string) (*Link, error) {
	return db.One(tx, scanLink, `SELECT `+linkColumns+` FROM trusted_subjects WHERE realm = $1 AND issuer = $2 AND credential = $3`, tx.Realm, issuer, id)
}

func listLinks(tx *db.Tx, issuer, after string, limit int) ([]*Link, error) {
	return db.All(tx, scanLink, `SELECT `+linkColumns+` FROM trusted_subjects WHERE realm = $1 AND issuer = $2 AND credential > $3 ORDER BY credential LIMIT $4`,
		tx.Realm, issuer, after, limit)
}

// linksOf are those of a principal, in the order of their ids. SQLite would rather read
// a realm in that order than find the few and sort them.
func linksOf(tx *db.Tx, principal string) ([]*Link, error) {
	all, err := db.All(tx, scanLink, `SELECT `+linkColumns+` FROM trusted_subjects WHERE realm = $1 AND principal = $2`, tx.Realm, principal)
	slices.SortFunc(all, func(a, b *Link) int { return strings.Compare(a.ID, b.ID) })
	return all, err
}

func insertLink(tx *db.Tx, l *Link) error {
	_, err := tx.Exec(`INSERT INTO trusted_subjects (realm, `+linkColumns+`) VALUES ($1, $2, $3, $4, $5, $6)`,
		tx.Realm, l.ID, l.Issuer, l.Subject, l.Principal, db.At(l.Created))
	return err
}

// deleteLink reports whether the link was there.
func deleteLink(tx *db.Tx, id string) (bool, error) {
	n, err := tx.Exec(`DELETE FROM trusted_subjects WHERE realm = $1 AND credential = $2`, tx.Realm, id)
	return n == 1, err
}
