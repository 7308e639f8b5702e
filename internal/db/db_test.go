package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

func table(t *testing.T, d *db.DB) {
	t.Helper()
	if err := d.System(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`CREATE TABLE things (realm TEXT NOT NULL, id TEXT NOT NULL, used BOOLEAN NOT NULL, PRIMARY KEY (realm, id))`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func put(d *db.DB, ctx context.Context, id string) error {
	return d.Update(ctx, dbtest.Realm, func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO things (realm, id, used) VALUES ($1, $2, FALSE)`, tx.Realm, id)
		return err
	})
}

func count(t *testing.T, d *db.DB) (n int) {
	t.Helper()
	if err := d.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
		n, err = db.One(tx, db.Scalar[int], `SELECT count(*) FROM things WHERE realm = $1`, tx.Realm)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// Read, check, write is the worst shape: right only if Update is serializable
// and runs again after a conflict.
func TestOnlyOneOfManyWins(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		if err := put(e.DB, t.Context(), "code"); err != nil {
			t.Fatal(err)
		}
		var wins atomic.Int32
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				won := false
				err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
					won = false
					used, err := db.One(tx, db.Scalar[bool], `SELECT used FROM things WHERE realm = $1 AND id = $2`, tx.Realm, "code")
					if err != nil || used {
						return err
					}
					won = true
					_, err = tx.Exec(`UPDATE things SET used = TRUE WHERE realm = $1 AND id = $2`, tx.Realm, "code")
					return err
				})
				if err != nil {
					t.Error(err)
				} else if won {
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Errorf("%d won, want 1", wins.Load())
		}
	})
}

// Two who read and write different rows of a small table are not in each other's way.
// Without the parameters of planning PostgreSQL reads all of it for one row, and one of
// the two runs again.
func TestRowsOfASmallTableAreWrittenSideBySide(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		if e.DB.Engine() != db.Postgres {
			t.Skip("SQLite has one writer")
		}
		table(t, e.DB)
		if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			for i := range 64 {
				if _, err := tx.Exec(`INSERT INTO things (realm, id, used) VALUES ($1, $2, FALSE)`, tx.Realm, fmt.Sprint(i)); err != nil {
					return err
				}
			}
			_, err := tx.Exec(`ANALYZE things`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		var runs atomic.Int32
		var both, wg sync.WaitGroup
		both.Add(2)
		for i := range 2 {
			wg.Go(func() {
				first := true
				if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
					runs.Add(1)
					if _, err := db.One(tx, db.Scalar[bool], `SELECT used FROM things WHERE realm = $1 AND id = $2`, tx.Realm, fmt.Sprint(i)); err != nil {
						return err
					}
					if first {
						first = false
						both.Done()
						both.Wait()
					}
					_, err := tx.Exec(`UPDATE things SET used = TRUE WHERE realm = $1 AND id = $2`, tx.Realm, fmt.Sprint(i))
					return err
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if runs.Load() != 2 {
			t.Errorf("two changes ran %d times", runs.Load())
		}
	})
}

// A refusal in a group commit leaves nothing behind, and the others' work alone.
func TestARefusalLeavesTheOthersAlone(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		refusal := errors.New("no")
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				id := "thing" + strings.Repeat("x", i)
				err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
					if _, err := tx.Exec(`INSERT INTO things (realm, id, used) VALUES ($1, $2, FALSE)`, tx.Realm, id); err != nil {
						return err
					}
					if i%3 == 0 {
						return refusal
					}
					return nil
				})
				if (i%3 == 0) != errors.Is(err, refusal) {
					t.Errorf("thing %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if n := count(t, e.DB); n != 40 {
			t.Errorf("%d things, want 40", n)
		}
	})
}

func TestAPanicReachesTheCallerAndNobodyElse(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		func() {
			defer func() {
				if v := recover(); v != "boom" {
					t.Errorf("recovered %v, want boom", v)
				}
			}()
			_ = e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error { panic("boom") })
		}()
		if err := put(e.DB, t.Context(), "after"); err != nil {
			t.Errorf("after a panic: %v", err)
		}
	})
}

func TestTakenAndMissing(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		if err := put(e.DB, t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if err := put(e.DB, t.Context(), "a"); !db.Taken(err) {
			t.Errorf("a second a: %v, want taken", err)
		}
		err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			_, err := db.One(tx, db.Scalar[bool], `SELECT used FROM things WHERE realm = $1 AND id = $2`, tx.Realm, "b")
			return err
		})
		if !db.Missing(err) {
			t.Errorf("a missing row: %v", err)
		}
		if err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`DELETE FROM things WHERE realm = $1`, tx.Realm)
			return err
		}); err == nil && count(t, e.DB) == 0 {
			t.Error("a view deleted rows")
		}
	})
}

// Every migration can be applied twice, and by several nodes at once.
func TestMigrationsRunOnce(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := e.DB.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if left, err := e.DB.Pending(t.Context()); err != nil || len(left) > 0 {
			t.Errorf("Pending = %v, %v", left, err)
		}
	})
}

// To build an index over a large table takes longer than a transaction may, and keeps a
// server so busy that it may be slow to greet others. To wait for a lock may not take
// long: whoever comes behind waits too.
func TestMigrationsHaveTime(t *testing.T) {
	e := dbtest.Open(t, db.Postgres)
	if err := e.DB.System(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`DROP INDEX principals_flagged`)
		if err == nil {
			_, err = tx.Exec(`DELETE FROM migrations WHERE name LIKE '0250%'`)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var built time.Duration
	var bounded bool
	network, address := dbtest.NewLink(t, e.URL)
	d, err := db.Open(t.Context(), db.Options{URL: address, Sent: func(ctx context.Context, texts ...string) {
		end, _ := ctx.Deadline()
		switch text := texts[0]; {
		case strings.Contains(text, "CREATE INDEX principals_flagged"):
			built = time.Until(end)
			network.Set(dbtest.Deaf)
		case strings.HasPrefix(text, "SET LOCAL lock_timeout"):
			bounded = true
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	defer network.Set(dbtest.Whole)
	locked, slow := make(chan struct{}), make(chan error, 1)
	go func() { // what keeps the index waiting
		slow <- e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`LOCK TABLE principals IN ROW EXCLUSIVE MODE`)
			close(locked)
			if err == nil {
				_, err = tx.Exec(`SELECT pg_sleep(2.5)`)
			}
			return err
		})
	}()
	<-locked
	if err := d.Migrate(t.Context()); err != nil || built < 30*time.Minute || !bounded {
		t.Errorf("%v; the index may take %s, waits for locks are bounded: %t", err, built, bounded)
	}
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

// P-26: a second process on the same file refuses to start.
func TestOneProcessPerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.db")
	d, err := db.Open(t.Context(), db.Options{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Open(t.Context(), db.Options{URL: path}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second opening: %v", err)
	}
	d.Close()
	d, err = db.Open(t.Context(), db.Options{URL: path})
	if err != nil {
		t.Fatalf("after closing: %v", err)
	}
	d.Close()
}

// OP-02: a database that others can read is refused.
func TestReadableFilesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "open.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Open(t.Context(), db.Options{URL: path}); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file with mode 0644: %v", err)
	}
}

// A caller that goes away while it reads must not leave its connection inside a
// transaction for the next.
func TestAReaderThatGoesAwayHarmsNobody(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		for i := range 3000 {
			ctx, cancel := context.WithCancel(t.Context())
			if i%3 == 0 {
				cancel()
			} else {
				go cancel()
			}
			_ = e.DB.View(ctx, dbtest.Realm, func(tx *db.Tx) error {
				_, err := db.One(tx, db.Scalar[int], `SELECT count(*) FROM things WHERE realm = $1`, tx.Realm)
				return err
			})
			cancel()
		}
		for range 20 {
			if n := count(t, e.DB); n != 0 {
				t.Fatalf("%d things", n)
			}
		}
	})
}

// The pages of a list hold each item once, whatever size is asked for.
func TestPagesJoinUp(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		for _, id := range []string{"a", "b", "c", "d"} {
			if err := put(e.DB, t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		for limit, want := range map[int]string{-1: "a|b|c|d", 0: "a|b|c|d", 1: "a|b|c|d", 2: "ab|cd", 3: "abc|d", 4: "abc|d"} {
			var pages []string
			for after := ""; ; {
				page, next, err := db.Page(t.Context(), e.DB, dbtest.Realm, limit, 3, func(tx *db.Tx, limit int) ([]string, error) {
					return db.All(tx, db.Scalar[string], `SELECT id FROM things WHERE realm = $1 AND id > $2 ORDER BY id LIMIT $3`, tx.Realm, after, limit)
				}, func(id string) string { return id })
				if err != nil {
					t.Fatal(err)
				}
				if pages = append(pages, strings.Join(page, "")); next == "" {
					break
				}
				after = next
			}
			if got := strings.Join(pages, "|"); got != want {
				t.Errorf("limit %d: %s, want %s", limit, got, want)
			}
		}
	})
}
