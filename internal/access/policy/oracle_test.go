package policy_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"pgregory.net/rapid"

	"github.com/cardea-id/cardea/internal/access/graph"
	. "github.com/cardea-id/cardea/internal/access/policy"
)

// The oracle knows relations by going over all of them until nothing changes,
// builds every entity anew for each question and asks cedar-go's own authorizer
// about all policies, those that roles.yaml stands for written out as text. It
// shares no code with what it judges but the texts.

const oracleSchema = `
entity Org in [Org];
entity Team in [Team, Org] { lead?: User };
entity User in [Team, Org] { level?: Long, boss?: User, @request mood?: String };
entity Folder in [Folder] { owner?: User, team?: Team };
entity Doc in [Folder] { level: Long, owner?: User, tags?: Set<String>, @request status?: String };
entity Robot;
type Context = { acr?: String, now?: datetime, n?: Long };
action touch;
action view, edit in [touch] appliesTo { principal: [User, Team], resource: [Doc, Folder], context: Context };
action share in [touch] appliesTo { principal: User, resource: Doc, context: Context };
action drive appliesTo { principal: Robot, resource: [Doc, Robot], context: Context };
`

// What a random folder picks its policies from.
var oraclePolicies = []string{
	`permit (principal in Role::"viewer", action == Action::"view", resource)`,
	`permit (principal in Role::"editor", action, resource is Doc) when { resource.level < 3 }`,
	`permit (principal is User in Role::"owner", action in Action::"touch", resource is Doc)`,
	`permit (principal, action == Action::"view", resource) when { principal in Role::"viewer" && context has n && context.n > 1 }`,
	`permit (principal, action, resource) when { principal in [Role::"owner", Role::"editor"] && !(resource in Folder::"b") }`,
	`permit (principal in Team::"a", action == Action::"edit", resource)`,
	`permit (principal in Org::"b", action, resource in Folder::"b")`,
	`permit (principal == User::"a", action, resource == Doc::"a:b")`,
	`permit (principal is Team, action, resource is Folder in Folder::"a")`,
	`permit (principal is User, action, resource is Doc) when { resource has owner && resource.owner == principal }`,
	`permit (principal is User, action, resource is Doc) when { resource has owner && resource.owner in Team::"a" }`,
	`permit (principal is User, action, resource is Doc) when { resource has owner && resource.owner has boss && resource.owner.boss == principal }`,
	`permit (principal is User, action, resource is Folder) when { resource has team && principal in resource.team }`,
	`permit (principal is User, action == Action::"share", resource) when { resource has tags && resource.tags.contains("public") }`,
	`permit (principal is User, action == Action::"view", resource) when { principal has mood && principal.mood == "good" }`,
	`permit (principal is Robot, action, resource)`,
	`permit (principal is User, action, resource is Doc) unless { resource.level > 2 }`,
	`permit (principal, action in [Action::"edit", Action::"share"], resource) when { !(principal in Team::"b") && resource in Folder::"a" }`,
	`forbid (principal, action == Action::"edit", resource) when { principal in Team::"b" }`,
	`forbid (principal in Role::"banned", action, resource)`,
	`forbid (principal, action, resource is Doc) when { resource has status && resource.status == "archived" } unless { principal in Role::"owner" }`,
	`forbid (principal, action == Action::"share", resource) when { resource.level > 4 }`,
	`forbid (principal is User, action, resource is Doc) when { principal has level && principal.level < resource.level }`,
	`forbid (principal, action, resource in Folder::"a|b") unless { context has acr && context.acr == "aal2" }`,
	`forbid (principal, action, resource) when { context has now && context.now > datetime("2030-01-01") }`,
	`forbid (principal, action, resource) when { if principal in Team::"a" then resource in Folder::"a" else action == Action::"share" }`,
	`forbid (principal, action, resource) when { context has n && context.n + 1 > 9223372036854775807 }`,
}

var firstForbid = slices.IndexFunc(oraclePolicies, func(p string) bool { return strings.HasPrefix(p, "forbid") })

var oracleIDs = []string{"a", "b", "ab", "a:b", "a|b", "a#b", "a,b", "a@b", "a\x00b", "a\"b", "A", "á", "a ", "a::b"}

type model struct {
	roles    []RoleType
	policies []string
	tuples   []graph.Tuple
	attrs    []graph.Attribute
}

func (m model) source() Source {
	var all strings.Builder
	for i, p := range m.policies {
		fmt.Fprintf(&all, "@id(\"p%d\")\n%s;\n", i, p)
	}
	return Source{Schema: File{"schema.cedarschema", []byte(oracleSchema)}, Policies: []File{{"all.cedar", []byte(all.String())}}, Roles: Roles{"roles.yaml", m.roles}}
}

func drawModel(t *rapid.T) model {
	m := model{policies: slices.Concat(
		rapid.SliceOfNDistinct(rapid.SampledFrom(oraclePolicies[:firstForbid]), 2, 8, rapid.ID).Draw(t, "permits"),
		rapid.SliceOfNDistinct(rapid.SampledFrom(oraclePolicies[firstForbid:]), 0, rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "most"), rapid.ID).Draw(t, "forbids"))}
	names := []string{"viewer", "editor", "owner", "banned"}
	for _, typ := range []string{"Doc", "Folder"} {
		rt := RoleType{Type: typ}
		for i, n := range names {
			r := Role{Name: n}
			if i > 0 {
				r.Implies = rapid.SliceOfNDistinct(rapid.SampledFrom(names[:i]), 0, 2, rapid.ID).Draw(t, "implies")
			}
			r.Permissions = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"view", "edit"}), 0, 1, rapid.ID).Draw(t, "permissions")
			rt.Roles = append(rt.Roles, r)
		}
		m.roles = append(m.roles, rt)
	}
	return m
}

func drawID(t *rapid.T) string {
	return rapid.SampledFrom(oracleIDs[:rapid.SampledFrom([]int{1, 1, 2, 2, len(oracleIDs)}).Draw(t, "ids")]).Draw(t, "id")
}

func drawOf(t *rapid.T, types ...string) Entity {
	return Entity{Type: rapid.SampledFrom(types).Draw(t, "type"), ID: drawID(t)}
}

func drawGrant(t *rapid.T) graph.Tuple {
	expires := rapid.SampledFrom([]int64{0, 0, 0, at.UnixMilli(), at.UnixMilli() + 1}).Draw(t, "expires")
	switch rapid.SampledFrom([]string{"member", "member", "parent", "grant", "grant"}).Draw(t, "kind") {
	case "member":
		return graph.Tuple{Subject: drawOf(t, "User", "User", "Team"), Relation: graph.Member, Object: drawOf(t, "Team", "Org"), Expires: expires}
	case "parent":
		// Mixed kinds of relation lead upward as well.
		return graph.Tuple{Subject: drawOf(t, "Doc", "Doc", "Folder", "Team"), Relation: graph.Parent, Object: drawOf(t, "Folder"), Expires: expires}
	}
	return graph.Tuple{Subject: drawOf(t, "User", "Team", "Org"), Relation: rapid.SampledFrom([]string{"viewer", "viewer", "editor", "editor", "owner", "owner", "banned", "unheard"}).Draw(t, "role"),
		Object: drawOf(t, "Doc", "Folder"), Expires: expires}
}

func drawAttribute(t *rapid.T) graph.Attribute {
	switch rapid.IntRange(0, 6).Draw(t, "attribute") {
	case 0:
		return graph.Attribute{Entity: drawOf(t, "User"), Name: "level", Value: rapid.Int64Range(0, 5).Draw(t, "level")}
	case 1:
		return graph.Attribute{Entity: drawOf(t, "User"), Name: "boss", Value: drawID(t)}
	case 2:
		return graph.Attribute{Entity: drawOf(t, "User"), Name: "mood", Value: rapid.SampledFrom([]string{"good", "bad"}).Draw(t, "mood")}
	case 3:
		return graph.Attribute{Entity: drawOf(t, "Doc", "Folder"), Name: "owner", Value: map[string]any{"type": "User", "id": drawID(t)}}
	case 4:
		return graph.Attribute{Entity: drawOf(t, "Folder"), Name: "team", Value: drawID(t)}
	case 5:
		return graph.Attribute{Entity: drawOf(t, "Doc"), Name: "tags", Value: []any{rapid.SampledFrom([]string{"public", "x"}).Draw(t, "tag")}}
	}
	return graph.Attribute{Entity: drawOf(t, "Doc"), Name: rapid.SampledFrom([]string{"level", "level", "unheard"}).Draw(t, "name"), Value: rapid.Int64Range(0, 5).Draw(t, "level")}
}

func drawQuestion(t *rapid.T) Question {
	q := Question{Subject: drawOf(t, "User", "User", "User", "User", "User", "User", "User", "Team", "Robot"), Resource: drawOf(t, "Doc", "Doc", "Doc", "Doc", "Folder", "Folder", "Robot"), At: at,
		Action: rapid.SampledFrom([]string{"view", "view", "edit", "edit", "share", "drive", "touch"}).Draw(t, "action"), Context: Properties{}}
	if rapid.Bool().Draw(t, "mood") {
		q.SubjectProperties = Properties{"mood": rapid.SampledFrom([]string{"good", "bad"}).Draw(t, "mood"), "level": int64(9)}
	}
	if rapid.Bool().Draw(t, "status") {
		q.ResourceProperties = Properties{"status": rapid.SampledFrom([]string{"archived", "new"}).Draw(t, "status"), "level": int64(0)}
	}
	if rapid.Bool().Draw(t, "context") {
		q.Context = Properties{"acr": rapid.SampledFrom([]string{"aal1", "aal2"}).Draw(t, "acr"), "n": rapid.SampledFrom([]int64{0, 5, 1<<63 - 1}).Draw(t, "n"), "now": "1970-01-01"}
	}
	return q
}

// change applies the same change to the model as Graph.Apply does.
func (m *model) change(c graph.Change) {
	same := func(a, b graph.Tuple) bool { a.Expires = b.Expires; return a == b }
	for _, e := range c.Drop {
		m.tuples = slices.DeleteFunc(m.tuples, func(t graph.Tuple) bool { return t.Subject == e || t.Object == e })
		m.attrs = slices.DeleteFunc(m.attrs, func(a graph.Attribute) bool { return a.Entity == e })
	}
	for _, r := range slices.Concat(c.Remove, c.Add) {
		m.tuples = slices.DeleteFunc(m.tuples, func(t graph.Tuple) bool { return same(t, r) })
	}
	for i, r := range c.Add {
		if !slices.ContainsFunc(c.Add[i+1:], func(t graph.Tuple) bool { return same(t, r) }) {
			m.tuples = append(m.tuples, r)
		}
	}
	for _, r := range slices.Concat(c.Unset, c.Set) {
		m.attrs = slices.DeleteFunc(m.attrs, func(a graph.Attribute) bool { return a.Entity == r.Entity && a.Name == r.Name })
	}
	for i, r := range c.Set {
		if !slices.ContainsFunc(c.Set[i+1:], func(a graph.Attribute) bool { return a.Entity == r.Entity && a.Name == r.Name }) {
			m.attrs = append(m.attrs, r)
		}
	}
}

type holding struct {
	on   Entity
	role string
}

func (m model) live() []graph.Tuple {
	return slices.DeleteFunc(slices.Clone(m.tuples), func(t graph.Tuple) bool { return t.Expires != 0 && t.Expires <= at.UnixMilli() })
}

// held is what the subject holds anywhere, by going over everything until
// nothing changes.
func (m model) held(subject Entity) map[holding]bool {
	in := map[Entity]bool{subject: true}
	out := map[holding]bool{}
	for {
		before := len(in) + len(out)
		for _, t := range m.live() {
			switch {
			case t.Relation == graph.Member:
				if in[t.Subject] {
					in[t.Object] = true
				}
			case t.Relation == graph.Parent:
				for h := range out {
					if h.on == t.Object {
						out[holding{t.Subject, h.role}] = true
					}
				}
			case in[t.Subject]:
				out[holding{t.Object, t.Relation}] = true
			}
		}
		for h := range out {
			for _, rt := range m.roles {
				for _, r := range rt.Roles {
					if rt.Type == h.on.Type && r.Name == h.role {
						for _, i := range r.Implies {
							out[holding{h.on, i}] = true
						}
					}
				}
			}
		}
		if len(in)+len(out) == before {
			return out
		}
	}
}

func cedarUID(e Entity) cedar.EntityUID {
	return cedar.NewEntityUID(cedar.EntityType(e.Type), cedar.String(e.ID))
}

type answer struct {
	allowed bool
	by      []string
}

// naive answers the question.
func (m model) naive(t *rapid.T, q Question) answer {
	applies := map[string][2][]string{"view": {{"User", "Team"}, {"Doc", "Folder"}}, "edit": {{"User", "Team"}, {"Doc", "Folder"}}, "share": {{"User"}, {"Doc"}}, "drive": {{"Robot"}, {"Doc", "Robot"}}}
	if a := applies[q.Action]; !slices.Contains(a[0], q.Subject.Type) || !slices.Contains(a[1], q.Resource.Type) {
		return answer{}
	}
	ps := cedar.NewPolicySet()
	add := func(id, text string) {
		var p cedar.Policy
		if err := p.UnmarshalCedar([]byte(text + ";")); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		ps.Add(cedar.PolicyID(id), &p)
	}
	for _, rt := range m.roles {
		for _, r := range rt.Roles {
			if len(r.Permissions) > 0 {
				add("role:"+rt.Type+":"+r.Name, fmt.Sprintf(`permit (principal in Role::%q, action == Action::%q, resource is %s)`, r.Name, r.Permissions[0], rt.Type))
			}
		}
	}
	for i, p := range m.policies {
		add(fmt.Sprintf("p%d", i), p)
	}
	entities := cedar.EntityMap{}
	parents := map[Entity][]cedar.EntityUID{q.Subject: nil, q.Resource: nil}
	for _, x := range m.live() {
		if parents[x.Object] = append(parents[x.Object], nil...); x.Relation == graph.Member || x.Relation == graph.Parent {
			parents[x.Subject] = append(parents[x.Subject], cedarUID(x.Object))
		} else {
			parents[x.Subject] = append(parents[x.Subject], nil...)
		}
	}
	for h := range m.held(q.Subject) {
		if h.on == q.Resource {
			parents[q.Subject] = append(parents[q.Subject], cedarUID(Entity{Type: "Role", ID: h.role}))
		}
	}
	records := map[Entity]cedar.RecordMap{}
	put := func(e Entity, name string, v cedar.Value) {
		if records[e] == nil {
			records[e] = cedar.RecordMap{}
		}
		records[e][cedar.String(name)] = v
	}
	for _, a := range m.attrs {
		switch v := a.Value.(type) {
		case int64:
			if a.Name != "unheard" {
				put(a.Entity, a.Name, cedar.Long(v))
			}
		case map[string]any:
			put(a.Entity, a.Name, cedarUID(Entity{Type: v["type"].(string), ID: v["id"].(string)}))
		case []any:
			put(a.Entity, a.Name, cedar.NewSet(cedar.String(v[0].(string))))
		case string:
			switch a.Name {
			case "boss":
				put(a.Entity, a.Name, cedarUID(Entity{Type: "User", ID: v}))
			case "team":
				put(a.Entity, a.Name, cedarUID(Entity{Type: "Team", ID: v}))
			default:
				put(a.Entity, a.Name, cedar.String(v))
			}
		}
		parents[a.Entity] = append(parents[a.Entity], nil...)
	}
	if v, ok := q.SubjectProperties["mood"].(string); ok && q.Subject.Type == "User" {
		put(q.Subject, "mood", cedar.String(v))
	}
	if v, ok := q.ResourceProperties["status"].(string); ok && q.Resource.Type == "Doc" {
		put(q.Resource, "status", cedar.String(v))
	}
	for e, up := range parents {
		entities[cedarUID(e)] = cedar.Entity{UID: cedarUID(e), Parents: cedar.NewEntityUIDSet(up...), Attributes: cedar.NewRecord(records[e])}
	}
	touch := cedar.NewEntityUIDSet(cedarUID(Entity{Type: "Action", ID: "touch"}))
	for _, a := range []string{"view", "edit", "share"} {
		uid := cedarUID(Entity{Type: "Action", ID: a})
		entities[uid] = cedar.Entity{UID: uid, Parents: touch}
	}
	context := cedar.RecordMap{"now": cedar.NewDatetime(q.At)}
	if v, ok := q.Context["acr"].(string); ok {
		context["acr"] = cedar.String(v)
	}
	if v, ok := q.Context["n"].(int64); ok {
		context["n"] = cedar.Long(v)
	}
	ok, diag := cedar.Authorize(ps, entities, cedar.Request{Principal: cedarUID(q.Subject), Action: cedarUID(Entity{Type: "Action", ID: q.Action}),
		Resource: cedarUID(q.Resource), Context: cedar.NewRecord(context)})
	out := answer{allowed: ok == cedar.Allow}
	for _, r := range diag.Reasons {
		out.by = append(out.by, string(r.PolicyID))
	}
	for _, e := range diag.Errors {
		if ps.Get(e.PolicyID).Effect() == cedar.Forbid {
			if out.allowed {
				out = answer{}
			}
			out.by = append(out.by, string(e.PolicyID))
		}
	}
	slices.Sort(out.by)
	return out
}

// checks is how many models are tried: ten thousand, or what the long tests say.
func checks(t *testing.T) {
	t.Helper()
	n := os.Getenv("CARDEA_TEST_MODELS")
	if n == "" {
		if n = "10000"; testing.Short() {
			n = "300"
		}
	}
	old := flag.Lookup("rapid.checks").Value.String()
	if err := flag.Set("rapid.checks", n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("rapid.checks", old) })
}

// PD-02, PD-03: random policies, roles, relations, attributes and questions.
func TestDecideAgreesWithTheOracle(t *testing.T) {
	checks(t)
	asked, yes := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		set, err := Compile(m.source())
		if err != nil {
			t.Fatalf("%v\n%s", err, m.source().Policies[0].Text)
		}
		g := graph.Empty()
		for round := range rapid.IntRange(1, 3).Draw(t, "rounds") {
			c := graph.Change{
				Add: rapid.SliceOfN(rapid.Custom(drawGrant), 3, 14).Draw(t, "add"),
				Set: rapid.SliceOfN(rapid.Custom(drawAttribute), 0, 9).Draw(t, "set"),
			}
			if round > 0 && len(m.tuples) > 0 {
				c.Remove = rapid.SliceOfN(rapid.SampledFrom(m.tuples), 0, 3).Draw(t, "remove")
				c.Drop = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Entity { return drawOf(t, "User", "Team", "Doc") }), 0, 1).Draw(t, "drop")
			}
			next, err := g.Apply(c)
			if err != nil {
				continue // a circle; package graph tests what is refused
			}
			g = next
			m.change(c)
			s := NewSnapshot(set, g, int64(round))
			for i := range 3 {
				q := drawQuestion(t)
				a := compare(t, m, s, q)
				if asked++; a.Allowed {
					yes++
				}
				if i == 0 {
					compareSearches(t, m, s, q)
				}
			}
		}
	})
	t.Logf("%d questions, %d of them answered with yes", asked, yes)
	if asked > 1000 && (yes*20 < asked || yes*20 > asked*19) {
		t.Errorf("of %d questions %d were answered with yes; such models show little", asked, yes)
	}
}

func compare(t *rapid.T, m model, s *Snapshot, q Question) Answer {
	t.Helper()
	a, want := Decide(s, &q), m.naive(t, q)
	by := slices.Sorted(slices.Values(a.Determining))
	if a.Allowed != want.allowed || !slices.Equal(by, want.by) {
		t.Fatalf("%+v\n got %+v\nwant %+v\npolicies %q\nroles %+v\ntuples %+v\nattributes %+v", q, a, want, m.policies, m.roles, m.tuples, m.attrs)
	}
	checkPath(t, m, q, a)
	return a
}

// checkPath holds each step to be a relation that is there and has not ended.
func checkPath(t *rapid.T, m model, q Question, a Answer) {
	t.Helper()
	live := m.live()
	for _, step := range a.Path {
		if !slices.Contains(live, step) {
			t.Fatalf("the path of %+v goes over %+v, which does not hold", q, step)
		}
	}
	if strings.HasPrefix(strings.Join(a.Determining, ""), "role:") && len(a.Path) == 0 {
		t.Fatalf("%+v was answered by a role without a path: %+v", q, a)
	}
}

// compareSearches holds searches and batches to what Decide says of each one.
func compareSearches(t *rapid.T, m model, s *Snapshot, q Question) {
	t.Helper()
	var resources, subjects, batch []Entity
	for e := range s.Graph().Known(q.Resource.Type, "") {
		each := q
		if each.Resource = e; m.naive(t, each).allowed {
			resources = append(resources, e)
		}
		batch = append(batch, e)
	}
	for e := range s.Graph().Known(q.Subject.Type, "") {
		each := q
		if each.Subject = e; m.naive(t, each).allowed {
			subjects = append(subjects, e)
		}
	}
	page := Page{Size: rapid.IntRange(1, 4).Draw(t, "page"), Work: rapid.IntRange(1, 6).Draw(t, "work")}
	if got := pages(t, page, func(p Page) (Found, error) { return Resources(s, &q, p) }); !slices.Equal(got, resources) {
		t.Fatalf("resources of %+v: got %q, want %q", q, got, resources)
	}
	if got := pages(t, page, func(p Page) (Found, error) { return Subjects(s, &q, p) }); !slices.Equal(got, subjects) {
		t.Fatalf("subjects of %+v: got %q, want %q", q, got, subjects)
	}
	var actions []string
	for _, a := range []string{"drive", "edit", "share", "view"} {
		each := q
		if each.Action = a; m.naive(t, each).allowed {
			actions = append(actions, a)
		}
	}
	got, _, err := Actions(s, &q, Page{})
	if err != nil || !slices.Equal(got, actions) {
		t.Fatalf("actions of %+v: got %q %v, want %q", q, got, err, actions)
	}
	batch = append(batch, q.Resource, Entity{Type: "Robot", ID: "x"}, Entity{Type: "Folder", ID: "a"}, Entity{Type: "nothing", ID: "a"})
	for i, a := range Batch(s, &q, batch) {
		each := q
		each.Resource = batch[i]
		one := Decide(s, &each)
		if fmt.Sprintf("%+v", one) != fmt.Sprintf("%+v", a) {
			t.Fatalf("batch of %+v about %s:\n got %+v\nwant %+v", q, batch[i], a, one)
		}
	}
}

func pages(t *rapid.T, p Page, ask func(Page) (Found, error)) []Entity {
	t.Helper()
	var out []Entity
	for range 1000 {
		f, err := ask(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Entities) > p.Size || f.Partial && f.Next == "" {
			t.Fatalf("page %+v: got %+v", p, f)
		}
		out = append(out, f.Entities...)
		if p.After = f.Next; p.After == "" {
			return out
		}
	}
	t.Fatal("the pages never end")
	return nil
}

func TestEveryPolicyOfTheOracleCompiles(t *testing.T) {
	roles := []RoleType{{Type: "Doc", Roles: []Role{{Name: "viewer"}, {Name: "editor"}, {Name: "owner"}, {Name: "banned"}}}}
	for _, p := range oraclePolicies {
		if _, err := Compile(model{policies: []string{p}, roles: roles}.source()); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}
