package api_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/admin/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
)

// The built-in policies are made from the table of roles and from the operations.
// After a change of either: go test ./internal/admin/api -run OpenAPI -update
func TestOpenAPIOperationsAreActionsOfTheBuiltInPolicies(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	dir := filepath.Join("..", "..", "access")
	schema, roles := builtinSchema(e.API.Operations()), builtinRoles()
	current(t, filepath.Join(dir, "builtin", "schema.cedarschema"), schema)
	current(t, filepath.Join(dir, "builtin", "roles.cedar"), roles)
	if *update {
		return // what is compiled in is what was
	}
	// They say what the table says: for every role and every operation.
	set, err := builtin.Alone()
	if err != nil {
		t.Fatal(err)
	}
	snap := policy.NewSnapshot(set, graph.Empty(), 0)
	for _, o := range e.API.Operations() {
		types, _ := api.About(o)
		for _, role := range append(operator.Roles(), "nobody", "") {
			for _, in := range []string{realm.Default, "other"} {
				for _, subject := range []string{"user", "service", "workload", "agent"} {
					for _, resource := range types {
						a := policy.Decide(snap, &policy.Question{Subject: policy.Entity{Type: subject, ID: "x"}, Action: o.ID, Resource: policy.Entity{Type: resource, ID: "y"},
							Context: policy.Properties{"role": string(role), "realm": in}, At: time.Unix(1_800_000_000, 0)})
						if want := role.May(o.Permission) && (!o.Realms || in == realm.Default); a.Allowed != want {
							t.Errorf("%s of realm %s does %s to %s: policies say %v, the table %v: %v", role, in, o.ID, resource, a.Allowed, want, a.Reasons)
						}
					}
				}
			}
		}
	}
}

func builtinSchema(operations []api.Operation) []byte {
	var b bytes.Buffer
	b.WriteString(`// What Cardea's own administration is asked. Made from the operations of the admin
// API: go test ./internal/admin/api -run OpenAPI -update

entity group in [group, organization] = {
  kind?: String,
  status?: String
};
entity organization in [group, organization] = {
  kind?: String,
  status?: String
};
entity user, service, workload, agent in [group, organization] = {
  kind?: String,
  status?: String,
  owner?: String
};

namespace Cardea {
  // acr, amr and auth_time are missing for programs. part is the second id of the
  // address, such as the member in /groups/{id}/members/{member}.
  type Circumstances = {
    realm: String,
    role: String,
    client?: String,
    ip?: ipaddr,
    acr?: String,
    amr?: Set<String>,
    auth_time?: datetime,
    now: datetime,
    part?: String
  };

`)
	types, groups := map[string]bool{}, map[string]bool{}
	for _, o := range operations {
		of, _ := api.About(o)
		for _, name := range of {
			if short, ours := strings.CutPrefix(name, "Cardea::"); ours {
				types[short] = true
			}
		}
		for _, g := range api.Groups(o) {
			groups[g] = true
		}
	}
	for _, r := range operator.Roles() { // also permissions that no operation asks for by itself
		for _, p := range r.Permissions() {
			groups[string(p)] = true
		}
	}
	fmt.Fprintf(&b, "  entity %s;\n\n", strings.Join(slices.Sorted(maps.Keys(types)), ", "))
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		fmt.Fprintf(&b, "  action %q;\n", g)
	}
	sorted := slices.SortedFunc(slices.Values(operations), func(a, b api.Operation) int { return strings.Compare(a.ID, b.ID) })
	for _, o := range sorted {
		of, _ := api.About(o)
		for i := range of {
			of[i] = strings.TrimPrefix(of[i], "Cardea::")
		}
		in := make([]string, 0, 4)
		for _, g := range api.Groups(o) {
			in = append(in, fmt.Sprintf("%q", g))
		}
		fmt.Fprintf(&b, "\n  // %s\n  action %q in [%s] appliesTo {\n    principal: [user, service, workload, agent],\n    resource: [%s],\n    context: Circumstances\n  };\n",
			o.Summary, o.ID, strings.Join(in, ", "), strings.Join(of, ", "))
	}
	b.WriteString("}\n")
	return b.Bytes()
}

func builtinRoles() []byte {
	var b bytes.Buffer
	b.WriteString(`// What each role of operators may do. Made from the table of package operator:
// go test ./internal/admin/api -run OpenAPI -update
`)
	for _, r := range operator.Roles() {
		fmt.Fprintf(&b, "\n@id(\"Cardea::role:%s\")\n@reason(\"the role %s permits it\")\npermit (\n  principal,\n  action in [\n", r, r)
		all := r.Permissions()
		slices.Sort(all)
		for i, p := range all {
			comma := ","
			if i == len(all)-1 {
				comma = ""
			}
			fmt.Fprintf(&b, "    Cardea::Action::%q%s\n", string(p), comma)
		}
		fmt.Fprintf(&b, "  ],\n  resource\n)\nwhen { context.role == %q };\n", string(r))
	}
	b.WriteString(`
@id("Cardea::other-realms")
@reason("only operators of the default realm manage realms")
forbid (
  principal,
  action in Cardea::Action::"other-realms",
  resource
)
unless { context.realm == "default" };
`)
	return b.Bytes()
}

// What an operation is about is said in one way only, and every parameter that
// could name it is one of its path.
func TestEveryOperationIsAboutSomething(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	for _, o := range e.API.Operations() {
		types, param := api.About(o)
		if len(types) == 0 || param != "" && !strings.Contains(o.Path, "{"+param+"}") {
			t.Errorf("%s: %v %q", o.ID, types, param)
		}
		if reads := slices.Contains(api.Groups(o), "reads"); reads != (o.Method == http.MethodGet) {
			t.Errorf("%s reads: %v", o.ID, reads)
		}
	}
}
