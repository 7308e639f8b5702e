package db_test

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Another database is read by one query and never written, and errors tell nothing
// of its address.
func TestForeignDatabasesAreOnlyRead(t *testing.T) {
	u, err := url.Parse(dbtest.Open(t, db.Postgres).URL)
	if err != nil {
		t.Fatal(err)
	}
	password, has := u.User.Password()
	if !has { // a server that trusts everybody takes any
		password = "s3cret"
	}
	u.User, u.RawQuery = url.UserPassword(u.User.Username(), password), "sslmode=disable"
	var dialled atomic.Value // the driver also dials in the background, to cancel
	read := func(query string) (rows []string, err error) {
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled.Store(address)
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		err = db.ReadForeign(context.Background(), u.String(), query, db.ForeignOptions{Dial: dial, Named: func(string) bool { return true }, Most: 1 << 20}, func(row []byte) error {
			rows = append(rows, string(row))
			return nil
		})
		return rows, err
	}
	rows, err := read("SELECT 'user' AS subject_type, x::text AS subject_id FROM generate_series(1, 3) x; ")
	if err != nil || len(rows) != 3 || rows[2] != `{"subject_type":"user","subject_id":"3"}` {
		t.Errorf("%v %v", rows, err)
	}
	if dialled.Load() != u.Host {
		t.Errorf("dialled %q, want %q", dialled.Load(), u.Host)
	}
	for _, bad := range []string{
		"INSERT INTO realms (name) VALUES ('x') RETURNING name",
		"SELECT nextval('event_order')",
		"SELECT 1) x; DROP TABLE principals; SELECT (1",
		"SELECT * FROM no_such_table",
		"SELECT set_config('transaction_read_only', 'off', false)",
		"SELECT repeat('x', 2000000)",
		"SELECT repeat('x', 100000) FROM generate_series(1, 20)",
	} {
		if rows, err := read(bad); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v %v", bad, rows, err)
		}
	}
	u.Host = "127.0.0.1:1"
	if _, err := read("SELECT 1"); err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("nobody there: %v", err)
	}
}

// The password of another database goes to nobody who cannot prove to be it, unless
// whoever runs this server named the host.
func TestForeignDatabasesProveWhoTheyAre(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // it has no TLS and wants the password as it is
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			heard := make([]byte, 512)
			n, _ := c.Read(heard)
			if n == 8 { // SSLRequest
				_, _ = c.Write([]byte("N"))
				n, _ = c.Read(heard)
			}
			if n > 0 {
				t.Errorf("without TLS it was told %q", heard[:n])
			}
			_ = c.Close()
		}
	}()
	for mode, allowed := range map[string]bool{"": true, "?sslmode=verify-full": true, "?sslmode=require": false, "?sslmode=disable": false, "?sslmode=prefer": false, "?sslmode=allow": false} {
		raw := "postgres://reader:s3cret@" + l.Addr().String() + "/app" + mode
		if err := db.CheckForeign(raw, nil); (err == nil) != allowed {
			t.Errorf("%s: %v", mode, err)
		}
		err := db.ReadForeign(context.Background(), raw, "SELECT 1", db.ForeignOptions{Dial: new(net.Dialer).DialContext, Most: 1 << 20}, func([]byte) error { return nil })
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", mode, err)
		}
	}
}
