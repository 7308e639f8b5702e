package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"pgregory.net/rapid"

	"github.com/cardea-id/cardea/internal/access/graph"
)

const quickSchema = `
entity Org;
entity Team in [Org] { lead?: User, size?: Long };
entity User in [Team, Org] { level?: Long, boss?: User, team?: Team, name?: String, flag?: Bool, @request mood?: String } tags String;
entity Doc in [Folder] { level?: Long, owner?: User, team?: Team, tags?: Set<String>, readers?: Set<User>, name?: String, flag?: Bool, made?: datetime, box?: { level?: Long, owner?: User } };
entity Folder in [Folder];
action view appliesTo { principal: User, resource: [Doc, User, Folder], context: { n?: Long, flag?: Bool, name?: String, now?: datetime, box?: { level?: Long } } };
`

func being(typ, id string) Entity { return Entity{Type: typ, ID: id} }

// commonExpressions are what people write.
var commonExpressions = []string{
	`resource has level && resource.level < 2`, `principal has level && resource has level && principal.level >= resource.level`, `resource has owner && resource.owner == principal`,
	`resource has owner && resource.owner has boss && resource.owner.boss == principal`, `resource has team && principal in resource.team`, `principal has team && principal.team == resource.team`,
	`resource has tags && resource.tags.contains("a")`, `resource has readers && resource.readers.contains(User::"a")`, `resource has flag && resource.flag`, `resource has name && resource.name like "a*"`,
	`context has n && context.n > 1`, `context has now && context.now > datetime("2024-01-01")`, `context has box && context.box has level && context.box.level == 1`, `principal in Team::"a"`,
	`resource in Folder::"b"`, `principal is User`, `resource is Doc`, `principal has mood && principal.mood == "a"`, `resource has box && resource.box has owner && resource.box.owner == principal`,
	`principal != resource`, `["a", "b"].contains(principal.name)`, `principal in Role::"viewer"`, `resource has made && resource.made < context.now`,
}

// drawExpr makes an expression that says, more often than not, something that is
// true or false, and often enough something that has no meaning at all.
func drawExpr(t *rapid.T, depth int) string {
	e := func() string { return drawExpr(t, depth-1) }
	x := func() string { return drawValue(t, depth) }
	kinds := 13
	if depth <= 0 {
		kinds = 9
	}
	if rapid.IntRange(0, 3).Draw(t, "common") > 0 && (depth <= 0 || rapid.Bool().Draw(t, "leaf")) {
		return rapid.SampledFrom(commonExpressions).Draw(t, "expression")
	}
	switch rapid.IntRange(0, kinds).Draw(t, "expression") {
	case 0:
		return x()
	case 1:
		return fmt.Sprintf("%s == %s", x(), x())
	case 2:
		return fmt.Sprintf("%s != %s", x(), x())
	case 3:
		return fmt.Sprintf("%s %s %s", x(), rapid.SampledFrom([]string{"<", "<=", ">", ">="}).Draw(t, "order"), x())
	case 4, 5:
		return fmt.Sprintf("%s has %s", x(), drawAttr(t))
	case 6:
		return fmt.Sprintf("%s in %s", x(), rapid.SampledFrom([]string{`Team::"a"`, `Org::"a"`, `Folder::"a"`, `[Team::"a", Org::"b"]`, `User::"a"`, x()}).Draw(t, "in"))
	case 7:
		return fmt.Sprintf("%s.contains(%s)", x(), x())
	case 8:
		return fmt.Sprintf("%s like %q", x(), rapid.SampledFrom([]string{"a*", "*", "a", ""}).Draw(t, "pattern"))
	case 9:
		return fmt.Sprintf("%s is %s", x(), rapid.SampledFrom([]string{"User", "Doc", "Team"}).Draw(t, "is"))
	case 10:
		return fmt.Sprintf("(%s) && (%s)", e(), e())
	case 11:
		return fmt.Sprintf("(%s) || (%s)", e(), e())
	case 12:
		return fmt.Sprintf("!(%s)", e())
	}
	return fmt.Sprintf("(if %s then %s else %s)", e(), e(), e())
}

func drawAttr(t *rapid.T) string {
	return rapid.SampledFrom([]string{"level", "owner", "team", "tags", "name", "flag", "box", "boss", "n", "readers", "unheard", "made", "now", "mood"}).Draw(t, "attribute")
}

func drawValue(t *rapid.T, depth int) string {
	switch rapid.IntRange(0, 7).Draw(t, "value") {
	case 0:
		return rapid.SampledFrom([]string{`1`, `"a"`, `true`, `false`, `User::"a"`, `Team::"a"`, `["a", "x"]`, `datetime("2026-11-28")`, `datetime("never")`, `[User::"a"]`, `9223372036854775807`,
			`9223372036854775807 + 1`, `{level: 1}`, `ip("127.0.0.1")`, `principal.level + 1`}).Draw(t, "literal")
	case 1:
		return "principal"
	case 2:
		return "resource"
	case 3, 4, 5:
		return rapid.SampledFrom([]string{"principal.", "resource.", "resource.", "context."}).Draw(t, "of") + drawAttr(t)
	case 6:
		return rapid.SampledFrom([]string{"resource.owner.", "principal.team.", "resource.box.", "context.box.", "resource.owner.boss."}).Draw(t, "of") + drawAttr(t)
	}
	if depth <= 0 {
		return "context"
	}
	return rapid.SampledFrom([]string{"principal.level", "resource.level", "context.n", "resource.owner", "resource.team", "resource.name"}).Draw(t, "common")
}

// stored is what is known of an entity: of the right type mostly, now and then not.
func drawStored(t *rapid.T) graph.Change {
	var c graph.Change
	ids := []string{"a", "b"}
	id := func() string { return rapid.SampledFrom(ids).Draw(t, "id") }
	odd := func() bool { return rapid.IntRange(0, 24).Draw(t, "odd") == 0 }
	values := map[string]func() any{
		"level": func() any { return rapid.Int64Range(0, 3).Draw(t, "level") }, "owner": func() any { return id() }, "boss": func() any { return id() }, "team": func() any { return id() }, "lead": func() any { return id() },
		"name": func() any { return id() }, "flag": func() any { return rapid.Bool().Draw(t, "flag") }, "mood": func() any { return id() }, "size": func() any { return int64(1) },
		"tags": func() any { return []any{id()} }, "readers": func() any { return []any{id()} }, "made": func() any { return "2026-11-28" },
		"box": func() any { return map[string]any{"level": int64(1), "owner": id()} },
	}
	has := []struct {
		typ   string
		names []string
	}{{"User", []string{"level", "boss", "team", "name", "flag", "mood"}}, {"Doc", []string{"level", "owner", "team", "tags", "readers", "name", "flag", "made", "box"}}, {"Team", []string{"lead", "size"}}}
	for _, h := range has {
		for _, name := range h.names {
			for _, i := range ids {
				if rapid.IntRange(0, 2).Draw(t, "set") > 0 {
					v := values[name]()
					if odd() {
						v = map[string]any{"odd": true}
					}
					c.Set = append(c.Set, graph.Attribute{Entity: being(h.typ, i), Name: name, Value: v})
				}
			}
		}
	}
	relations := []graph.Tuple{
		{Subject: being("User", "a"), Relation: graph.Member, Object: being("Team", "a")}, {Subject: being("User", "b"), Relation: graph.Member, Object: being("Team", "b")},
		{Subject: being("Team", "a"), Relation: graph.Member, Object: being("Org", "a")}, {Subject: being("Team", "b"), Relation: graph.Member, Object: being("Team", "a")},
		{Subject: being("Doc", "a"), Relation: graph.Parent, Object: being("Folder", "a")}, {Subject: being("Folder", "a"), Relation: graph.Parent, Object: being("Folder", "b")},
		{Subject: being("User", "a"), Relation: graph.Member, Object: being("Strange", "a")}, {Subject: being("Strange", "a"), Relation: graph.Member, Object: being("Org", "b")},
		{Subject: being("User", "a"), Relation: "viewer", Object: being("Folder", "b")},
	}
	for _, r := range relations {
		if rapid.IntRange(0, 3).Draw(t, "holds") > 0 {
			c.Add = append(c.Add, r)
		}
	}
	return c
}

// PD-03: whatever is judged without Cedar, Cedar would judge alike and without an
// error. Conditions here are not even validated, so that what a schema forbids is
// tried, too.
func TestWhatIsJudgedQuicklyIsWhatCedarSays(t *testing.T) {
	const heads = 4
	tried, quick, sure, yes := 0, 0, 0, 0
	check := func(t *rapid.T) {
		set, err := Compile(Source{Schema: File{"schema.cedarschema", []byte(quickSchema)}, Roles: Roles{"roles.yaml", []RoleType{{Type: "Folder", Roles: []Role{{Name: "viewer"}}}}}})
		if err != nil {
			t.Fatal(err)
		}
		type both struct {
			r *rule
			p *cedar.Policy
		}
		var rules []both
		for range heads {
			var text strings.Builder
			text.WriteString("permit (principal, action, resource)")
			for range rapid.IntRange(1, 2).Draw(t, "conditions") {
				fmt.Fprintf(&text, " %s { %s }", rapid.SampledFrom([]string{"when", "when", "unless"}).Draw(t, "when"), drawExpr(t, 2))
			}
			list, err := cedar.NewPolicyListFromBytes("", []byte(text.String()+";"))
			if err != nil {
				return // such as "context.n in context" where the grammar wants brackets
			}
			r := &rule{permit: true, text: (*ast.Policy)(list[0].AST()), context: true}
			r.compile(set)
			rules = append(rules, both{r, list[0]})
		}
		g, err := graph.Empty().Apply(drawStored(t))
		if err != nil {
			t.Fatal(err)
		}
		snap := NewSnapshot(set, g, 1)
		q := &Question{Subject: being("User", rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "subject")), Action: "view", At: time.UnixMilli(1_700_000_000_000),
			Resource: rapid.SampledFrom([]Entity{being("Doc", "a"), being("Doc", "b"), being("User", "a"), being("Folder", "a"), being("Doc", "c")}).Draw(t, "resource")}
		if rapid.Bool().Draw(t, "context") {
			q.Context = Properties{"n": int64(2), "flag": true, "name": "a", "box": map[string]any{"level": int64(1)}}
		}
		if rapid.Bool().Draw(t, "mood") {
			q.SubjectProperties = Properties{"mood": "a"}
		}
		v, err := snap.look(q)
		defer v.done()
		if err != nil {
			t.Fatal(err)
		}
		p := *v.planFor(q.Resource.Type)
		p.asksContext = true
		if err := v.about(&p, q.Resource); err != nil {
			t.Fatal(err)
		}
		for _, b := range rules {
			v.climbs, v.err = true, nil
			clear(v.seen)
			ok, diag := cedar.Authorize(only{seq: func(yield func(cedar.PolicyID, *cedar.Policy) bool) { yield("", b.p) }}, v, v.request)
			failed := len(diag.Errors) > 0 || v.err != nil
			show := func() string {
				return fmt.Sprintf("%s\nof %+v: Cedar says %v %+v %v", b.p.MarshalCedar(), q, ok, diag.Errors, v.err)
			}
			said := show()
			tried++
			is, certain := false, false
			if b.r.quick != nil {
				quick++
				is, certain = b.r.quick(v)
			}
			// Where the graph answers by itself, nothing is asked of what it passes, so
			// that only Cedar by itself may have seen something that it must not.
			full, err := v.fully(b.r)
			if !failed && (err != nil || full != bool(ok)) || len(diag.Errors) > 0 && err == nil {
				t.Fatalf("with variants it is %v %v: %s", full, err, said)
			}
			if certain {
				if len(diag.Errors) > 0 || err != nil || is != full || !failed && is != bool(ok) {
					t.Fatalf("quickly it is %v, with variants %v %v: %s", is, full, err, said)
				}
				if sure++; is {
					yes++
				}
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			check(t)
		}
	})
	t.Logf("%d conditions, %d of them with a quick test, which was sure of %d and said yes to %d", tried, quick, sure, yes)
	if sure*6 < tried || yes*20 < sure || yes*20 > sure*19 {
		t.Error("such conditions show little")
	}
}
