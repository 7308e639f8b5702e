package db_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

// A statement that takes long is not a server that is away.
func TestSlowStatementsAreLeftInPeace(t *testing.T) {
	t.Parallel()
	e := dbtest.Open(t, db.Postgres)
	err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
		_, err := tx.Exec(`SELECT pg_sleep(2.5)`)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What a node leaves behind when its network goes must not keep its locks: here
// a transaction in which nothing happens for longer than any of ours.
func TestAbandonedTransactionsLoseTheirLocks(t *testing.T) {
	t.Parallel()
	e := dbtest.Open(t, db.Postgres)
	table(t, e.DB)
	if err := put(e.DB, t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	take := func(ctx context.Context, then func()) error {
		return e.DB.UpdateRC(ctx, dbtest.Realm, func(tx *db.Tx) error {
			if _, err := tx.Exec(`UPDATE things SET used = TRUE WHERE realm = $1 AND id = 'x'`, tx.Realm); err != nil {
				return err
			}
			then()
			_, err := tx.Exec(`UPDATE things SET used = FALSE WHERE realm = $1 AND id = 'x'`, tx.Realm)
			return err
		})
	}
	locked, left := make(chan struct{}), make(chan struct{})
	abandoned := make(chan error, 1)
	go func() { abandoned <- take(t.Context(), func() { close(locked); <-left }) }()
	<-locked
	began := time.Now()
	err := take(t.Context(), func() {})
	close(left)
	if took := time.Since(began); err != nil || took > 5*time.Second {
		t.Errorf("the lock came free after %v: %v", took, err)
	}
	if err := <-abandoned; !fault.Is(err, fault.Unavailable) {
		t.Errorf("the abandoned transaction ended with %v", err)
	}
}

// A busy server that does not greet at once is waited for when a node starts.
func TestStartsWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(dbtest.Open(t, db.Postgres).URL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	server := u.Host
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			if n == 0 {
				continue // nobody says anything
			}
			s, err := net.Dial("tcp", server)
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(s, c); _ = s.Close() }()
			go func() { _, _ = io.Copy(c, s); _ = c.Close() }()
		}
	}()
	u.Host = l.Addr().String()
	d, err := db.Open(t.Context(), db.Options{URL: u.String()})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}
