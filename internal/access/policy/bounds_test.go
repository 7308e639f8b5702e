package policy_test

import (
	"fmt"
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

// What is inside too much is refused alike, asked about by itself, among many, or as
// whoever asks about rows.
func TestTooManyWaysUpAreRefusedAlike(t *testing.T) {
	set, err := Compile(Source{Schema: File{Name: "schema.cedarschema", Text: []byte(`
entity user in [folder];
entity folder in [folder];
action read appliesTo { principal: user, resource: folder };
`)}, Policies: []File{{Name: "a.cedar", Text: []byte(`@id("public") permit (principal == user::"eve", action, resource);`)}},
		Roles: Roles{File: "roles.yaml", Types: []RoleType{{Type: "folder", Roles: []Role{{Name: "viewer", Permissions: []string{"read"}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	e := func(typ, id string) Entity { return Entity{Type: typ, ID: id} }
	// Each is inside thirty of the layer above; a search meets the layers from above, and
	// few are new to it at each step.
	const layers, wide, up = 11, 300, 30
	at := func(layer, i int) Entity { return e("folder", fmt.Sprintf("%02d-%03d", layer, i%wide)) }
	b := graph.NewBuilder()
	add := func(s Entity, relation string, o Entity) {
		if err := b.Add(graph.Tuple{Subject: s, Relation: relation, Object: o}); err != nil {
			t.Fatal(err)
		}
	}
	for layer := range layers {
		for i := range wide {
			for k := 0; k < up && (layer < layers-1 || i == 7); k++ {
				add(at(layer+1, i), graph.Parent, at(layer, i*up+k))
			}
		}
	}
	for i := range wide {
		add(e("user", "ann"), "viewer", at(0, i))
	}
	add(e("user", "bob"), graph.Member, at(layers, 7))
	add(e("user", "bob"), "viewer", e("folder", "x"))
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	s := NewSnapshot(set, g, 1)
	for _, subject := range []string{"ann", "eve"} {
		q := Question{Subject: e("user", subject), Action: "read", Resource: e("folder", ""), At: time.UnixMilli(1)}
		found := map[string]bool{}
		for p := (Page{Size: MaxPage}); ; {
			f, err := Resources(s, &q, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range f.Entities {
				found[x.ID] = true
			}
			if p.After = f.Next; f.Next == "" {
				break
			}
		}
		for _, layer := range []int{0, 5, layers - 1, layers} {
			q.Resource = at(layer, 7)
			a := Decide(s, &q)
			if a.Allowed != (layer < layers) || a.Allowed != found[q.Resource.ID] {
				t.Errorf("%s in layer %d: alone %v, among many %v", subject, layer, a.Allowed, found[q.Resource.ID])
			}
			if !a.Allowed && !strings.Contains(a.Reasons[0].Error, "ways lead up") {
				t.Errorf("%s in layer %d: %+v", subject, layer, a)
			}
		}
	}
	q := Question{Subject: e("user", "bob"), Action: "read", Resource: e("folder", "x"), At: time.UnixMilli(1)}
	if a := Decide(s, &q); a.Allowed || !strings.Contains(a.Reasons[0].Error, "ways lead up") {
		t.Errorf("bob: %+v", a)
	}
	if r, err := Partial(s, &q, Rows{}); err != nil || r.When.Op != OpFalse || !strings.Contains(r.Reason, "ways lead up") {
		t.Errorf("bob's rows: %+v %v", r, err)
	}
}
