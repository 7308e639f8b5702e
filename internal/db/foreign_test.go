package db_test

import (
	"context"
	"net"
	"net/url"
	"strings"
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
	dialled := ""
	read := func(query string) (rows []string, err error) {
		err = db.ReadForeign(context.Background(), u.String(), query, func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled = address
			return new(net.Dialer).DialContext(ctx, network, address)
		}, func(row []byte) error {
			rows = append(rows, string(row))
			return nil
		})
		return rows, err
	}
	rows, err := read("SELECT 'user' AS subject_type, x::text AS subject_id FROM generate_series(1, 3) x; ")
	if err != nil || len(rows) != 3 || rows[2] != `{"subject_type":"user","subject_id":"3"}` {
		t.Errorf("%v %v", rows, err)
	}
	if dialled != u.Host {
		t.Errorf("dialled %q, want %q", dialled, u.Host)
	}
	for _, bad := range []string{
		"INSERT INTO realms (name) VALUES ('x') RETURNING name",
		"SELECT nextval('event_order')",
		"SELECT 1) x; DROP TABLE principals; SELECT (1",
		"SELECT * FROM no_such_table",
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
