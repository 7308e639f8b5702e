package db

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"sort"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migration is one step of the schema, the same for both engines but for parts
// that only one of them needs.
type Migration struct {
	Name string // 0020_principal
	SQL  []string
	Sum  string
}

// Migrations lists what this program's schema is made of for an engine, in order.
func Migrations(e Engine) ([]Migration, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	sort.Slice(files, func(i, j int) bool { // 0001_x.sql before 0001_x.postgres.sql
		a, x, _ := strings.Cut(files[i], ".")
		b, y, _ := strings.Cut(files[j], ".")
		return a < b || a == b && len(x) < len(y)
	})
	var all []Migration
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "migrations/"), ".sql")
		base, only, special := strings.Cut(name, ".")
		if special && only != e.String() {
			continue
		}
		b, err := migrations.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(b)
		m := Migration{Name: base, Sum: hex.EncodeToString(sum[:])}
		if special {
			m.Name = name
		}
		for _, text := range strings.Split(string(b), ";\n") {
			if text = strings.TrimSpace(text); !comment(text) {
				m.SQL = append(m.SQL, text)
			}
		}
		all = append(all, m)
	}
	return all, nil
}

// comment reports whether text holds nothing but comments.
func comment(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			return false
		}
	}
	return true
}

// Schema is the name of the newest migration this program knows.
func Schema() string {
	all, err := Migrations(SQLite)
	if err != nil || len(all) == 0 {
		return "none"
	}
	return all[len(all)-1].Name
}

// Migrate brings the schema up to date, each migration in a transaction of its
// own, so that it can be killed at any statement and run again. Migrations that
// a newer program has applied stay: they only add.
func (d *DB) Migrate(ctx context.Context) error {
	all, err := Migrations(d.kind)
	if err != nil {
		return err
	}
	// Of several nodes that start at once, one creates the table; the others
	// may see its unique constraint fail and look again.
	for attempt := 1; ; attempt++ {
		err = d.engine.update(ctx, migrating, "", func(tx *Tx) error {
			if err := exclusive(tx); err != nil {
				return err
			}
			_, err := tx.Exec(`CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, sum TEXT NOT NULL, applied_at BIGINT NOT NULL)`)
			return err
		})
		if err == nil || attempt == 3 {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, m := range all {
		if err := d.engine.update(ctx, migrating, "", m.apply); err != nil {
			return fmt.Errorf("migrate %s: %w", m.Name, err)
		}
	}
	return nil
}

// Pending lists the migrations that are still to be applied.
func (d *DB) Pending(ctx context.Context) ([]string, error) {
	all, err := Migrations(d.kind)
	if err != nil {
		return nil, err
	}
	var names []string
	err = d.engine.view(ctx, "", func(tx *Tx) error {
		names = nil
		exists, err := tableExists(tx, "migrations")
		if err != nil {
			return err
		}
		for _, m := range all {
			var applied bool
			if exists {
				sum, err := One(tx, Scalar[string], `SELECT sum FROM migrations WHERE name = $1`, m.Name)
				if err != nil && !Missing(err) {
					return err
				}
				applied = sum != ""
			}
			if !applied {
				names = append(names, m.Name)
			}
		}
		return nil
	})
	return names, err
}

func tableExists(tx *Tx, name string) (bool, error) {
	query := `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1`
	if tx.kind == Postgres {
		query = `SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1`
	}
	n, err := One(tx, Scalar[int], query, name)
	return n > 0, err
}

// exclusive makes migrating nodes wait for each other.
func exclusive(tx *Tx) error {
	if tx.kind != Postgres {
		return nil
	}
	_, err := tx.Exec(`SELECT pg_advisory_xact_lock(7237464971)`)
	return err
}

func (m Migration) apply(tx *Tx) error {
	if err := exclusive(tx); err != nil {
		return err
	}
	sum, err := One(tx, Scalar[string], `SELECT sum FROM migrations WHERE name = $1`, m.Name)
	if err == nil && sum != m.Sum {
		return fmt.Errorf("the database has another version of it (sum %.12s…, here %.12s…): it was changed after it was applied", sum, m.Sum)
	}
	if err == nil || !Missing(err) {
		return err
	}
	if tx.kind == Postgres { // behind whoever waits for a table, all wait who need it
		if _, err := tx.Exec(`SET LOCAL lock_timeout = '10s'`); err != nil {
			return err
		}
	}
	for _, text := range m.SQL {
		if _, err := tx.Exec(text); err != nil {
			return fmt.Errorf("%w in: %.200s", err, text)
		}
	}
	_, err = tx.Exec(`INSERT INTO migrations (name, sum, applied_at) VALUES ($1, $2, $3)`, m.Name, m.Sum, At(tx.Now))
	return err
}
