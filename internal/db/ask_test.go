package db_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

const (
	insertThing = `INSERT INTO things (realm, id, used) VALUES ($1, $2, FALSE)`
	countThings = `SELECT count(*) FROM things WHERE realm = $1`
)

// Whatever was put off takes effect before what is waited for, in order.
func TestWhatIsPutOffHappensInOrder(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		err := e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			if err := tx.Later(insertThing, tx.Realm, "a"); err != nil {
				return err
			}
			one := db.Ask(tx, db.Scalar[int], countThings, tx.Realm)
			if err := tx.Later(insertThing, tx.Realm, "b"); err != nil {
				return err
			}
			two := db.Ask(tx, db.Scalar[int], countThings, tx.Realm)
			missing := db.Ask(tx, db.Scalar[bool], `SELECT used FROM things WHERE realm = $1 AND id = $2`, tx.Realm, "z")
			if n, err := two.One(); n != 2 || err != nil {
				t.Errorf("after two insertions there are %d, %v", n, err)
			}
			if n, err := one.One(); n != 1 || err != nil {
				t.Errorf("after one insertion there was %d, %v", n, err)
			}
			if _, err := missing.One(); !db.Missing(err) {
				t.Errorf("a missing row: %v", err)
			}
			if err := tx.Later(insertThing, tx.Realm, "c"); err != nil {
				return err
			}
			if n, err := tx.Exec(`UPDATE things SET used = TRUE WHERE realm = $1`, tx.Realm); n != 3 || err != nil {
				t.Errorf("%d were changed, %v; want 3", n, err)
			}
			if err := tx.Later(insertThing, tx.Realm, "d"); err != nil {
				return err
			}
			all, err := db.All(tx, db.Scalar[string], `SELECT id FROM things WHERE realm = $1 ORDER BY id`, tx.Realm)
			if len(all) != 4 || err != nil {
				t.Errorf("there are %v, %v", all, err)
			}
			return tx.Later(insertThing, tx.Realm, "e")
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, e.DB); n != 5 {
			t.Errorf("%d were committed, want 5", n)
		}
	})
}

// A statement that was put off and fails takes the transaction with it, at the
// latest at the commit, and the connection serves whoever comes next.
func TestWhatIsPutOffFailsTheTransaction(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		if err := put(e.DB, t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		for name, rest := range map[string]func(*db.Tx) error{
			"at the commit": func(*db.Tx) error { return nil },
			"by a question": func(tx *db.Tx) error {
				_, err := db.One(tx, db.Scalar[int], countThings, tx.Realm)
				return err
			},
			"by a statement": func(tx *db.Tx) error {
				_, err := tx.Exec(`UPDATE things SET used = TRUE WHERE realm = $1`, tx.Realm)
				return err
			},
		} {
			err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				if err := tx.Later(insertThing, tx.Realm, "b"); err != nil {
					return err
				}
				if err := tx.Later(insertThing, tx.Realm, "a"); err != nil {
					return err
				}
				return rest(tx)
			})
			if !db.Taken(err) {
				t.Errorf("%s: %v, want taken", name, err)
			}
			if n := count(t, e.DB); n != 1 {
				t.Errorf("%s: %d rows, want 1", name, n)
			}
		}
	})
}

// A refusal forgets what was put off.
func TestARefusalForgetsWhatWasPutOff(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		no := errors.New("no")
		err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			if err := tx.Later(insertThing, tx.Realm, "a"); err != nil {
				return err
			}
			return no
		})
		if !errors.Is(err, no) {
			t.Errorf("got %v", err)
		}
		if n := count(t, e.DB); n != 0 {
			t.Errorf("%d rows, want none", n)
		}
	})
}

// A transaction that begins with its first statement can be serializable all the same:
// begin it at READ COMMITTED to see this fail.
func TestAHotTransactionCanBeSerializable(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		table(t, e.DB)
		attempts := 0
		ctx, sent := dbtest.Watch(t.Context())
		err := e.DB.UpdateHotSerializable(ctx, dbtest.Realm, func(tx *db.Tx) error {
			n, added := db.Ask(tx, db.Scalar[int], countThings, tx.Realm), tx.AskExec(insertThing, tx.Realm, "a")
			if got, err := n.One(); got != attempts || err != nil {
				t.Errorf("there are %d, %v; want %d", got, err, attempts)
			}
			if n, err := added(); n != 1 || err != nil {
				t.Errorf("%d were added, %v; want 1", n, err)
			}
			if attempts++; attempts > 1 || e.DB.Engine() == db.SQLite {
				return nil
			}
			if sent.Trips() != 1 {
				t.Errorf("%d round trips%s", sent.Trips(), sent)
			}
			err := e.DB.Update(context.Background(), dbtest.Realm, func(other *db.Tx) error {
				if _, err := db.One(other, db.Scalar[int], countThings, other.Realm); err != nil {
					return err
				}
				return other.Later(insertThing, other.Realm, "b")
			})
			if err != nil {
				t.Error(err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := map[db.Engine]int{db.SQLite: 1, db.Postgres: 2}[e.DB.Engine()]; attempts != want {
			t.Errorf("%d attempts, want %d", attempts, want)
		}
	})
}
