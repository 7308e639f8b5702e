package realm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

const columns = `realm, display_name, host, state, settings, version, created_at, updated_at`

func (r *Registry) scan(row db.Row) (*Realm, error) {
	var e Realm
	var host *string
	var settings string
	var created, updated db.Time
	if err := row.Scan(&e.Name, &e.DisplayName, &host, &e.State, &settings, &e.Version, &created, &updated); err != nil {
		return nil, err
	}
	e.CreatedAt, e.UpdatedAt = created.Time, updated.Time
	if host != nil {
		e.Host = *host
	}
	var err error
	if e.Settings, err = decode(settings); err != nil {
		return nil, fmt.Errorf("settings of realm %s: %w", e.Name, err)
	}
	r.place(&e)
	return &e, nil
}

// decode reads what encode wrote: the settings that are not the default. A
// newer program may have written some that this one does not know.
func decode(text string) (Settings, error) {
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return Settings{}, err
	}
	maps.DeleteFunc(m, func(name string, _ any) bool {
		return !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name })
	})
	return DefaultSettings().with(m)
}

func encode(s Settings) (string, error) {
	b, err := json.Marshal(s.values(false))
	return string(b), err
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// byName reads the transaction's realm, if it is active.
func (r *Registry) byName(tx *db.Tx) (*Realm, error) {
	e, err := r.inAnyState(tx)
	if err == nil && e.State != Active {
		return nil, unknown(tx.Realm)
	}
	return e, err
}

func (r *Registry) inAnyState(tx *db.Tx) (*Realm, error) {
	e, err := db.One(tx, r.scan, `SELECT `+columns+` FROM realms WHERE realm = $1`, tx.Realm)
	if db.Missing(err) {
		return nil, unknown(tx.Realm)
	}
	return e, err
}

// SettingsTx reads the settings of the transaction's realm, those of a realm
// whose operators decided nothing if it is not there.
func SettingsTx(tx *db.Tx) (Settings, error) {
	text, err := db.One(tx, db.Scalar[string], `SELECT settings FROM realms WHERE realm = $1`, tx.Realm)
	if db.Missing(err) {
		return DefaultSettings(), nil
	}
	if err != nil {
		return Settings{}, err
	}
	return decode(text)
}

func nameByHost(tx *db.Tx, host string) (string, error) {
	name, err := db.One(tx, db.Scalar[string], `SELECT realm FROM realms WHERE host = $1 AND state = $2`, host, Active)
	if db.Missing(err) {
		return "", nil
	}
	return name, err
}

func insert(tx *db.Tx, e *Realm) error {
	settings, err := encode(e.Settings)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`INSERT INTO realms (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		e.Name, e.DisplayName, nullable(e.Host), e.State, settings, e.Version, db.At(e.CreatedAt), db.At(e.UpdatedAt))
	if err != nil || n == 1 {
		return err
	}
	names, err := db.One(tx, db.Scalar[int], `SELECT count(*) FROM realms WHERE realm = $1`, e.Name)
	if err != nil {
		return err
	}
	if names == 0 {
		return hostTaken(e.Host)
	}
	return fault.New(fault.Conflict, "realm_exists", "there is or was a realm %q, and names are not used twice", e.Name).
		WithField("name", "is taken")
}

func update(tx *db.Tx, e *Realm) error {
	settings, err := encode(e.Settings)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE realms SET display_name = $2, host = $3, settings = $4, version = $5, updated_at = $6 WHERE realm = $1`,
		e.Name, e.DisplayName, nullable(e.Host), settings, e.Version, db.At(e.UpdatedAt))
	return err
}

func remove(tx *db.Tx) error {
	_, err := tx.Exec(`UPDATE realms SET state = $2, host = NULL, version = version + 1, updated_at = $3 WHERE realm = $1`,
		tx.Realm, Deleted, db.At(tx.Now))
	return err
}

func (r *Registry) list(tx *db.Tx, after string, limit int) ([]*Realm, error) {
	return db.All(tx, r.scan, `SELECT `+columns+` FROM realms WHERE realm > $1 AND state = $2 ORDER BY realm LIMIT $3`, after, Active, limit)
}
