package graph

import (
	"fmt"
	"runtime"
	"testing"
)

// crowd are people as the directory tells of them, the last one another than the rest.
func crowd(t testing.TB, n int) *Graph {
	t.Helper()
	b := NewBuilder()
	for i := range n {
		person := Entity{"user", fmt.Sprintf("usr_%09d", i)}
		status := "active"
		if i == n-1 {
			status = "suspended"
		}
		// Of each its own copy, as rows of a database give it.
		for name, v := range map[string]string{"kind": "person", "status": status} {
			if err := b.Set(Attribute{person, name, string([]byte(v))}); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Add(Tuple{person, Member, Entity{"group", fmt.Sprint(i % 10)}, 0}); err != nil {
			t.Fatal(err)
		}
	}
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// What the garbage collector looks at does not grow with the number of people: what
// is known of many is kept once, and everything else in a few large arrays.
func TestPeopleAreNoObjectsOfTheHeap(t *testing.T) {
	objects := func(n int) int {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		g := crowd(t, n)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(g)
		return int(after.HeapObjects) - int(before.HeapObjects)
	}
	if few, many := objects(1000), objects(20_000); many > few+500 {
		t.Errorf("20,000 people take %d objects, and 1,000 take %d", many, few)
	}
}

// What is kept once for many still changes for one alone.
func TestWhatIsKnownOfOneChangesForOneAlone(t *testing.T) {
	g := crowd(t, 1000)
	one, other, last := Entity{"user", "usr_000000007"}, Entity{"user", "usr_000000008"}, Entity{"user", "usr_000000999"}
	next, err := g.Apply(Change{Set: []Attribute{{one, "status", "suspended"}}, Drop: []Entity{last}})
	if err != nil {
		t.Fatal(err)
	}
	compact, err := next.Compact()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		g    *Graph
		e    Entity
		want string
	}{
		{g, one, "active"}, {g, other, "active"}, {g, last, "suspended"},
		{next, one, "suspended"}, {next, other, "active"}, {next, last, ""},
		{compact, one, "suspended"}, {compact, other, "active"}, {compact, last, ""},
	} {
		got := ""
		for name, v := range c.g.Attributes(c.e) {
			if name == "status" {
				got = v.(string)
			}
		}
		if got != c.want {
			t.Errorf("%d: %s is %q, want %q", i, c.e, got, c.want)
		}
	}
	if next.Sum() != compact.Sum() || next.Size() != compact.Size() {
		t.Errorf("made compact it is another: %+v and %+v", next.Size(), compact.Size())
	}
}

// What is made of facts is of one type of entity, so that two types do not take it
// from each other.
func TestTypesDoNotShareWhatIsKnown(t *testing.T) {
	b := NewBuilder()
	for _, e := range []Entity{{"user", "a"}, {"user", "b"}, {"doc", "a"}} {
		if err := b.Set(Attribute{e, "status", "active"}); err != nil {
			t.Fatal(err)
		}
	}
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	facts := func(typ, id string) *Facts {
		n, _ := g.Find(Entity{typ, id})
		return g.Facts(n)
	}
	if facts("user", "a") != facts("user", "b") {
		t.Error("two people of whom the same is known are not one")
	}
	if facts("user", "a") == facts("doc", "a") {
		t.Error("a person and a document are one")
	}
}

// People who are in nothing are made compact as well, and telling again what is
// known already is no change.
func TestWhoeverIsInNothingIsMadeCompactToo(t *testing.T) {
	g := Empty()
	for i := range 20 {
		var c Change
		for k := range rebuildAt / 10 {
			c.Set = append(c.Set, Attribute{Entity{"user", fmt.Sprint(i*rebuildAt/10 + k)}, "status", "active"})
		}
		var err error
		if g, err = g.Apply(c); err != nil {
			t.Fatal(err)
		}
	}
	if g.base.count() < rebuildAt || len(g.base.facts) != 1 {
		t.Errorf("%d are compact, with %d kinds of facts", g.base.count(), len(g.base.facts))
	}
	before := g.changed()
	g, err := g.Apply(Change{Set: []Attribute{{Entity{"user", "0"}, "status", "active"}}, Unset: []Attribute{{Entity: Entity{"user", "1"}, Name: "owner"}}})
	if err != nil || g.changed() != before {
		t.Errorf("%v, and %d differ instead of %d", err, g.changed(), before)
	}
}
