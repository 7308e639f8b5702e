package client

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cardea-id/cardea/internal/db"
)

const columns = `realm, id, principal, version, created, updated, enabled, built_in, source, life, settings`

func scan(r db.Row) (*Client, error) {
	c := &Client{terms: new(atomic.Pointer[Terms])}
	var created, updated db.Time
	var settings string
	if err := r.Scan(&c.Realm, &c.ID, &c.Principal, &c.Version, &created, &updated, &c.Enabled, &c.BuiltIn, &c.Source, &c.Life, &settings); err != nil {
		return nil, err
	}
	c.Created, c.Updated = created.Time, updated.Time
	if err := json.Unmarshal([]byte(settings), &c.Settings); err != nil {
		return nil, fmt.Errorf("client %q: settings: %w", c.ID, err)
	}
	return c, nil
}

func askByID(tx *db.Tx, id string) *db.Answer[*Client] {
	return db.Ask(tx, scan, `SELECT `+columns+` FROM clients WHERE realm = $1 AND id = $2 AND NOT deleted`, tx.Realm, id)
}

// tombstone reads whether a client, known by id, was deleted.
func tombstone(tx *db.Tx, id string) (bool, error) {
	return db.One(tx, db.Scalar[bool], `SELECT deleted FROM clients WHERE realm = $1 AND id = $2`, tx.Realm, id)
}

func byPrincipal(tx *db.Tx, principal string) (*Client, error) {
	return db.One(tx, scan, `SELECT `+columns+` FROM clients WHERE realm = $1 AND principal = $2 AND NOT deleted`, tx.Realm, principal)
}

func list(tx *db.Tx, after string, limit int) ([]*Client, error) {
	return db.All(tx, scan, `SELECT `+columns+` FROM clients WHERE realm = $1 AND id > $2 AND NOT deleted ORDER BY id LIMIT $3`,
		tx.Realm, after, limit)
}

// answering finds the resource server with an identifier: by its settings, which
// hold it as JSON does, and then for certain. It reads all of a realm's clients
// and is asked seldom.
func answering(tx *db.Tx, audience string) (string, error) {
	text, err := json.Marshal(audience)
	if err != nil {
		return "", err
	}
	found, err := db.All(tx, scan, `SELECT `+columns+` FROM clients WHERE realm = $1 AND NOT deleted AND enabled AND source = ''
		AND settings LIKE $2 ESCAPE '!' ORDER BY id LIMIT 100`, tx.Realm, "%"+likely.Replace(string(text))+"%")
	if err != nil {
		return "", err
	}
	for _, c := range found {
		if c.ResourceServer && slices.Contains(c.Identifiers, audience) {
			return c.ID, nil
		}
	}
	return "", nil
}

// likely takes their meaning from the characters that LIKE gives one.
var likely = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

func count(tx *db.Tx, from Source) (int64, error) {
	return db.One(tx, db.Scalar[int64], `SELECT count(*) FROM clients WHERE realm = $1 AND source = $2 AND source <> '' AND NOT deleted`, tx.Realm, from)
}

// insert reports whether the id was free.
func insert(tx *db.Tx, c *Client) (bool, error) {
	settings, err := json.Marshal(c.Settings)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`INSERT INTO clients (realm, id, principal, name, enabled, built_in, source, deleted, life, settings, version, created, updated)
		VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE, 1, $8, 1, $9, $9) ON CONFLICT DO NOTHING`,
		tx.Realm, c.ID, c.Principal, c.Name, c.Enabled, c.BuiltIn, c.Source, string(settings), db.At(tx.Now))
	if err != nil || n == 0 {
		return false, err
	}
	return true, insertOrigins(tx, c)
}

// update writes c if its version is still the one given, and reports whether
// it was.
func update(tx *db.Tx, c *Client, version int64) (bool, error) {
	settings, err := json.Marshal(c.Settings)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`UPDATE clients SET name = $3, enabled = $4, life = $5, settings = $6, version = version + 1, updated = $7
		WHERE realm = $1 AND id = $2 AND version = $8 AND NOT deleted`,
		tx.Realm, c.ID, c.Name, c.Enabled, c.Life, string(settings), db.At(tx.Now), version)
	if err != nil || n == 0 {
		return false, err
	}
	if err := deleteOrigins(tx, c.ID); err != nil {
		return false, err
	}
	return true, insertOrigins(tx, c)
}

// remove empties the row and keeps the id taken. It reports whether the client
// was there with this version.
func remove(tx *db.Tx, id string, version int64) (bool, error) {
	n, err := tx.Exec(`UPDATE clients SET deleted = TRUE, enabled = FALSE, name = '', settings = '{}', life = life + 1, version = version + 1, updated = $3
		WHERE realm = $1 AND id = $2 AND version = $4 AND NOT deleted`,
		tx.Realm, id, db.At(tx.Now), version)
	if err != nil || n == 0 {
		return false, err
	}
	return true, deleteOrigins(tx, id)
}

func insertOrigins(tx *db.Tx, c *Client) error {
	for _, origin := range c.Origins() {
		if _, err := tx.Exec(`INSERT INTO client_origins (realm, origin, client) VALUES ($1, $2, $3)`, tx.Realm, origin, c.ID); err != nil {
			return err
		}
	}
	return nil
}

func deleteOrigins(tx *db.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM client_origins WHERE realm = $1 AND client = $2`, tx.Realm, id)
	return err
}

// originKnown reports whether an enabled client may call from origin.
func originKnown(tx *db.Tx, origin string) (bool, error) {
	return db.One(tx, db.Scalar[bool], `SELECT EXISTS (SELECT 1 FROM client_origins o CROSS JOIN clients c
		WHERE o.realm = $1 AND o.origin = $2 AND c.realm = o.realm AND c.id = o.client AND c.enabled AND NOT c.deleted)`, tx.Realm, origin)
}
