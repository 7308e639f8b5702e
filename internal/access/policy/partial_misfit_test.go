package policy_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	. "github.com/cardea-id/cardea/internal/access/policy"
)

func partialSet(t *testing.T, policies string) *Set {
	t.Helper()
	set, err := Compile(Source{Schema: File{Name: "schema", Text: []byte(`
entity Team in [Team] { rank?: Long };
entity User in [Team] { rank: Long, @request mood?: String, @request on?: Bool };
entity Doc { owner: User, team: Team, open: Bool, level?: Long };
action view appliesTo { principal: User, resource: [Doc, User] };
`)}, Policies: []File{{Name: "a", Text: []byte(policies)}}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var partialAt = time.UnixMilli(1_800_000_000_000)

// Decide is wrong about what it cannot read; a filter would show the rows all the
// same if it went by the column alone.
func TestWhatIsSaidInAnotherTypeShowsNoRow(t *testing.T) {
	set := partialSet(t, `@id("p") permit (principal is User, action, resource is User) when { resource has mood && resource.mood == "good" };`)
	s := NewSnapshot(set, graph.Empty(), 1)
	q := Question{Subject: Entity{Type: "User", ID: "ada"}, Action: "view", Resource: Entity{Type: "User"}, At: partialAt, SubjectProperties: Properties{"mood": 5}}
	left, err := Partial(s, &q, Rows{Attributes: []string{"mood"}})
	if err != nil || left.When.Op != OpFalse || left.Reason == "" {
		t.Errorf("%+v %v", left, err)
	}
	q.SubjectProperties = Properties{"mood": "good"}
	if left, err := Partial(s, &q, Rows{Attributes: []string{"mood"}}); err != nil || left.When.Op == OpFalse {
		t.Errorf("said as the schema has it: %+v %v", left, err)
	}
}

// What is stored about a row and is not what the schema says denies in Decide,
// whatever the row itself says.
func TestRowsWithUnreadableFactsAreNotShown(t *testing.T) {
	set := partialSet(t, `@id("p") permit (principal is User, action, resource is Doc) when { resource.open };`)
	bad := Entity{Type: "Doc", ID: "bad"}
	g, err := graph.Empty().Apply(graph.Change{Set: []graph.Attribute{{Entity: bad, Name: "level", Value: "high"}, {Entity: Entity{Type: "Doc", ID: "good"}, Name: "level", Value: int64(1)}}})
	if err != nil {
		t.Fatal(err)
	}
	q := Question{Subject: Entity{Type: "User", ID: "ada"}, Action: "view", Resource: Entity{Type: "Doc"}, At: partialAt}
	left, err := Partial(NewSnapshot(set, g, 1), &q, Rows{Attributes: []string{"open"}})
	if err != nil || left.When.Op != OpAll || !slices.ContainsFunc(left.When.Args, func(c Condition) bool {
		return c.Op == OpNotIn && c.Field.Kind == FieldID && slices.Equal(c.Values, []any{"bad"})
	}) {
		t.Errorf("%+v %v", left.When, err)
	}
	// What the row says counts instead of what is stored, so nothing is wrong then.
	left, err = Partial(NewSnapshot(set, g, 1), &q, Rows{Attributes: []string{"open", "level"}})
	if err != nil || left.When.Op != OpIn {
		t.Errorf("mapped: %+v %v", left.When, err)
	}
}

// On the way from somebody to a team of the row, Decide reads everything beyond the
// first step.
func TestTheWayUpIsReadable(t *testing.T) {
	set := partialSet(t, `@id("p") permit (principal is User, action, resource is Doc) when { principal in resource.team };`)
	ada, team := Entity{Type: "User", ID: "ada"}, Entity{Type: "Team", ID: "blue"}
	for value, want := range map[any][]any{"high": {"blue"}, int64(1): {"blue", "red"}} {
		g, err := graph.Empty().Apply(graph.Change{Add: []graph.Tuple{{Subject: ada, Relation: graph.Member, Object: team}, {Subject: team, Relation: graph.Member, Object: Entity{Type: "Team", ID: "red"}}}, Set: []graph.Attribute{{Entity: team, Name: "rank", Value: value}}})
		if err != nil {
			t.Fatal(err)
		}
		g, err = g.Apply(graph.Change{Set: []graph.Attribute{{Entity: Entity{Type: "Doc", ID: "x"}, Name: "team", Value: "red"}}})
		if err != nil {
			t.Fatal(err)
		}
		s := NewSnapshot(set, g, 1)
		q := Question{Subject: ada, Action: "view", Resource: Entity{Type: "Doc"}, At: partialAt}
		left, err := Partial(s, &q, Rows{Attributes: []string{"team"}})
		if err != nil || left.When.Op != OpIn || !slices.Equal(left.When.Values, want) {
			t.Errorf("%v: %+v %v", value, left.When, err)
		}
		q.Resource.ID = "x"
		if a := Decide(s, &q); a.Allowed != slices.Contains(want, "red") {
			t.Errorf("%v: Decide says %t", value, a.Allowed)
		}
	}
}

// A filter that follows a reference has a case for each value there is. The work grows
// with the entities, not with these times the values.
func TestManyValuesAreNoMoreWorkThanFew(t *testing.T) {
	set := partialSet(t, `@id("p") permit (principal is User, action, resource is Doc) when { resource.owner.rank > 5 };`)
	work := func(values int64) uint64 {
		var c graph.Change
		for i := range int64(8_000) {
			c.Set = append(c.Set, graph.Attribute{Entity: Entity{Type: "User", ID: fmt.Sprint("u", i)}, Name: "rank", Value: i % values})
		}
		g, err := graph.Empty().Apply(c)
		if err != nil {
			t.Fatal(err)
		}
		q := Question{Subject: Entity{Type: "User", ID: "ada"}, Action: "view", Resource: Entity{Type: "Doc"}, At: partialAt}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Partial(NewSnapshot(set, g, 1), &q, Rows{Attributes: []string{"owner"}}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if few, many := work(10), work(1_600); many > 10*few {
		t.Errorf("%d bytes for 1,600 values, %d for 10", many, few)
	}
}

// Who forgot to map what a forbid reads is told which it is.
func TestWhatForbidsEveryRowIsNamed(t *testing.T) {
	set := partialSet(t, `@id("p") permit (principal is User, action, resource is Doc);
@id("shut") forbid (principal, action, resource is Doc) unless { resource.open };`)
	q := Question{Subject: Entity{Type: "User", ID: "ada"}, Action: "view", Resource: Entity{Type: "Doc"}, At: partialAt}
	left, err := Partial(NewSnapshot(set, graph.Empty(), 1), &q, Rows{})
	if err != nil || left.When.Op != OpFalse || !strings.Contains(left.Reason, "shut") || !strings.Contains(left.Reason, "map") {
		t.Errorf("%+v %v", left, err)
	}
}

// Where people are rows of their own table, what forbids them their own row, or every
// other one, is not said to forbid all.
func TestWhatForbidsOneRowIsNotSaidToForbidEvery(t *testing.T) {
	ada := Entity{Type: "User", ID: "ada"}
	g := built(t, graph.Change{Set: []graph.Attribute{{Entity: ada, Name: "rank", Value: int64(1)}}})
	const own, others, all = `@id("own") forbid (principal is User, action, resource is User) when { principal == resource };`,
		`@id("others") forbid (principal is User, action, resource is User) when { principal != resource };`, `@id("all") forbid (principal is User, action, resource is User);`
	for forbids, who := range map[string]string{own: "", others: "", own + others: "", all: `policy "all"`, own + all: `policy "all"`} {
		set := partialSet(t, `@id("p") permit (principal is User, action, resource is User) when { principal.rank > 5 };`+forbids)
		q := Question{Subject: ada, Action: "view", Resource: Entity{Type: "User"}, At: partialAt}
		left, err := Partial(NewSnapshot(set, g, 1), &q, Rows{})
		if err != nil || left.When.Op != OpFalse || left.Policies == nil ||
			strings.Contains(left.Reason, "every row, or") != (who != "") || !strings.HasPrefix(left.Reason, who) {
			t.Errorf("%s: %+v %v", forbids, left, err)
		}
	}
}
