package graph

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Whatever changes, no node has more above it than the bound says, and none that
// has many is missing among those that are looked at.
func TestNothingIsAboveMoreThanTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Empty()
		for range rapid.IntRange(1, 20).Draw(t, "changes") {
			next, err := g.Apply(drawChange(t))
			if err != nil {
				continue
			}
			g = next
			switch rapid.IntRange(0, 6).Draw(t, "then") {
			case 0:
				g.measure()
			case 1:
				if g, err = g.Compact(); err != nil {
					t.Fatal(err)
				}
			}
			var a Above
			for n := range Node(g.nodes()) {
				if err := g.climb(n, Member, -1, &a, 1<<20); err != nil {
					t.Fatal(err)
				}
				up := 0
				for _, x := range a.nodes {
					up += g.upward(x)
				}
				if most := g.narrow().bound(); up > most || len(a.nodes) > most+1 {
					t.Fatalf("%d relations lead up from %s to %d, at most %d are said to", up, g.Entity(n), len(a.nodes), most)
				}
			}
		}
		if w := g.measure(); w.added+w.own != 0 || w.inner > w.most {
			t.Fatalf("measured: %+v", w)
		}
	})
}

// Of what is above so much, though no change put all of it there, a graph tells;
// it is compacted and built like others.
func TestWhatGrewBeyondTheLimitIsTold(t *testing.T) {
	g := grown(t)
	fresh, err := g.Compact()
	if err != nil {
		t.Fatal(err)
	}
	u := Entity{"u", "u"}
	for _, g := range []*Graph{g, fresh} {
		var a Above
		n, _ := g.Find(u)
		if err := g.Climb(n, Parent, 1, &a); !errors.Is(err, ErrClosure) {
			t.Error(err)
		}
		over, known := g.Crowded([]string{"u"}, 1)
		if g.Roomy(1) || !known || len(over) != 1 || g.Entity(over[0]) != u {
			t.Errorf("crowded are %v %v", over, known)
		}
		if _, known := g.Crowded([]string{"u"}, 9); known {
			t.Error("what is above less is not known of each, and it is said to be")
		}
	}
	less, err := g.Apply(Change{Remove: []Tuple{{u, Member, Entity{"g", "b"}, 0}}, Add: []Tuple{{u, Member, Entity{"g", "c"}, 0}}})
	if err != nil || !less.Roomy(1) {
		t.Errorf("after it left: %v", err)
	}
	_, err = g.Apply(Change{Add: []Tuple{{u, Member, Entity{"g", "c"}, 0}}})
	refused(t, err, ErrClosure, `u "u"`)
}

// grown has somebody in two groups that came to be in 6,000 others each.
func grown(t testing.TB) *Graph {
	t.Helper()
	g, err := Empty().Apply(Change{Add: []Tuple{{Entity{"u", "u"}, Member, Entity{"g", "a"}, 0}, {Entity{"u", "u"}, Member, Entity{"g", "b"}, 0}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		var c Change
		for i := range 6000 {
			c.Add = append(c.Add, Tuple{Entity{"g", id}, Member, Entity{"g", fmt.Sprint(id, i)}, 0})
		}
		if g, err = g.Apply(c); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// Groups that are in each other many times have many ways up, and few relations.
func TestManyWaysOverFewRelationsAreRoom(t *testing.T) {
	var c Change
	for layer := range 12 {
		for i := range 8 {
			for k := range 8 {
				c.Add = append(c.Add, Tuple{Entity{"g", fmt.Sprint(layer, "-", i)}, Member, Entity{"g", fmt.Sprint(layer+1, "-", k)}, 0})
			}
		}
	}
	g, err := Empty().Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	if !g.Roomy(4) {
		t.Errorf("%+v", g.narrow())
	}
}

func BenchmarkApply(b *testing.B) {
	g := crowd(b, 20_000)
	for _, c := range []struct {
		name string
		Change
	}{
		{"member", Change{Add: []Tuple{{Entity{"user", "usr_000000007"}, Member, Entity{"group", "3"}, 0}}}},
		{"inside", Change{Add: []Tuple{{Entity{"group", "3"}, Member, Entity{"group", "all"}, 0}}}},
		{"role", Change{Add: []Tuple{{Entity{"user", "usr_000000007"}, "viewer", Entity{"doc", "3"}, 0}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Apply(c.Change); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
