package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

const (
	people, teams, departments, divisions = 10_000, 1_000, 100, 10
	documents, folders, projects, spaces  = 10_000, 1_000, 100, 10
	bindings                              = 1_000
)

const schema = `
entity Division;
entity Department in [Division];
entity Team in [Department];
entity User in [Team] { clearance: Long, suspended: Bool, department: String };
entity Workspace;
entity Project in [Workspace];
entity Folder in [Project];
entity Document in [Folder] { level: Long, public: Bool, locked: Bool, owner: User, department: String };
action view, edit, remove appliesTo { principal: User, resource: Document, context: { acr?: String } };
`

const policies = `
@id("public") permit (principal, action == Action::"view", resource) when { resource.public };
@id("own") permit (principal, action in [Action::"view", Action::"edit"], resource) when { resource.owner == principal };
@id("department") permit (principal, action == Action::"view", resource) when { resource.department == principal.department && resource.level < 2 };
@id("suspended") forbid (principal, action, resource) when { principal.suspended };
@id("clearance") forbid (principal, action, resource) when { resource.level > principal.clearance };
@id("locked") forbid (principal, action in [Action::"edit", Action::"remove"], resource) when { resource.locked } unless { principal in Role::"owner" };
@id("careful") forbid (principal, action == Action::"remove", resource) unless { context has acr && context.acr == "aal2" };
`

// stricter is policies with another for every kind of question.
var stricter = strings.Replace(policies, "resource.level > principal.clearance", "resource.level >= principal.clearance", 1)

// rolesFile is roles as a folder has them.
const rolesFile = `
Document:
  viewer: {permissions: [view]}
  editor: {implies: [viewer], permissions: [edit]}
  owner: {implies: [editor], permissions: [remove]}
Folder: {viewer: {}, editor: {implies: [viewer]}, owner: {implies: [editor]}}
Project: {viewer: {}, editor: {implies: [viewer]}, owner: {implies: [editor]}}
Workspace: {viewer: {}, editor: {implies: [viewer]}, owner: {implies: [editor]}}
`

func source() policy.Source {
	return policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(schema)},
		Policies: []policy.File{{Name: "bench.cedar", Text: []byte(policies)}}, Roles: roles()}
}

// ofRoles is policies by which roles alone decide, where nothing but relations is known.
func ofRoles() policy.Source {
	s := source()
	s.Policies = nil
	return s
}

func roles() policy.Roles {
	var r policy.Roles
	for _, typ := range []string{"Document", "Folder", "Project", "Workspace"} {
		may := func(action string) []string {
			if typ == "Document" {
				return []string{action}
			}
			return nil
		}
		r.Types = append(r.Types, policy.RoleType{Type: typ, Roles: []policy.Role{
			{Name: "viewer", Permissions: may("view")},
			{Name: "editor", Implies: []string{"viewer"}, Permissions: may("edit")},
			{Name: "owner", Implies: []string{"editor"}, Permissions: may("remove")},
		}})
	}
	return r
}

// world is the workload as plain data, for every engine the same.
type world struct {
	tuples []graph.Tuple
	attrs  []graph.Attribute
	asked  []policy.Question
}

func entity(typ string, n int) policy.Entity {
	return policy.Entity{Type: typ, ID: fmt.Sprintf("%s-%06d", typ[:3], n)}
}

func workload(seed uint64) world {
	r := rand.New(rand.NewPCG(seed, 1))
	var w world
	put := func(s policy.Entity, relation string, o policy.Entity) {
		w.tuples = append(w.tuples, graph.Tuple{Subject: s, Relation: relation, Object: o})
	}
	set := func(e policy.Entity, name string, v any) {
		w.attrs = append(w.attrs, graph.Attribute{Entity: e, Name: name, Value: v})
	}
	for i := range people {
		u := entity("User", i)
		put(u, graph.Member, entity("Team", i%teams))
		if r.IntN(4) == 0 {
			put(u, graph.Member, entity("Team", r.IntN(teams)))
		}
		set(u, "clearance", int64(1+r.IntN(4)))
		set(u, "suspended", r.IntN(100) == 0)
		set(u, "department", fmt.Sprint("dep-", i%departments))
	}
	for i := range teams {
		put(entity("Team", i), graph.Member, entity("Department", i%departments))
	}
	for i := range departments {
		put(entity("Department", i), graph.Member, entity("Division", i%divisions))
	}
	for i := range documents {
		d := entity("Document", i)
		put(d, graph.Parent, entity("Folder", i%folders))
		set(d, "level", int64(r.IntN(4)))
		set(d, "public", r.IntN(20) == 0)
		set(d, "locked", r.IntN(10) == 0)
		set(d, "owner", entity("User", r.IntN(people)).ID)
		set(d, "department", fmt.Sprint("dep-", r.IntN(departments)))
	}
	for i := range folders {
		put(entity("Folder", i), graph.Parent, entity("Project", i%projects))
	}
	for i := range projects {
		put(entity("Project", i), graph.Parent, entity("Workspace", i%spaces))
	}
	who := []func() policy.Entity{
		func() policy.Entity { return entity("User", r.IntN(people)) },
		func() policy.Entity { return entity("Team", r.IntN(teams)) },
		func() policy.Entity { return entity("Department", r.IntN(departments)) },
		func() policy.Entity { return entity("Division", r.IntN(divisions)) },
	}
	where := []func() policy.Entity{
		func() policy.Entity { return entity("Document", r.IntN(documents)) },
		func() policy.Entity { return entity("Folder", r.IntN(folders)) },
		func() policy.Entity { return entity("Project", r.IntN(projects)) },
		func() policy.Entity { return entity("Workspace", r.IntN(spaces)) },
	}
	for range bindings {
		put(who[r.IntN(4)](), []string{"viewer", "editor", "owner"}[r.IntN(3)], where[r.IntN(4)]())
	}
	for range 20_000 {
		w.asked = append(w.asked, policy.Question{
			Subject: entity("User", r.IntN(people)), Resource: entity("Document", r.IntN(documents)),
			Action:  []string{"view", "view", "edit", "remove"}[r.IntN(4)],
			Context: policy.Properties{"acr": []string{"aal1", "aal2"}[r.IntN(2)]},
			At:      time.UnixMilli(1_800_000_000_000),
		})
	}
	return w
}

func (w world) snapshot() (*policy.Snapshot, error) {
	set, err := policy.Compile(source())
	if err != nil {
		return nil, err
	}
	b := graph.NewBuilder()
	for _, t := range w.tuples {
		if err := b.Add(t); err != nil {
			return nil, err
		}
	}
	for _, a := range w.attrs {
		if err := b.Set(a); err != nil {
			return nil, err
		}
	}
	g, err := b.Graph()
	if err != nil {
		return nil, err
	}
	return policy.NewSnapshot(set, g, 1), nil
}
