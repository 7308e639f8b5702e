// Package builtin is what Cardea's own administration is asked: a schema of its
// operations and the policies that its roles are, in the language of everybody
// else's policies. Both are made from the one table of roles and the operations of
// the admin API, and are here to be read; a realm adds policies that forbid.
package builtin

import (
	_ "embed"
	"errors"
	"strings"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Namespace is Cardea's own: nobody else declares, names or writes down anything
// in it.
const Namespace = "Cardea"

// The names under which the files are shown.
const (
	folder     = "built-in/"
	SchemaFile = folder + "schema.cedarschema"
	RolesFile  = folder + "roles.cedar"
)

//go:embed schema.cedarschema
var schema string

//go:embed roles.cedar
var roles string

// Reserved reports whether a name is in Cardea's namespace, or is its name.
func Reserved(name string) bool {
	return name == Namespace || strings.HasPrefix(name, Namespace+"::")
}

// Files are the schema and the policies.
func Files() []policy.File {
	return []policy.File{{Name: SchemaFile, Text: []byte(schema)}, {Name: RolesFile, Text: []byte(roles)}}
}

// Compile makes the policies ready, with those that a realm adds. Those can only
// forbid: what a role may do at most is its row in the table. The error is
// policy.Problems.
func Compile(own []policy.File) (*policy.Set, error) {
	files := Files()
	set, err := policy.Compile(policy.Source{Schema: files[0], Policies: append(files[1:], own...)})
	if err != nil {
		return nil, err
	}
	var wrong policy.Problems
	for _, r := range set.Rules() {
		problem := func(text string) {
			wrong = append(wrong, policy.Problem{File: r.File, Line: r.Line, Column: r.Column, Policy: r.ID, Text: text})
		}
		switch {
		case strings.HasPrefix(r.File, folder):
		case r.Permits:
			problem("a policy about Cardea's own operations can only forbid: what a role may do at most stands in the built-in table; write forbid (…) unless {…}")
		case Reserved(r.ID):
			problem("ids that begin with Cardea:: belong to the built-in policies")
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return set, nil
}

// Alone is the built-in policies without those of any realm. They compile, since
// a test compiles them.
func Alone() (*policy.Set, error) {
	set, err := Compile(nil)
	if err != nil {
		return nil, errors.Join(errors.New("the built-in policies do not compile"), err)
	}
	return set, nil
}
