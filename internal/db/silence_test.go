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

// A network that comes back has forgotten the connections that were open. The
// server has not: what waited for a lock at the time gets it later, one after
// the other, and nobody is there who would give it back.
func TestLocksOfLostConnectionsAreFreed(t *testing.T) {
	t.Parallel()
	network, address := dbtest.NewLink(t, dbtest.Open(t, db.Postgres).URL)
	d, err := db.Open(t.Context(), db.Options{URL: address, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	defer network.Set(dbtest.Whole)
	table(t, d)
	if err := put(d, t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	take := func(then func()) error {
		return d.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE things SET used = NOT used WHERE realm = $1 AND id = 'x'`, tx.Realm)
			then()
			return err
		})
	}
	waiting := func() (n int) {
		if err := d.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
			n, err = db.One(tx, db.Scalar[int], `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const queue = 4
	locked, left := make(chan struct{}), make(chan struct{})
	ended := make(chan error, queue+1)
	go func() { ended <- take(func() { close(locked); <-left }) }()
	<-locked
	for range queue {
		go func() { ended <- take(func() {}) }()
	}
	for waiting() < queue {
		<-time.After(10 * time.Millisecond)
	}
	network.Set(dbtest.Hole)
	close(left)
	for range queue + 1 {
		if err := <-ended; !fault.Is(err, fault.Unavailable) {
			t.Errorf("in the silence a transaction ended with %v", err)
		}
	}
	<-time.After(300 * time.Millisecond) // for what is sent to call them off, which is lost too
	network.Set(dbtest.Whole)
	began := time.Now()
	for {
		if err = take(func() {}); err == nil || !fault.Is(err, fault.Unavailable) || time.Since(began) > 30*time.Second {
			break
		}
	}
	if took := time.Since(began); err != nil || took > 5*time.Second {
		t.Errorf("the lock came free after %v: %v", took, err)
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
