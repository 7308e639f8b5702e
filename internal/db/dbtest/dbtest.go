// Package dbtest runs a test on every database the project supports.
package dbtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cardea-id/cardea/internal/db"
)

// Postgres names the environment variable that holds the address of a
// PostgreSQL server on which tests may create databases.
const Postgres = "CARDEA_TEST_POSTGRES"

// Realm and Neighbour are realms that tests use at once: what is done in one
// must leave the other untouched.
const (
	Realm     = "test"
	Neighbour = "neighbour"
)

// Clock is a clock that tests move by hand.
type Clock struct{ ms atomic.Int64 }

// NewClock returns a clock that stands at a fixed instant.
func NewClock() *Clock {
	c := new(Clock)
	c.ms.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli())
	return c
}

// Now returns the instant the clock stands at.
func (c *Clock) Now() time.Time { return time.UnixMilli(c.ms.Load()).UTC() }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// Env is what a database test works with.
type Env struct {
	DB    *db.DB
	Clock *Clock
	URL   string // to open the same database once more (PostgreSQL only)
}

// Run runs fn on SQLite, and on PostgreSQL where CARDEA_TEST_POSTGRES names a
// server.
func Run(t *testing.T, fn func(t *testing.T, e *Env)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); fn(t, Open(t, db.SQLite)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); fn(t, Open(t, db.Postgres)) })
}

// Open opens a fresh, migrated database of the given kind, closed and dropped
// when the test ends. It skips the test where there is no server for it.
func Open(t testing.TB, kind db.Engine) *Env {
	t.Helper()
	e := &Env{Clock: NewClock(), URL: URL(t, kind)}
	e.DB = e.Reopen(t)
	return e
}

// Reopen opens the same database again, as another node would. On SQLite close
// the first one before.
func (e *Env) Reopen(t testing.TB) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), db.Options{URL: e.URL, Now: e.Clock.Now, MaxConns: 8, Sent: sent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	if err := d.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return d
}

// URL returns the address of a fresh database, with every migration applied
// already.
func URL(t testing.TB, kind db.Engine) string {
	t.Helper()
	if kind == db.SQLite {
		file := filepath.Join(t.TempDir(), "test.db")
		parts, err := blank()
		for suffix, bytes := range parts {
			err = errors.Join(err, os.WriteFile(file+suffix, bytes, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	server := os.Getenv(Postgres)
	if server == "" {
		t.Skipf("skipped on PostgreSQL: %s is not set (make test sets it)", Postgres)
	}
	template := migrated(t, server)
	name := fmt.Sprintf("t_%d_%d", os.Getpid(), serial.Add(1))
	admin(t, server, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template))
	t.Cleanup(func() { admin(t, server, fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name)) })
	return at(t, server, name)
}

// blank is a database of SQLite with every migration applied, as the contents of
// its files by what their names end in: to copy it takes a fraction of applying
// them.
var blank = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "cardea-blank")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "blank.db")
	d, err := db.Open(context.Background(), db.Options{URL: file})
	if err != nil {
		return nil, err
	}
	err = d.Migrate(context.Background())
	d.Close()
	if err != nil {
		return nil, err
	}
	parts := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		part, err := os.ReadFile(file + suffix)
		if err != nil && !(suffix != "" && os.IsNotExist(err)) {
			return nil, err
		}
		parts[suffix] = part
	}
	return parts, nil
})

var (
	serial    atomic.Int64
	templates sync.Mutex
)

// migrated makes sure that a template database with the present schema exists
// and returns its name. All test processes share it.
func migrated(t testing.TB, server string) string {
	t.Helper()
	templates.Lock()
	defer templates.Unlock()
	steps, err := db.Migrations(db.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for _, m := range steps {
		h.Write([]byte(m.Name + m.Sum))
	}
	name := "cardea_template_" + hex.EncodeToString(h.Sum(nil))[:16]
	ctx := context.Background()
	c, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, "SELECT pg_advisory_lock(7237464972)"); err != nil {
		t.Fatal(err)
	}
	var ready bool
	if err := c.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_database WHERE datname = $1", name).Scan(&ready); err != nil {
		t.Fatal(err)
	}
	if ready {
		return name
	}
	building := fmt.Sprintf("%s_%d", name, os.Getpid())
	if _, err := c.Exec(ctx, "CREATE DATABASE "+building); err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(ctx, db.Options{URL: at(t, server, building)})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Migrate(ctx)
	d.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(ctx, fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", building, name)); err != nil {
		t.Fatal(err)
	}
	return name
}

func admin(t testing.TB, server, statement string) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}

// at returns the server's address with another database in it.
func at(t testing.TB, server, database string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + strings.TrimPrefix(database, "/")
	return u.String()
}

// Before opens a fresh database with the schema that a program had before a
// migration, to be filled as that program would have, and migrated then.
func Before(t testing.TB, kind db.Engine, migration string) *db.DB {
	t.Helper()
	ctx := context.Background()
	address := filepath.Join(t.TempDir(), "test.db")
	if kind == db.Postgres {
		server := os.Getenv(Postgres)
		if server == "" {
			t.Skipf("skipped on PostgreSQL: %s is not set (make test sets it)", Postgres)
		}
		name := fmt.Sprintf("t_%d_%d", os.Getpid(), serial.Add(1))
		admin(t, server, "CREATE DATABASE "+name)
		t.Cleanup(func() { admin(t, server, fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name)) })
		address = at(t, server, name)
	}
	d, err := db.Open(ctx, db.Options{URL: address, Now: NewClock().Now, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	steps, err := db.Migrations(kind)
	if err != nil {
		t.Fatal(err)
	}
	err = d.SystemRC(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`CREATE TABLE migrations (name TEXT PRIMARY KEY, sum TEXT NOT NULL, applied_at BIGINT NOT NULL)`); err != nil {
			return err
		}
		for _, m := range steps {
			if m.Name == migration {
				return nil
			}
			for _, text := range m.SQL {
				if _, err := tx.Exec(text); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(`INSERT INTO migrations (name, sum, applied_at) VALUES ($1, $2, 1)`, m.Name, m.Sum); err != nil {
				return err
			}
		}
		return fmt.Errorf("there is no migration %q", migration)
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
