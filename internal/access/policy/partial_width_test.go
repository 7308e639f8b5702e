package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	. "github.com/cardea-id/cardea/internal/access/policy"
)

// What came to be inside more than a question looks at is denied, whatever the
// policies ask, and no filter shows it.
func TestResidualsDoNotShowWhatIsInsideTooMuch(t *testing.T) {
	set, err := Compile(Source{Schema: File{Name: "schema.cedarschema", Text: []byte(`
entity user;
entity folder in [folder];
entity doc in [folder];
action read appliesTo { principal: user, resource: doc };
`)}, Policies: []File{{Name: "a.cedar", Text: []byte(`@id("all") permit (principal, action, resource);`)}}})
	if err != nil {
		t.Fatal(err)
	}
	in := func(s Entity, id string) graph.Tuple {
		return graph.Tuple{Subject: s, Relation: graph.Parent, Object: Entity{Type: "folder", ID: id}}
	}
	doc := func(id string) Entity { return Entity{Type: "doc", ID: id} }
	folder := func(id string) Entity { return Entity{Type: "folder", ID: id} }
	changes := []graph.Change{{Add: []graph.Tuple{in(doc("ab"), "a"), in(doc("ab"), "b"), in(doc("a"), "a"), in(folder("both"), "a"), in(folder("both"), "b"), in(folder("plain"), "x"), in(doc("deep"), "both")}}}
	for _, id := range []string{"a", "b"} {
		var c graph.Change
		for i := range 6000 {
			c.Add = append(c.Add, in(folder(id), fmt.Sprint(id, i)))
		}
		changes = append(changes, c)
	}
	g := graph.Empty()
	for _, c := range changes {
		if g, err = g.Apply(c); err != nil {
			t.Fatal(err)
		}
	}
	q := Question{Subject: Entity{Type: "user", ID: "ann"}, Action: "read", Resource: doc(""), At: time.UnixMilli(1)}
	r, err := Partial(NewSnapshot(set, g, 1), &q, Rows{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "ab", "deep", "other"} {
		q.Resource = doc(id)
		a := Decide(NewSnapshot(set, g, 1), &q)
		shown := r.When.Op == OpNotIn && !slices.Contains(r.When.Values, any(id))
		if a.Allowed != shown || a.Allowed != (id == "a" || id == "other") {
			t.Errorf("doc %q is allowed: %v, and where %+v", id, a.Allowed, r.When)
		}
	}
	// A row that has folder a beside what is stored of it may be inside too much.
	_, err = Partial(NewSnapshot(set, g, 1), &q, Rows{Parents: []string{"folder"}})
	if !errors.Is(err, ErrInexpressible) || !strings.Contains(err.Error(), "is inside so many others") {
		t.Errorf("with a column for the folder: %v", err)
	}
	// Without it, only those that are too much themselves count.
	var c graph.Change
	for i := range 3000 {
		c.Remove = append(c.Remove, in(folder("a"), fmt.Sprint("a", i)), in(folder("b"), fmt.Sprint("b", i)))
	}
	c.Drop = []Entity{folder("b"), doc("a"), doc("ab"), doc("deep")}
	if g, err = g.Apply(c); err != nil {
		t.Fatal(err)
	}
	if r, err = Partial(NewSnapshot(set, g, 1), &q, Rows{Parents: []string{"folder"}}); err != nil || r.When.Op != OpTrue {
		t.Errorf("where %+v (%v)", r.When, err)
	}
}
