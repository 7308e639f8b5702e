package residual_test

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"

	. "github.com/cardea-id/cardea/internal/access/residual"
)

// TestMariaDBShowsWhatDecideAllows is TestDatabasesShowWhatDecideAllows for the
// dialect of MySQL. scripts/mariadb.sh starts the server.
func TestMariaDBShowsWhatDecideAllows(t *testing.T) { compare(t, mariadb(t)) }

// onMariaDB is one connection to the server of the tests.
func onMariaDB(t *testing.T) *sql.DB {
	dsn := os.Getenv("CARDEA_TEST_MARIADB")
	if dsn == "" {
		t.Skip("CARDEA_TEST_MARIADB names no server")
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func mariadb(t *testing.T) engine {
	db := onMariaDB(t)
	// The collation takes letters of either case and with accents for the same, and
	// does not see blanks at the end: none of this must widen anything.
	text := "varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
	types := map[string]string{"text": text, "integer": "bigint", "boolean": "boolean", "uuid": "char(36)"}
	var b strings.Builder
	b.WriteString("CREATE TEMPORARY TABLE docs (id " + text)
	for _, name := range columns() {
		fmt.Fprintf(&b, ", %s %s", name, types[kinds[name]])
	}
	if _, err := db.ExecContext(t.Context(), b.String()+", INDEX (id), INDEX (owner))"); err != nil {
		t.Fatal(err)
	}
	return over(t, db, MySQL)
}
