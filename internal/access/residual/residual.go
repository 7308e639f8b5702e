// Package residual turns what is left of a decision into a condition on the rows
// of an application's own table: a parameterised WHERE in the words of PostgreSQL,
// SQLite or MySQL, and the same as a tree in JSON. It is pure: package policy
// decides, and nothing here asks a database.
//
// A condition is never wider than the decision. Only AND and OR join its parts,
// and a part that compares a missing value is not true, so that SQL's third truth
// value can hide a row and never show one. See docs/decisions/0109.
package residual

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Dialect is whose SQL is written.
type Dialect string

// The dialects.
const (
	PostgreSQL Dialect = "postgresql"
	SQLite     Dialect = "sqlite"
	MySQL      Dialect = "mysql"
)

// Dialects lists them.
func Dialects() []Dialect { return []Dialect{PostgreSQL, SQLite, MySQL} }

// Type says how a column holds its values.
type Type string

// The types of columns.
const (
	Text         Type = "text"     // strings and ids that are the same byte by byte
	Integer      Type = "integer"  // whole numbers, and ids that are decimal numbers
	UUID         Type = "uuid"     // ids that are UUIDs in lower case
	Boolean      Type = "boolean"  // TRUE and FALSE
	Seconds      Type = "epoch_s"  // times as whole seconds since 1970
	Milliseconds Type = "epoch_ms" // times as milliseconds since 1970
	types             = "text, integer, uuid, boolean, epoch_s or epoch_ms"
)

// Column says where something lies. Name is a column, or a table or alias and a
// column with a dot between; every part is quoted.
type Column struct {
	Name string
	Type Type // "": what fits the schema: text, integer, boolean or epoch_ms
}

// Mapping says which columns hold what a policy asks about.
type Mapping struct {
	ID         Column
	Attributes map[string]Column // by the attribute of the schema
	Parents    map[string]Column // by the type of the parent; the column holds its id
}

// ErrMapping is wrapped by what is wrong with a mapping.
var ErrMapping = fmt.Errorf("the mapping of columns is wrong")

// The bounds of a mapping.
const (
	MaxColumns = 200
	maxPart    = 63 // bytes of an identifier, in every one of the dialects
)

var part = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*$`)

// Check says what is wrong with the mapping, whatever the policies are.
func (m Mapping) Check() error {
	if n := 1 + len(m.Attributes) + len(m.Parents); n > MaxColumns {
		return fmt.Errorf("%w: %d columns; at most %d can be", ErrMapping, n, MaxColumns)
	}
	if err := m.ID.check("id"); err != nil {
		return err
	}
	for _, name := range sorted(m.Attributes) {
		if err := m.Attributes[name].check("attribute " + name); err != nil {
			return err
		}
	}
	for _, name := range sorted(m.Parents) {
		if err := m.Parents[name].check("parent " + name); err != nil {
			return err
		}
	}
	return nil
}

func (c Column) check(what string) error {
	parts := strings.Split(c.Name, ".")
	if len(parts) > 3 {
		return fmt.Errorf("%w: %s: at most schema, table and column", ErrMapping, what)
	}
	for _, p := range parts {
		if len(p) > maxPart || !part.MatchString(p) {
			return fmt.Errorf("%w: %s: a column is named by letters, digits, _ and $, at most %d, as in owner_id or d.owner_id", ErrMapping, what, maxPart)
		}
	}
	if c.Type != "" && !slices.Contains([]Type{Text, Integer, UUID, Boolean, Seconds, Milliseconds}, c.Type) {
		return fmt.Errorf("%w: %s: the type of a column is %s", ErrMapping, what, types)
	}
	return nil
}

// Rows is what the mapped table says of a resource.
func (m Mapping) Rows() policy.Rows {
	return policy.Rows{Attributes: sorted(m.Attributes), Parents: sorted(m.Parents)}
}

func (m Mapping) column(f policy.Field) (Column, error) {
	c, ok := m.ID, f.Kind == policy.FieldID
	switch f.Kind {
	case policy.FieldAttribute:
		c, ok = m.Attributes[f.Name]
	case policy.FieldParent:
		c, ok = m.Parents[f.Name]
	}
	if !ok {
		return c, fmt.Errorf("%w: nothing is mapped to %s %s", ErrMapping, f.Kind, f.Name)
	}
	fits := map[policy.ValueKind][]Type{policy.ValueID: {Text, Integer, UUID}, policy.ValueString: {Text}, policy.ValueLong: {Integer},
		policy.ValueBool: {Boolean}, policy.ValueTime: {Milliseconds, Seconds}}[f.Of]
	if c.Type == "" {
		c.Type = fits[0]
	}
	if !slices.Contains(fits, c.Type) {
		return c, fmt.Errorf("%w: %s %s is a %s, which a column of type %s cannot hold", ErrMapping, f.Kind, f.Name, f.Of, c.Type)
	}
	return c, nil
}

func sorted(m map[string]Column) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
