package residual

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Where is a condition in SQL. It stands by itself after WHERE or AND.
type Where struct {
	SQL  string
	Args []any // strings and int64, in the order of the placeholders
}

// SQL writes a condition. PostgreSQL has numbered placeholders, which begin at
// first, so that the statement around can have parameters of its own; the others
// have question marks. What takes more parameters than the database has is
// policy.ErrInexpressible.
func SQL(c policy.Condition, m Mapping, d Dialect, first int) (Where, error) {
	w := &writer{m: m, d: d, first: first, numbers: map[any]int{}}
	switch d {
	case PostgreSQL, SQLite, MySQL:
	default:
		return Where{}, fmt.Errorf("%w: the dialect is postgresql, sqlite or mysql", ErrMapping)
	}
	text, err := w.condition(c)
	if n := first - 1 + len(w.args); err == nil && n > mostParameters[d] {
		err = fmt.Errorf("%w: too many values; the statement would have %d parameters, and %s takes %d; map what the policies ask about to columns", policy.ErrInexpressible, n, d, mostParameters[d])
	}
	return Where{text, w.args}, err
}

// mostParameters is how many parameters a statement can have: MySQL's where it is
// prepared, SQLite's as it is built.
var mostParameters = map[Dialect]int{PostgreSQL: 65_535, SQLite: 32_766, MySQL: 65_535}

type writer struct {
	m       Mapping
	d       Dialect
	first   int
	args    []any
	numbers map[any]int // of values that have a number already
}

const (
	sqlTrue  = "1 = 1"
	sqlFalse = "1 = 0"
)

func (w *writer) condition(c policy.Condition) (string, error) {
	switch c.Op {
	case policy.OpTrue:
		return sqlTrue, nil
	case policy.OpFalse:
		return sqlFalse, nil
	case policy.OpAll, policy.OpAny:
		parts := make([]string, len(c.Args))
		for i, a := range c.Args {
			p, err := w.condition(a)
			if err != nil {
				return "", err
			}
			parts[i] = p
		}
		if c.Op == policy.OpAll {
			return "(" + strings.Join(parts, " AND ") + ")", nil
		}
		return "(" + strings.Join(parts, " OR ") + ")", nil
	}
	col, err := w.m.column(c.Field)
	if err != nil {
		return "", err
	}
	name := w.quote(col.Name)
	switch c.Op {
	case policy.OpPresent:
		return w.present(col, name), nil
	case policy.OpAbsent:
		return name + " IS NULL", nil
	case policy.OpIn, policy.OpNotIn:
		return w.list(c, col, name)
	case policy.OpLess, policy.OpAtMost, policy.OpGreater, policy.OpAtLeast:
		if c.Other.Kind == "" {
			n, ok := c.Values[0].(int64)
			if !ok {
				return "", fmt.Errorf("%w: only numbers and times have an order", ErrMapping)
			}
			if col.Type == Seconds {
				n = seconds(n, c.Op == policy.OpLess || c.Op == policy.OpAtLeast)
			}
			return w.typed(name+comparison[c.Op]+w.value(Integer, n), col.Type, name), nil
		}
	case policy.OpLike, policy.OpUnlike:
		return w.like(c, name), nil
	}
	if comparison[c.Op] == "" {
		return "", fmt.Errorf("%w: no SQL is known for %s", ErrMapping, c.Op)
	}
	return w.columns(c, col, name)
}

var comparison = map[policy.Op]string{policy.OpLess: " < ", policy.OpAtMost: " <= ", policy.OpGreater: " > ", policy.OpAtLeast: " >= ",
	policy.OpSame: " = ", policy.OpDiffer: " <> "}

// seconds rounds milliseconds to the second that compares the same.
func seconds(ms int64, up bool) int64 {
	s := ms / 1000
	switch rest := ms % 1000; {
	case rest > 0 && up:
		s++
	case rest < 0 && !up:
		s--
	}
	return s
}

// columns compares two columns, which both are not NULL where that is true.
func (w *writer) columns(c policy.Condition, col Column, name string) (string, error) {
	other, err := w.m.column(c.Other)
	if err != nil {
		return "", err
	}
	if other.Type != col.Type {
		return "", fmt.Errorf("%w: %s is %s and %s is %s; a policy compares them", ErrMapping, col.Name, col.Type, other.Name, other.Type)
	}
	against := w.quote(other.Name)
	if w.textual(col.Type) {
		return w.exact(name) + comparison[c.Op] + w.exact(against), nil
	}
	return w.typed(name+comparison[c.Op]+against, col.Type, name, against), nil
}

// present is that a row holds a value that its column is for.
func (w *writer) present(col Column, name string) string {
	if t := w.ofType(col.Type, name); t != "" {
		return t
	}
	return name + " IS NOT NULL"
}

// ofType is true of values of the type where the database does not see to that
// itself, or "". SQLite keeps in a column whatever was put there, and takes any text
// for greater than any number; its booleans are numbers, as MySQL's are. MySQL's
// columns may hold greater numbers than Cedar has.
func (w *writer) ofType(t Type, name string) string {
	switch {
	case t == Boolean && w.d != PostgreSQL:
		return name + " IN (TRUE, FALSE)"
	case w.d == SQLite && (t == Integer || t == Seconds || t == Milliseconds):
		return "typeof(" + name + ") = 'integer'"
	case w.d == MySQL && (t == Integer || t == Seconds || t == Milliseconds):
		return name + " <= 9223372036854775807"
	}
	return ""
}

// typed is a comparison of columns that hold values of their type.
func (w *writer) typed(compares string, t Type, names ...string) string {
	var b strings.Builder
	for _, name := range names {
		if of := w.ofType(t, name); of != "" {
			b.WriteString(of + " AND ")
		}
	}
	if b.Len() == 0 {
		return compares
	}
	return "(" + b.String() + compares + ")"
}

// textual reports whether columns of the type hold texts: UUIDs do wherever the
// database does not compare them as such.
func (w *writer) textual(t Type) bool { return t == Text || t == UUID && w.d != PostgreSQL }

func (w *writer) list(c policy.Condition, col Column, name string) (string, error) {
	not := c.Op == policy.OpNotIn
	if col.Type == Boolean {
		return w.booleans(c.Values, col, name, not), nil
	}
	held := col.Type
	if w.textual(held) {
		held = Text // whatever the mapping says, there may be another text
	}
	var values []any
	for _, v := range c.Values {
		u, ok, err := w.fit(v, held)
		if err != nil {
			return "", err
		}
		if ok {
			values = append(values, u)
		} else if s, text := v.(string); text && not && !utf8.ValidString(s) {
			return "", fmt.Errorf("%w: a value is no text", ErrMapping)
		}
	}
	switch {
	case len(values) == 0 && not:
		return w.present(col, name), nil
	case len(values) == 0:
		return sqlFalse, nil
	}
	if !w.textual(col.Type) {
		return w.typed(name+w.among(values, col.Type, not), col.Type, name), nil
	}
	exact := w.exact(name) + w.among(values, Text, not)
	if not {
		return exact, nil
	}
	// The plain comparison lets an index be used; the exact one decides. UUIDs of
	// MySQL are compared as texts in both.
	if w.d != PostgreSQL {
		w.args = append(w.args, values...)
		return "(" + name + membership(len(values), not, func(int) string { return "?" }) + " AND " + exact + ")", nil
	}
	return "(" + name + w.among(values, Text, not) + " AND " + exact + ")", nil
}

func (w *writer) among(values []any, t Type, not bool) string {
	return membership(len(values), not, func(i int) string { return w.value(t, values[i]) })
}

func membership(n int, not bool, value func(int) string) string {
	if n == 1 {
		if not {
			return " <> " + value(0)
		}
		return " = " + value(0)
	}
	var b strings.Builder
	if not {
		b.WriteString(" NOT")
	}
	b.WriteString(" IN (")
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(value(i))
	}
	return b.String() + ")"
}

func (w *writer) booleans(values []any, col Column, name string, not bool) string {
	var has [2]bool
	for _, v := range values {
		if b, ok := v.(bool); ok && b {
			has[1] = true
		} else {
			has[0] = true
		}
	}
	switch yes, no := has[1] != not, has[0] != not; {
	case yes && no:
		return w.present(col, name)
	case yes:
		return name + " = TRUE"
	case no:
		return name + " = FALSE"
	}
	return sqlFalse
}

var lowerUUID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// fit makes of a value what a column of the type can hold, and reports whether it
// can: nothing is equal to what cannot be there.
func (w *writer) fit(v any, t Type) (any, bool, error) {
	switch v := v.(type) {
	case string:
		switch t {
		case Integer:
			n, err := strconv.ParseInt(v, 10, 64)
			return n, err == nil && strconv.FormatInt(n, 10) == v, nil
		case UUID:
			return v, lowerUUID.MatchString(v), nil
		}
		return v, utf8.ValidString(v) && (w.d != PostgreSQL || !strings.Contains(v, "\x00")), nil
	case int64:
		if t == Seconds {
			return v / 1000, v%1000 == 0, nil
		}
		return v, true, nil
	}
	return nil, false, fmt.Errorf("%w: a value of type %T", ErrMapping, v)
}

// value is a placeholder for a value, as the type that the column has.
func (w *writer) value(t Type, v any) string {
	p := w.placeholder(v)
	switch {
	case t == Integer || t == Seconds || t == Milliseconds:
		return "CAST(" + p + " AS " + map[Dialect]string{PostgreSQL: "bigint", SQLite: "INTEGER", MySQL: "SIGNED"}[w.d] + ")"
	case w.d == PostgreSQL && t == UUID:
		return "CAST(" + p + " AS uuid)"
	case w.d == PostgreSQL:
		return "CAST(" + p + " AS text)"
	case w.d == MySQL:
		return bytesOf(p)
	}
	return p
}

func (w *writer) placeholder(v any) string {
	if w.d != PostgreSQL {
		w.args = append(w.args, v)
		return "?"
	}
	n, ok := w.numbers[v]
	if !ok {
		w.args = append(w.args, v)
		n = w.first + len(w.args) - 1
		w.numbers[v] = n
	}
	return "$" + strconv.Itoa(n)
}

// exact is a text that compares byte by byte, whatever the column's collation
// takes for equal.
func (w *writer) exact(name string) string {
	switch w.d {
	case PostgreSQL:
		// A type of its own, such as citext, has operators of its own; char(n) is
		// compared without the blanks that fill it, and matched with them.
		return "CAST(" + name + ` AS text) COLLATE "C"`
	case SQLite:
		// A column of numbers would take 01 for 1.
		return "CAST(" + name + " AS TEXT) COLLATE BINARY"
	}
	return bytesOf(name)
}

func bytesOf(text string) string { return "CAST(CONVERT(" + text + " USING utf8mb4) AS BINARY)" }

// like matches a pattern. SQLite reads texts up to a zero byte only, so rows that
// hold one are left out there.
func (w *writer) like(c policy.Condition, name string) string {
	not := ""
	if c.Op == policy.OpUnlike {
		not = "NOT "
	}
	var b strings.Builder
	for _, piece := range c.Pattern {
		switch {
		case piece == nil && w.d == SQLite:
			b.WriteByte('*')
		case piece == nil:
			b.WriteByte('%')
		case w.d == SQLite:
			b.WriteString(globbed.Replace(*piece))
		default:
			b.WriteString(liked.Replace(*piece))
		}
	}
	pattern := b.String()
	if !utf8.ValidString(pattern) || w.d != MySQL && strings.Contains(pattern, "\x00") {
		switch {
		case not == "" || !utf8.ValidString(pattern):
			return sqlFalse
		case w.d == SQLite:
			return "instr(" + name + ", char(0)) = 0"
		}
		return name + " IS NOT NULL"
	}
	if w.d == SQLite {
		return "(instr(" + name + ", char(0)) = 0 AND " + name + " " + not + "GLOB " + w.placeholder(pattern) + ")"
	}
	return w.exact(name) + " " + not + "LIKE " + w.value(Text, pattern) + " ESCAPE '!'"
}

var (
	globbed = strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]")
	liked   = strings.NewReplacer("%", "!%", "_", "!_", "!", "!!")
)

// quote writes an identifier. SQLite takes a name in double quotes that is no
// column for a text, so it is written as MySQL has it, which is always a name.
func (w *writer) quote(name string) string {
	q := "`"
	if w.d == PostgreSQL {
		q = `"`
	}
	return q + strings.ReplaceAll(name, ".", q+"."+q) + q
}
