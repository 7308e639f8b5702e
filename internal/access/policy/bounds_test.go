package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	. "github.com/cardea-id/cardea/internal/access/policy"
)

// Cedar's parser goes as deep as a text is nested, which could take all memory
// there is.
func TestDeeplyNestedTextsAreNotParsed(t *testing.T) {
	schema, deep := "entity user; action read appliesTo { principal: user, resource: user };", 60_000
	compile := func(schema, body string) error {
		_, err := Compile(Source{Schema: File{Name: "schema.cedarschema", Text: []byte(schema)},
			Policies: []File{{Name: "a.cedar", Text: []byte(`@id("a") permit (principal, action, resource) when {` + body + ` };`)}}})
		return err
	}
	for name, err := range map[string]error{
		"brackets":   compile(schema, strings.Repeat("(", deep)+"true"+strings.Repeat(")", deep)),
		"open":       compile(schema, strings.Repeat("(", deep)),
		"sets":       compile(schema, strings.Repeat("[", deep)+"1"+strings.Repeat("]", deep)+" == [1]"),
		"records":    compile(schema, strings.Repeat("{a:", deep)+"1"+strings.Repeat("}", deep)+" == {}"),
		"hidden":     compile(schema, "\"\n"+strings.Repeat("(", deep)),
		"types":      compile("entity user { a: "+strings.Repeat("Set<", deep)+"Long"+strings.Repeat(">", deep)+" };", "true"),
		"attributes": compile("entity user "+strings.Repeat("{a: ", deep)+"Long"+strings.Repeat("}", deep)+";", "true"),
	} {
		if err == nil || !strings.Contains(err.Error(), "brackets stand in one another") {
			t.Errorf("%s: %.200v", name, err)
		}
	}
	if err := compile(schema, strings.Repeat("(", 50)+"true"+strings.Repeat(")", 50)+" // "+strings.Repeat("(", 200)+"\n && \"\\\""+strings.Repeat("[", 200)+`" != "" && 1 < 2`+strings.Repeat(" && 1 < 2", 200)); err != nil {
		t.Errorf("an ordinary text: %.200v", err)
	}
}

// Where only an excerpt of the facts was read, what was not read is no reason for a
// yes.
func TestAnExcerptHidesNothing(t *testing.T) {
	set, err := Compile(Source{Schema: File{Name: "schema.cedarschema", Text: []byte(`
entity group in [group];
entity user in [group] { boss?: user };
entity folder { locked?: Bool };
entity doc { folder?: folder, owner?: user, team?: group };
action read, write, share appliesTo { principal: user, resource: doc };
`)}, Policies: []File{{Name: "a.cedar", Text: []byte(`
@id("all") permit (principal, action, resource);
@id("locked") forbid (principal, action == Action::"read", resource) when { resource has folder && resource.folder has locked && resource.folder.locked };
@id("banned") forbid (principal, action == Action::"write", resource) when { resource has owner && resource.owner in group::"banned" };
@id("self") forbid (principal, action == Action::"share", resource) unless { resource has owner && resource has team && principal in resource.team };
`)}}, Roles: Roles{File: "roles.yaml", Types: []RoleType{{Type: "doc", Roles: []Role{{Name: "keeper"}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	e := func(typ, id string) Entity { return Entity{Type: typ, ID: id} }
	about := []graph.Attribute{{Entity: e("doc", "1"), Name: "folder", Value: "f"}, {Entity: e("doc", "1"), Name: "owner", Value: "bob"}, {Entity: e("doc", "1"), Name: "team", Value: "all"}}
	mine := []graph.Tuple{{Subject: e("user", "ann"), Relation: graph.Member, Object: e("group", "staff")}, {Subject: e("group", "staff"), Relation: graph.Member, Object: e("group", "all")},
		{Subject: e("user", "ann"), Relation: "keeper", Object: e("doc", "1")}}
	whole, err := graph.Empty().Apply(graph.Change{Set: append(about, graph.Attribute{Entity: e("folder", "f"), Name: "locked", Value: true}),
		Add: append(mine, graph.Tuple{Subject: e("user", "bob"), Relation: graph.Member, Object: e("group", "banned")})})
	if err != nil {
		t.Fatal(err)
	}
	part, err := graph.Empty().Apply(graph.Change{Set: about, Add: mine})
	if err != nil {
		t.Fatal(err)
	}
	for action, want := range map[string]bool{"read": false, "write": false, "share": true} {
		q := &Question{Subject: e("user", "ann"), Action: action, Resource: e("doc", "1"), At: time.UnixMilli(1)}
		if a := Decide(NewSnapshot(set, whole, 1), q); a.Allowed != want {
			t.Errorf("%s on all facts: %+v", action, a)
		}
		if a := Decide(NewSnapshot(set, part, 1).Excerpt(), q); a.Allowed != want || !want && a.Reasons[0].Error == "" {
			t.Errorf("%s on an excerpt: %+v", action, a)
		}
		if a := Decide(NewSnapshot(set, part, 1), q); !a.Allowed {
			t.Errorf("%s: the excerpt says nothing without being called one: %+v", action, a)
		}
	}
}

// Whoever holds the facts about some types of resources only needs those that their
// policies name, too: else a forbid would find nothing there.
func TestWhatPoliciesNameBelongsToTheirResources(t *testing.T) {
	set, err := Compile(Source{Schema: File{Name: "schema.cedarschema", Text: []byte(`
entity user;
entity switch { off?: Bool };
entity doc;
entity other;
action read appliesTo { principal: user, resource: doc };
action turn appliesTo { principal: user, resource: [switch, other] };
`)}, Policies: []File{{Name: "a.cedar", Text: []byte(`
@id("off") forbid (principal, action, resource is doc) when { switch::"main" has off && switch::"main".off };
@id("turn") permit (principal, action, resource == other::"x");
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Around([]string{"doc"}); !slices.Contains(got, "switch") || slices.Contains(got, "other") {
		t.Errorf("around documents are %q", got)
	}
}
