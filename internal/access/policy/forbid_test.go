package policy_test

import (
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"

	"github.com/cardea-id/cardea/internal/access/graph"
	. "github.com/cardea-id/cardea/internal/access/policy"
)

const docSchema = `
entity User { clearance?: Long };
entity Doc { level: Long, open?: Bool };
action read appliesTo { principal: User, resource: Doc, context: { acr?: String, auth_time?: Long } };
`

func compiled(t testing.TB, schema, policies string, roles ...RoleType) *Set {
	t.Helper()
	s, err := Compile(Source{
		Schema:   File{Name: "schema.cedarschema", Text: []byte(schema)},
		Policies: []File{{Name: "policies/all.cedar", Text: []byte(policies)}},
		Roles:    Roles{File: "roles.yaml", Types: roles},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func built(t testing.TB, c graph.Change) *graph.Graph {
	t.Helper()
	g, err := graph.Empty().Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// The level of the document is not known, so nobody can tell whether the forbid
// holds. cedar-go leaves it out and permits; we must not.
func TestAForbidThatErrsDenies(t *testing.T) {
	const policies = `
@id("all") permit (principal, action, resource);
@id("secret") forbid (principal, action, resource) when { resource.level > 3 };`
	s := NewSnapshot(compiled(t, docSchema, policies), graph.Empty(), 1)
	a := Decide(s, &Question{Subject: Entity{Type: "User", ID: "u"}, Action: "read", Resource: Entity{Type: "Doc", ID: "d"}, At: at})
	if a.Allowed || len(a.Reasons) != 1 || a.Reasons[0].Policy != "secret" || !strings.Contains(a.Reasons[0].Error, "level") {
		t.Errorf("got %+v, want a denial that names policy secret and the attribute", a)
	}
	// Searches and filters deny what Decide does.
	u, d := Entity{Type: "User", ID: "u"}, Entity{Type: "Doc", ID: "d"}
	s = NewSnapshot(compiled(t, docSchema, policies), built(t, graph.Change{Set: []graph.Attribute{{Entity: u, Name: "clearance", Value: int64(1)}, {Entity: d, Name: "open", Value: true}}}), 1)
	q := &Question{Subject: u, Action: "read", Resource: d, At: at}
	resources, err1 := Resources(s, q, Page{})
	subjects, err2 := Subjects(s, q, Page{})
	actions, _, err3 := Actions(s, q, Page{})
	left, err4 := Partial(s, q, Rows{})
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || len(resources.Entities)+len(subjects.Entities)+len(actions) > 0 || left.When.Op != OpFalse {
		t.Errorf("searches find %+v, %+v and %v, a filter shows %+v: %v %v %v %v", resources, subjects, actions, left, err1, err2, err3, err4)
	}
	ps, err := cedar.NewPolicySetFromBytes("", []byte(policies))
	if err != nil {
		t.Fatal(err)
	}
	uid := func(typ, id string) cedar.EntityUID {
		return cedar.NewEntityUID(cedar.EntityType(typ), cedar.String(id))
	}
	bare, _ := cedar.Authorize(ps, cedar.EntityMap{}, cedar.Request{Principal: uid("User", "u"), Action: uid("Action", "read"), Resource: uid("Doc", "d")})
	if bare != cedar.Allow {
		t.Error("cedar-go denies by itself now; the reason for our own rule is gone, read decision 0090 again")
	}
}

func TestAnErrorInAPermitDoesNotPermit(t *testing.T) {
	s := NewSnapshot(compiled(t, docSchema, `@id("low") permit (principal, action, resource) when { resource.level < 3 };`), graph.Empty(), 1)
	a := Decide(s, &Question{Subject: Entity{Type: "User", ID: "u"}, Action: "read", Resource: Entity{Type: "Doc", ID: "d"}, At: at})
	if a.Allowed || a.Reasons[0].Policy != "low" || a.Reasons[0].Error == "" {
		t.Errorf("got %+v", a)
	}
}

// What is stored under the name of an attribute but is not of its type could
// hide a lock; it must never be read as absent.
func TestStoredRubbishDenies(t *testing.T) {
	set := compiled(t, docSchema, `
@id("all") permit (principal, action, resource);
@id("shut") forbid (principal, action, resource) when { resource has open && !resource.open };`)
	doc := Entity{Type: "Doc", ID: "d"}
	q := &Question{Subject: Entity{Type: "User", ID: "u"}, Action: "read", Resource: doc, At: at}
	for _, c := range []struct {
		open any
		want bool
	}{{nil, true}, {true, true}, {false, false}, {"false", false}, {[]any{}, false}} {
		g := built(t, graph.Change{Set: []graph.Attribute{{Entity: doc, Name: "open", Value: c.open}}})
		if a := Decide(NewSnapshot(set, g, 1), q); a.Allowed != c.want {
			t.Errorf("open = %#v: got %+v, want %v", c.open, a, c.want)
		}
	}
}

func TestStepUp(t *testing.T) {
	set := compiled(t, docSchema, `
@id("read") permit (principal, action, resource);
@id("fresh") @step_up("aal2") @max_age("300") @reason("a second factor, just now")
forbid (principal, action, resource) when { resource.level > 3 }
unless { context has acr && context.acr == "aal2" && context has auth_time && context.auth_time > 1000 };
@id("never") forbid (principal, action, resource) when { resource.level > 9 };`)
	ask := func(level int64, context Properties) Answer {
		doc := Entity{Type: "Doc", ID: "d"}
		g := built(t, graph.Change{Set: []graph.Attribute{{Entity: doc, Name: "level", Value: level}}})
		return Decide(NewSnapshot(set, g, 1), &Question{Subject: Entity{Type: "User", ID: "u"}, Action: "read", Resource: doc, Context: context, At: at})
	}
	if a := ask(4, nil); a.Allowed || a.StepUp == nil || a.StepUp.ACR != "aal2" || a.StepUp.MaxAge.Seconds() != 300 {
		t.Errorf("got %+v, want: not yet, aal2 within 300 s", a)
	}
	if a := ask(4, Properties{"acr": "aal2", "auth_time": int64(2000)}); !a.Allowed || a.StepUp != nil {
		t.Errorf("got %+v, want yes", a)
	}
	if a := ask(4, Properties{"acr": "aal2", "auth_time": int64(10)}); a.Allowed || a.StepUp == nil {
		t.Errorf("an old sign-in: got %+v, want: not yet", a)
	}
	if a := ask(10, nil); a.Allowed || a.StepUp != nil {
		t.Errorf("got %+v, want no: no sign-in helps", a)
	}
}
