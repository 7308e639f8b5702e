package folder

import (
	yaml "go.yaml.in/yaml/v4"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// readRoles reads roles.yaml: for each type of resource its roles, each with
// the roles it implies and the actions it permits.
//
//	document:
//	  editor: {implies: [viewer], permissions: [edit]}
//	  viewer: {permissions: [read]}
//
// Whether what is named there exists is asked by the compiler, with the schema.
func readRoles(f File, problems *Problems) policy.Roles {
	roles := policy.Roles{File: f.Path}
	r := reader{f.Path, problems}
	doc := r.document(f.Text)
	if doc == nil {
		return roles
	}
	r.pairs(doc, "the file", func(k, v *yaml.Node) {
		t := policy.RoleType{Type: k.Value, Line: k.Line, Column: k.Column}
		r.pairs(v, "type "+quoted(k.Value), func(k, v *yaml.Node) {
			role := policy.Role{Name: k.Value, Line: k.Line, Column: k.Column}
			r.fields(v, "role "+quoted(k.Value), map[string]func(*yaml.Node){
				"implies":     func(n *yaml.Node) { role.Implies = r.words(n, "implies") },
				"permissions": func(n *yaml.Node) { role.Permissions = r.words(n, "permissions") },
			})
			t.Roles = append(t.Roles, role)
		})
		roles.Types = append(roles.Types, t)
	})
	return roles
}
