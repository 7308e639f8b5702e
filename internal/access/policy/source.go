package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Source is a policy folder, read but not judged.
type Source struct {
	Schema   File   // schema.cedarschema
	Policies []File // policies/*.cedar
	Roles    Roles  // roles.yaml
	Hash     string // names this source in answers; empty: made from the texts
}

// File is a text with the name under which errors speak of it.
type File struct {
	Name string
	Text []byte
}

// Roles is roles.yaml: for each type of resource the roles that can be held on
// it.
type Roles struct {
	File  string
	Types []RoleType
}

// RoleType is a type of resource with its roles.
type RoleType struct {
	Type         string
	Line, Column int
	Roles        []Role
}

// Role is what can be held on a resource. Who holds it holds what it implies as
// well, there and on all that is inside, and may do the actions in Permissions.
type Role struct {
	Name         string
	Implies      []string
	Permissions  []string
	Line, Column int
}

// Problem is one thing that is wrong with a source.
type Problem struct {
	File         string
	Line, Column int
	Policy       string // its @id, if it is about one
	Text         string
}

// Error says file, line, column and what is wrong there.
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, max(p.Line, 1), max(p.Column, 1))
	}
	if p.Policy != "" {
		fmt.Fprintf(&b, "policy %q: ", p.Policy)
	}
	return b.String() + p.Text
}

// Problems is everything that is wrong with a source, in order.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

func (ps *Problems) add(file string, line, column int, format string, args ...any) {
	*ps = append(*ps, Problem{File: file, Line: line, Column: column, Text: fmt.Sprintf(format, args...)})
}

func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.CompactFunc(ps, func(a, b Problem) bool { return a == b })
}
