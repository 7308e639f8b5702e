package db_test

import (
	"context"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// A glance is one round trip, without a transaction, and nothing more can be asked.
func TestAGlanceAsksEverythingAtOnce(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		in := func(fn func(tx *db.Tx) error) (*dbtest.Traffic, error) {
			ctx, sent := dbtest.Watch(t.Context())
			return sent, e.DB.Glance(ctx, dbtest.Realm, fn)
		}
		must := func(sent *dbtest.Traffic, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			if e.DB.Engine() == db.Postgres && sent.Trips() != 1 {
				t.Errorf("%d round trips%s", sent.Trips(), sent)
			}
			if strings.Contains(sent.String(), "BEGIN") {
				t.Errorf("a transaction%s", sent)
			}
		}
		ids := func(tx *db.Tx) func() ([]string, error) {
			return db.AskAll(tx, db.Scalar[string], `SELECT id FROM things WHERE realm = $1 ORDER BY id`, tx.Realm)
		}
		if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error { return tx.Later(insertThing, tx.Realm, "a") }); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second one knows its statements
			_, _ = in(func(tx *db.Tx) error { _, err := db.One(tx, db.Scalar[int], countThings, tx.Realm); return err })
			must(in(func(tx *db.Tx) error {
				if n, err := db.One(tx, db.Scalar[int], countThings, tx.Realm); n != 1 || err != nil {
					t.Errorf("there are %d, %v", n, err)
				}
				if _, err := db.One(tx, db.Scalar[int], countThings, tx.Realm); err == nil {
					t.Error("a second look was answered")
				}
				return nil
			}))
			must(in(func(tx *db.Tx) error {
				all, missing := ids(tx), db.Ask(tx, db.Scalar[bool], `SELECT used FROM things WHERE realm = $1 AND id = $2`, tx.Realm, "z")
				if _, err := missing.One(); !db.Missing(err) {
					t.Errorf("a missing row: %v", err)
				}
				if list, err := all(); len(list) != 1 || err != nil {
					t.Errorf("there are %v, %v", list, err)
				}
				return nil
			}))
		}
		for what, write := range map[string]func(tx *db.Tx) error{
			"later": func(tx *db.Tx) error { return tx.Later(insertThing, tx.Realm, "b") },
			"exec":  func(tx *db.Tx) error { _, err := tx.Exec(insertThing, tx.Realm, "b"); return err },
			"ask":   func(tx *db.Tx) error { _, err := tx.AskExec(insertThing, tx.Realm, "b")(); return err },
		} {
			if _, err := in(write); err == nil {
				t.Errorf("%s wrote in a glance", what)
			}
		}
		if n := count(t, e.DB); n != 1 {
			t.Errorf("there are %d after glances, want 1", n)
		}
		// A statement that fails leaves the connection fit for others.
		for range 10 {
			_, err := in(func(tx *db.Tx) error {
				a, b := db.Ask(tx, db.Scalar[int], `SELECT nothing FROM things`), ids(tx)
				if _, err := a.One(); err == nil {
					t.Error("nonsense was answered")
				}
				_, err := b()
				return err
			})
			if err != nil && e.DB.Engine() == db.SQLite {
				t.Error(err)
			}
		}
		must(in(func(tx *db.Tx) error { _, err := ids(tx)(); return err }))
	})
}

// A node does not fail what it reads for connections that a server's restart broke.
func TestAGlanceGetsOverBrokenConnections(t *testing.T) {
	e := dbtest.Open(t, db.Postgres)
	look := func() error {
		return e.DB.Glance(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			_, err := db.One(tx, db.Scalar[int], `SELECT 1`)
			return err
		})
	}
	if err := look(); err != nil {
		t.Fatal(err)
	}
	other := e.Reopen(t)
	err := other.View(context.Background(), "", func(tx *db.Tx) error {
		_, err := db.All(tx, db.Scalar[bool], `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := look(); err != nil {
		t.Error(err)
	}
}
