package residual_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/policy"
	. "github.com/cardea-id/cardea/internal/access/residual"
)

// A column of a type of its own compares in ways of its own. Whatever they are, no
// row meets a condition that Decide would not permit.

func attribute(name string, of policy.ValueKind) policy.Field {
	return policy.Field{Kind: policy.FieldAttribute, Name: name, Of: of}
}

func pattern(pieces ...string) (out []*string) {
	for _, p := range pieces {
		if p == "*" {
			out = append(out, nil)
		} else {
			out = append(out, &p)
		}
	}
	return out
}

// columnCase is a table "docs" of two columns a and b, and what must be found in it.
type columnCase struct {
	name   string
	types  string // of both columns
	rows   [][2]any
	when   policy.Condition
	mapped Type
	want   int
}

func (c columnCase) where(t *testing.T, d Dialect) Where {
	t.Helper()
	w, err := SQL(c.when, Mapping{ID: Column{Name: "id"}, Attributes: map[string]Column{"a": {Name: "a", Type: c.mapped}, "b": {Name: "b", Type: c.mapped}}}, d, 1)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var (
	textA, textB = attribute("a", policy.ValueString), attribute("b", policy.ValueString)
	longA, longB = attribute("a", policy.ValueLong), attribute("b", policy.ValueLong)
	idA, idB     = attribute("a", policy.ValueID), attribute("b", policy.ValueID)
)

const someUUID = "0198f2c4-a1b3-7aaa-8bbb-0123456789ab"

func TestTypesOfPostgreSQLWidenNothing(t *testing.T) {
	ctx, db := context.Background(), onPostgres(t)
	tx, err := db.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, "CREATE EXTENSION citext WITH SCHEMA public"); err != nil {
		t.Skipf("citext is not installed: %v", err)
	}
	admin := [][2]any{{"Admin", "admin"}}
	for _, c := range []columnCase{
		{"a pattern and another case", "public.citext", admin, policy.Condition{Op: policy.OpLike, Field: textA, Pattern: pattern("adm", "*")}, "", 0},
		{"no pattern and another case", "public.citext", admin, policy.Condition{Op: policy.OpUnlike, Field: textA, Pattern: pattern("Adm", "*")}, "", 0},
		{"two columns and another case", "public.citext", admin, policy.Condition{Op: policy.OpSame, Field: textA, Other: textB}, "", 0},
		{"two columns that differ in case", "public.citext", admin, policy.Condition{Op: policy.OpDiffer, Field: textA, Other: textB}, "", 1},
		{"a value and another case", "public.citext", admin, policy.Condition{Op: policy.OpIn, Field: textA, Values: []any{"admin"}}, "", 0},
		{"a value of the same case", "public.citext", admin, policy.Condition{Op: policy.OpIn, Field: textA, Values: []any{"Admin", "x"}}, "", 1},
		{"no value and another case", "public.citext", admin, policy.Condition{Op: policy.OpNotIn, Field: textA, Values: []any{"admin"}}, "", 1},
		{"blanks that fill a column, and a value", "char(10)", [][2]any{{"ab", "ab"}}, policy.Condition{Op: policy.OpIn, Field: textA, Values: []any{"ab"}}, "", 1},
		{"blanks that fill a column, and a pattern", "char(10)", [][2]any{{"ab", "ab"}}, policy.Condition{Op: policy.OpLike, Field: textA, Pattern: pattern("*", "b")}, "", 1},
		{"blanks that fill a column, and no pattern", "char(10)", [][2]any{{"ab", "ab"}}, policy.Condition{Op: policy.OpUnlike, Field: textA, Pattern: pattern("*", "b")}, "", 0},
		{"a column of UUIDs", "uuid", [][2]any{{someUUID, someUUID}}, policy.Condition{Op: policy.OpAll, Args: []policy.Condition{{Op: policy.OpIn, Field: idA, Values: []any{someUUID}}, {Op: policy.OpSame, Field: idA, Other: idB}}}, UUID, 1},
	} {
		sp, err := tx.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sp.Exec(ctx, fmt.Sprintf("CREATE TABLE pg_temp.docs (a %[1]s, b %[1]s)", c.types)); err != nil {
			t.Fatal(err)
		}
		for _, r := range c.rows {
			if _, err := sp.Exec(ctx, "INSERT INTO docs SELECT x::"+c.types+", y::"+c.types+" FROM (SELECT $1::text AS x, $2::text AS y) AS v", r[0], r[1]); err != nil {
				t.Fatal(err)
			}
		}
		w := c.where(t, PostgreSQL)
		var n int
		if err := sp.QueryRow(ctx, "SELECT count(*) FROM docs WHERE "+w.SQL, w.Args...).Scan(&n); err != nil || n != c.want {
			t.Errorf("%s: %d rows, want %d (%v): %s", c.name, n, c.want, err, w.SQL)
		}
		_ = sp.Rollback(ctx)
	}
}

// SQLite keeps in a column whatever was put there, whatever type the column has.
func TestTypesOfSQLiteWidenNothing(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	text, part, upper := [][2]any{{"high", "high"}}, [][2]any{{2.5, 2.5}}, strings.ToUpper(someUUID)
	for _, c := range []columnCase{
		{"text is greater than a number", "INTEGER", text, policy.Condition{Op: policy.OpGreater, Field: longA, Values: []any{int64(3)}}, "", 0},
		{"text is no time", "INTEGER", text, policy.Condition{Op: policy.OpAtLeast, Field: attribute("a", policy.ValueTime), Values: []any{int64(3)}}, "", 0},
		{"text is none of some numbers", "INTEGER", text, policy.Condition{Op: policy.OpNotIn, Field: longA, Values: []any{int64(3), int64(4)}}, "", 0},
		{"texts are the same number", "INTEGER", text, policy.Condition{Op: policy.OpSame, Field: longA, Other: longB}, "", 0},
		{"texts are in order as numbers", "INTEGER", text, policy.Condition{Op: policy.OpAtMost, Field: longA, Other: longB}, "", 0},
		{"a part of a number", "INTEGER", part, policy.Condition{Op: policy.OpLess, Field: longA, Values: []any{int64(3)}}, "", 0},
		{"bytes are greater than all", "INTEGER", [][2]any{{[]byte{1}, nil}}, policy.Condition{Op: policy.OpGreater, Field: longA, Values: []any{int64(3)}}, "", 0},
		{"digits in a column of texts", "TEXT", [][2]any{{"07", "07"}}, policy.Condition{Op: policy.OpIn, Field: idA, Values: []any{"7"}}, Integer, 0},
		{"text is not there as a number", "INTEGER", text, policy.Condition{Op: policy.OpPresent, Field: longA}, "", 0},
		{"text is not missing as a number", "INTEGER", text, policy.Condition{Op: policy.OpAbsent, Field: longA}, "", 0},
		{"a number", "INTEGER", [][2]any{{int64(5), int64(4)}}, policy.Condition{Op: policy.OpAll, Args: []policy.Condition{
			{Op: policy.OpGreater, Field: longA, Values: []any{int64(3)}}, {Op: policy.OpGreater, Field: longA, Other: longB}, {Op: policy.OpNotIn, Field: longA, Values: []any{int64(4)}}}}, "", 1},
		{"text is neither true nor false", "BOOLEAN", text, policy.Condition{Op: policy.OpIn, Field: attribute("a", policy.ValueBool), Values: []any{true, false}}, "", 0},
		{"a number is neither true nor false", "BOOLEAN", [][2]any{{2, 2}}, policy.Condition{Op: policy.OpSame, Field: attribute("a", policy.ValueBool), Other: attribute("b", policy.ValueBool)}, "", 0},
		{"a UUID in capitals", "TEXT COLLATE NOCASE", [][2]any{{upper, upper}}, policy.Condition{Op: policy.OpIn, Field: idA, Values: []any{someUUID}}, UUID, 0},
		{"a UUID in capitals that is forbidden", "TEXT COLLATE NOCASE", [][2]any{{upper, upper}}, policy.Condition{Op: policy.OpNotIn, Field: idA, Values: []any{upper}}, UUID, 0},
		{"two UUIDs", "TEXT COLLATE NOCASE", [][2]any{{upper, someUUID}}, policy.Condition{Op: policy.OpSame, Field: idA, Other: idB}, UUID, 0},
		{"a UUID", "TEXT COLLATE NOCASE", [][2]any{{someUUID, someUUID}}, policy.Condition{Op: policy.OpIn, Field: idA, Values: []any{someUUID}}, UUID, 1},
		{"no pattern with a zero byte", "TEXT", [][2]any{{"a", "a"}, {"a\x00", "a"}}, policy.Condition{Op: policy.OpUnlike, Field: textA, Pattern: pattern("a\x00")}, "", 1},
	} {
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("DROP TABLE IF EXISTS docs; CREATE TABLE docs (a %[1]s, b %[1]s)", c.types)); err != nil {
			t.Fatal(err)
		}
		for _, r := range c.rows {
			if _, err := db.ExecContext(t.Context(), "INSERT INTO docs VALUES (?, ?)", r[0], r[1]); err != nil {
				t.Fatal(err)
			}
		}
		c.count(t, db, SQLite)
	}
}

func (c columnCase) count(t *testing.T, db *sql.DB, d Dialect) {
	t.Helper()
	w := c.where(t, d)
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM docs WHERE "+w.SQL, w.Args...).Scan(&n); err != nil || n != c.want {
		t.Errorf("%s: %d rows, want %d (%v): %s", c.name, n, c.want, err, w.SQL)
	}
}

func TestTypesOfMariaDBWidenNothing(t *testing.T) {
	db := onMariaDB(t)
	upper, beyond := strings.ToUpper(someUUID), [][2]any{{"9223372036854775808", "9223372036854775808"}}
	varchar := "varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
	for _, mode := range []string{"", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE"} {
		if _, err := db.ExecContext(t.Context(), "SET SESSION sql_mode = ?", mode); err != nil {
			t.Fatal(err)
		}
		for _, c := range []columnCase{
			{"a UUID in capitals", varchar, [][2]any{{upper, upper}}, policy.Condition{Op: policy.OpIn, Field: idA, Values: []any{someUUID}}, UUID, 0},
			{"a UUID", varchar, [][2]any{{someUUID, someUUID}}, policy.Condition{Op: policy.OpIn, Field: idA, Values: []any{someUUID}}, UUID, 1},
			{"a UUID in capitals that is forbidden", varchar, [][2]any{{upper, upper}}, policy.Condition{Op: policy.OpNotIn, Field: idA, Values: []any{upper}}, UUID, 0},
			{"what is no UUID, and a column of UUIDs", "uuid", [][2]any{{someUUID, someUUID}}, policy.Condition{Op: policy.OpNotIn, Field: idA, Values: []any{"a", upper}}, UUID, 1},
			{"two UUIDs", varchar, [][2]any{{upper, someUUID}}, policy.Condition{Op: policy.OpSame, Field: idA, Other: idB}, UUID, 0},
			{"a column of UUIDs", "uuid", [][2]any{{someUUID, someUUID}}, policy.Condition{Op: policy.OpIn, Field: idA, Values: []any{someUUID}}, UUID, 1},
			{"a column of UUIDs without one", "uuid", [][2]any{{someUUID, someUUID}}, policy.Condition{Op: policy.OpNotIn, Field: idA, Values: []any{someUUID}}, UUID, 0},
			{"two columns of UUIDs", "uuid", [][2]any{{someUUID, someUUID}}, policy.Condition{Op: policy.OpSame, Field: idA, Other: idB}, UUID, 1},
			{"a backslash is itself", varchar, [][2]any{{`a\%`, ""}, {`a%`, ""}, {"ab", ""}}, policy.Condition{Op: policy.OpLike, Field: textA, Pattern: pattern(`a\`, "*")}, "", 1},
			{"a backslash at the end", varchar, [][2]any{{`a\`, ""}, {`a`, ""}}, policy.Condition{Op: policy.OpIn, Field: textA, Values: []any{`a\`}}, "", 1},
			{"a quote behind a backslash", varchar, [][2]any{{`\' OR 1=1 -- `, ""}, {"x", ""}}, policy.Condition{Op: policy.OpIn, Field: textA, Values: []any{`\' OR 1=1 -- `}}, "", 1},
			{"blanks at the end", varchar, [][2]any{{"a ", "a"}}, policy.Condition{Op: policy.OpSame, Field: textA, Other: textB}, "", 0},
			{"a zero byte", varchar, [][2]any{{"a\x00", "a"}}, policy.Condition{Op: policy.OpIn, Field: textA, Values: []any{"a"}}, "", 0},
			{"a pattern with a zero byte", varchar, [][2]any{{"a\x00b", "a"}, {"a", ""}}, policy.Condition{Op: policy.OpLike, Field: textA, Pattern: pattern("a\x00", "*")}, "", 1},
			{"a number beyond all is not greater", "bigint unsigned", beyond, policy.Condition{Op: policy.OpGreater, Field: longA, Values: []any{int64(3)}}, "", 0},
			{"a number beyond all is no time", "bigint unsigned", beyond, policy.Condition{Op: policy.OpAtLeast, Field: attribute("a", policy.ValueTime), Values: []any{int64(3000)}}, Seconds, 0},
			{"a number beyond all is none of some", "bigint unsigned", beyond, policy.Condition{Op: policy.OpNotIn, Field: longA, Values: []any{int64(3)}}, "", 0},
			{"an id beyond all is none of some", "bigint unsigned", beyond, policy.Condition{Op: policy.OpNotIn, Field: idA, Values: []any{"9223372036854775808", "3"}}, Integer, 0},
			{"numbers beyond all are not the same", "bigint unsigned", beyond, policy.Condition{Op: policy.OpSame, Field: longA, Other: longB}, "", 0},
			{"a number beyond all is not there", "bigint unsigned", beyond, policy.Condition{Op: policy.OpPresent, Field: longA}, "", 0},
			{"a number beyond all is not missing", "bigint unsigned", beyond, policy.Condition{Op: policy.OpAbsent, Field: longA}, "", 0},
			{"the greatest number", "bigint unsigned", [][2]any{{"9223372036854775807", 0}}, policy.Condition{Op: policy.OpGreater, Field: longA, Other: longB}, "", 1},
			{"the least number", "bigint", [][2]any{{"-9223372036854775808", 0}}, policy.Condition{Op: policy.OpLess, Field: longA, Values: []any{int64(-3)}}, "", 1},
			{"2 is not true", "boolean", [][2]any{{2, 2}}, policy.Condition{Op: policy.OpIn, Field: attribute("a", policy.ValueBool), Values: []any{true, false}}, "", 0},
		} {
			if _, err := db.ExecContext(t.Context(), "DROP TABLE IF EXISTS docs"); err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), fmt.Sprintf("CREATE TEMPORARY TABLE docs (a %[1]s, b %[1]s)", c.types)); err != nil {
				t.Fatal(err)
			}
			for _, r := range c.rows {
				if _, err := db.ExecContext(t.Context(), "INSERT INTO docs VALUES (?, ?)", r[0], r[1]); err != nil {
					t.Fatal(err)
				}
			}
			c.count(t, db, MySQL)
		}
	}
}

// A statement has no more parameters than its database takes, those before the
// condition's own included.
func TestParametersThatNoDatabaseTakesAreRefused(t *testing.T) {
	in := func(n int) policy.Condition {
		c := policy.Condition{Op: policy.OpIn, Field: textA}
		for i := range n {
			c.Values = append(c.Values, fmt.Sprint(i))
		}
		return c
	}
	for _, c := range []struct {
		d                    Dialect
		values, first, takes int // takes is how many parameters the condition has, 0 where it is refused
	}{
		{PostgreSQL, 10_000, 1, 10_000},
		{PostgreSQL, 10_000, 55_536, 10_000},
		{PostgreSQL, 10_000, 55_537, 0},
		{MySQL, 10_000, 45_536, 20_000},
		{MySQL, 10_000, 45_537, 0},
		{SQLite, 10_000, 12_767, 20_000},
		{SQLite, 10_000, 12_768, 0},
	} {
		w, err := SQL(in(c.values), Mapping{ID: Column{Name: "id"}, Attributes: map[string]Column{"a": {Name: "a"}}}, c.d, c.first)
		if c.takes == 0 {
			if !errors.Is(err, policy.ErrInexpressible) || !strings.Contains(err.Error(), "too many values") {
				t.Errorf("%s of %d from %d on: %v", c.d, c.values, c.first, err)
			}
		} else if err != nil || len(w.Args) != c.takes {
			t.Errorf("%s of %d from %d on: %d parameters, %v", c.d, c.values, c.first, len(w.Args), err)
		}
	}
}
