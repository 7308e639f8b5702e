package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Ids that somebody who joins, splits or escapes them would take for others.
var confusing = []string{"a", "b", "ab", "a:b", "a#b", "a@b", "a,b", "a\x00", "\x00a", "a|b", "a/b", "a\" b", "A", "á", "a ", " a", "a\nb", "*", "%", "\xff", "..", "a::b"}

func drawEntity(t *rapid.T) Entity {
	return Entity{
		Type: rapid.SampledFrom([]string{"u", "g", "u:a", "d"}).Draw(t, "type"),
		ID:   rapid.SampledFrom(confusing).Draw(t, "id"),
	}
}

func drawTuple(t *rapid.T) Tuple {
	return Tuple{
		Subject:  drawEntity(t),
		Relation: rapid.SampledFrom([]string{Member, Parent, "viewer", "editor", "view", "er"}).Draw(t, "relation"),
		Object:   drawEntity(t),
		Expires:  rapid.SampledFrom([]int64{0, 0, 0, 10, 20}).Draw(t, "expires"),
	}
}

func drawChange(t *rapid.T) Change {
	attr := rapid.Custom(func(t *rapid.T) Attribute {
		return Attribute{drawEntity(t), rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name"), rapid.Int64Range(0, 3).Draw(t, "value")}
	})
	return Change{
		Add:    rapid.SliceOfN(rapid.Custom(drawTuple), 0, 6).Draw(t, "add"),
		Remove: rapid.SliceOfN(rapid.Custom(drawTuple), 0, 4).Draw(t, "remove"),
		Set:    rapid.SliceOfN(attr, 0, 3).Draw(t, "set"),
		Unset:  rapid.SliceOfN(attr, 0, 2).Draw(t, "unset"),
		Drop:   rapid.SliceOfN(rapid.Custom(drawEntity), 0, 1).Draw(t, "drop"),
	}
}

// Histories of changes: the graph agrees with maps after each, is the same after
// a rebuild, and old states stay what they were.
func TestApplyAgreesWithMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, p := Empty(), emptyPlain()
		type past struct {
			g    *Graph
			want []Tuple
		}
		var history []past
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			c := drawChange(t)
			g2, err := g.Apply(c)
			p2, want := p.Apply(c)
			if (err == nil) != (want == nil) || errors.Is(err, ErrCycle) != errors.Is(want, ErrCycle) {
				t.Fatalf("Apply(%+v)\n got %v\nwant %v", c, err, want)
			}
			if err == nil {
				g, p = g2, p2
			}
			if rapid.Bool().Draw(t, "rebuild") {
				if g, err = g.rebuild(Change{}); err != nil {
					t.Fatal(err)
				}
			}
			agree(t, g, p)
			history = append(history, past{g, slices.Collect(g.All())})
			if twice, err := g.Apply(c); want == nil && err == nil && len(c.Drop) == 0 {
				agree(t, twice, p)
			}
		}
		for _, h := range history {
			if got := slices.Collect(h.g.All()); !slices.Equal(got, h.want) {
				t.Fatalf("an old state changed: %v, was %v", got, h.want)
			}
		}
	})
}

func agree(t *rapid.T, g *Graph, p *plain) {
	t.Helper()
	if got, want := slices.Collect(g.All()), slices.Collect(p.All()); !slices.Equal(got, want) {
		t.Fatalf("tuples:\n got %v\nwant %v", got, want)
	}
	if got, want := g.Size(), p.Size(); got != want {
		t.Fatalf("size: got %+v, want %+v", got, want)
	}
	if got, want := g.Sum(), p.Sum(); got != want {
		t.Fatalf("sum: got %x, want %x", got, want)
	}
	for _, part := range []string{"u g", "u d", "u:a", "g d u:a", ""} {
		has := func(typ string) bool { return slices.Contains(strings.Fields(part), typ) }
		if got, want := g.SumOf(has), p.SumOf(has); got != want {
			t.Fatalf("sum of %q: got %x, want %x", part, got, want)
		}
	}
	for _, typ := range []string{"u", "g", "u:a", "d"} {
		for _, after := range []string{"", "a", "b"} {
			if got, want := slices.Collect(g.Known(typ, after)), slices.Collect(p.Known(typ, after)); !slices.Equal(got, want) {
				t.Fatalf("Known(%q, %q): got %v, want %v", typ, after, got, want)
			}
		}
		for e := range p.Known(typ, "") {
			if got, want := maps.Collect(g.Attributes(e)), maps.Collect(p.Attributes(e)); !reflect.DeepEqual(got, want) {
				t.Fatalf("attributes of %s: got %v, want %v", e, got, want)
			}
			for at := range []int64{5, 10, 15, 25} {
				climbs(t, g, p, e, int64(at))
			}
			n, _ := g.Find(e)
			if _, depth := p.walk(e, p.out, func(t Tuple) Entity { return t.Object }); depth != int(g.level(n)) {
				t.Fatalf("level of %s: got %d, want %d", e, g.level(n), depth)
			}
		}
	}
}

func climbs(t *rapid.T, g *Graph, p *plain, e Entity, at int64) {
	t.Helper()
	n, _ := g.Find(e)
	for _, relation := range []string{Member, Parent} {
		var a Above
		if err := g.Climb(n, relation, at, &a); err != nil {
			t.Fatal(err)
		}
		pure, all := p.above(e, at, relation), p.above(e, at, Member, Parent)
		if len(pure) != a.pure || len(all) != len(a.nodes) {
			t.Fatalf("above %s at %d by %s: got %d and %d, want %v and %v", e, at, relation, a.pure, len(a.nodes), pure, all)
		}
		for i, n := range a.nodes {
			if x := g.Entity(n); i < a.pure && !pure[x] || !all[x] {
				t.Fatalf("above %s at %d by %s: found %s", e, at, relation, x)
			}
		}
	}
}

// above is Climb by fixpoint.
func (g *plain) above(e Entity, at int64, relations ...string) map[Entity]bool {
	out := map[Entity]bool{e: true}
	for grown := true; grown; {
		grown = false
		for x := range out {
			for _, t := range g.out[x] {
				if slices.Contains(relations, t.Relation) && (t.Expires == 0 || t.Expires > at) && !out[t.Object] {
					out[t.Object], grown = true, true
				}
			}
		}
	}
	return out
}

// Whatever differs has another sum, also where there is as much of it.
func TestSumsTellGraphsApart(t *testing.T) {
	a, b, g := Entity{"user", "a"}, Entity{"user", "b"}, Entity{"group", "g"}
	seen := map[uint64]int{}
	for i, c := range []Change{
		{}, {Add: []Tuple{{a, Member, g, 0}}}, {Add: []Tuple{{b, Member, g, 0}}}, {Add: []Tuple{{a, Member, g, 7}}}, {Add: []Tuple{{a, "viewer", g, 0}}}, {Add: []Tuple{{g, "viewer", a, 0}}},
		{Set: []Attribute{{a, "x", "1"}}}, {Set: []Attribute{{a, "x", int64(1)}}}, {Set: []Attribute{{a, "x", true}}}, {Set: []Attribute{{a, "x", "true"}}}, {Set: []Attribute{{a, "y", "1"}}}, {Set: []Attribute{{b, "x", "1"}}},
		{Set: []Attribute{{Entity{"us", "era"}, "x", "1"}}}, {Set: []Attribute{{a, "x", []any{"1"}}}}, {Set: []Attribute{{a, "x", []any{"1", "2"}}}},
	} {
		got, err := Empty().Apply(c)
		if err != nil {
			t.Fatal(err)
		}
		if before, taken := seen[got.Sum()]; taken {
			t.Errorf("%d and %d have the same sum", before, i)
		}
		seen[got.Sum()] = i
	}
	of := func(v any) uint64 {
		got, err := Empty().Apply(Change{Set: []Attribute{{a, "x", v}}})
		if err != nil {
			t.Fatal(err)
		}
		return got.Sum()
	}
	if of(int64(-7)) != of(json.Number("-7")) {
		t.Error("a number that came as text is another one")
	}
}

func TestLimits(t *testing.T) {
	e := func(i int) Entity { return Entity{"g", fmt.Sprint(i)} }
	chain := func(n int) (c Change) {
		for i := range n {
			c.Add = append(c.Add, Tuple{e(i), Member, e(i + 1), 0})
		}
		return c
	}
	if _, err := Empty().Apply(chain(MaxDepth)); err != nil {
		t.Errorf("%d levels: %v", MaxDepth, err)
	}
	_, err := Empty().Apply(chain(MaxDepth + 1))
	refused(t, err, ErrDepth, `g "32" member g "33"`)
	g, err := Empty().Apply(chain(5))
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Apply(Change{Add: []Tuple{{e(5), Parent, e(0), 0}}})
	refused(t, err, ErrCycle, `g "5" parent g "0"`)
	_, err = g.Apply(Change{Add: []Tuple{{e(5), Member, e(5), 0}}})
	refused(t, err, ErrCycle, `g "5" member of itself`)
	if _, err = g.Apply(Change{Remove: []Tuple{{e(2), Member, e(3), 0}}, Add: []Tuple{{e(5), Member, e(0), 0}}}); err != nil {
		t.Errorf("a circle that was opened in the same change: %v", err)
	}

	var wide Change
	for i := range MaxClosure + 1 {
		wide.Add = append(wide.Add, Tuple{Entity{"u", "u"}, Member, e(i), 0})
	}
	_, err = Empty().Apply(wide)
	refused(t, err, ErrClosure, `u "u"`)
	half, err := Empty().Apply(Change{Add: wide.Add[:MaxClosure]})
	if err != nil {
		t.Fatalf("%d groups: %v", MaxClosure, err)
	}
	_, err = half.Apply(Change{Add: wide.Add[MaxClosure:]})
	refused(t, err, ErrClosure, `u "u"`)

	// What is built at once is held to the same.
	b := NewBuilder()
	for _, x := range append(chain(5).Add, Tuple{e(5), Member, e(2), 0}) {
		if err := b.Add(x); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.Graph()
	refused(t, err, ErrCycle, `g "`)
	b = NewBuilder()
	for _, x := range chain(MaxDepth + 1).Add {
		_ = b.Add(x)
	}
	_, err = b.Graph()
	refused(t, err, ErrDepth, `g "`)
}

func refused(t *testing.T, err, want error, says string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want %v that says %s", err, want, says)
	}
}

func TestWhatIsNoRelation(t *testing.T) {
	long := strings.Repeat("x", MaxID+1)
	ok := Entity{"u", "u"}
	for _, bad := range []Tuple{
		{Entity{"", "u"}, Member, ok, 0}, {Entity{"u", ""}, Member, ok, 0}, {ok, "", Entity{"g", "g"}, 0},
		{ok, Member, Entity{"g", long}, 0}, {ok, long, Entity{"g", "g"}, 0}, {ok, Member, Entity{long, "g"}, 0}, {ok, Member, Entity{"g", "g"}, -1},
	} {
		if _, err := Empty().Apply(Change{Add: []Tuple{bad}}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.60v: got %v", bad, err)
		}
		if err := NewBuilder().Add(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("built %.60v: got %v", bad, err)
		}
	}
}

// Groups that are all in each other are few, and yet there are millions of ways up:
// nobody climbs them.
func TestFewGroupsWithManyWays(t *testing.T) {
	b := NewBuilder()
	const wide = 210
	at := func(layer, i int) Entity { return Entity{"g", fmt.Sprint(layer, "-", i)} }
	for layer := range 3 {
		for i := range wide {
			for k := range wide {
				if err := b.Add(Tuple{at(layer, i), Member, at(layer+1, k), 0}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	for layer, want := range []error{ErrClosure, nil, nil} {
		n, _ := g.Find(at(layer, 0))
		var a Above
		if err := g.Climb(n, Member, 1, &a); !errors.Is(err, want) || len(a.links) > 2*MaxWays+wide {
			t.Errorf("layer %d: %v after %d ways", layer, err, len(a.links))
		}
	}
}

// A large graph is made compact by itself and stays the same.
func TestRebuildsByItself(t *testing.T) {
	g, want := Empty(), 0
	for i := range 40 {
		var c Change
		for k := range 500 {
			c.Add = append(c.Add, Tuple{Entity{"u", fmt.Sprint(i*500 + k)}, Member, Entity{"g", fmt.Sprint(k % 50)}, int64(k % 2 * 1000)})
		}
		var err error
		if g, err = g.Apply(c); err != nil {
			t.Fatal(err)
		}
		want += 500
	}
	if g.base.count() == 0 {
		t.Error("the graph was never made compact")
	}
	if got := g.Size(); got.Tuples != want || got.Entities != want+50 {
		t.Errorf("got %+v, want %d tuples", got, want)
	}
	if x, ok := g.Has(Entity{"u", "1501"}, Member, Entity{"g", "1"}); !ok || x.Expires != 1000 {
		t.Errorf("got %+v %v", x, ok)
	}
	if len(slices.Collect(g.To(Entity{"g", "7"}))) != want/50 {
		t.Error("members of a group got lost")
	}
}

// A large graph is made compact by whoever asks for it, not by the change that made
// it worth it, and is the same then.
func TestLargeGraphsAreCompactedBeside(t *testing.T) {
	b := NewBuilder()
	name := func(i int) Entity { return Entity{"doc", fmt.Sprint(i)} }
	for i := range rebuildSmall + 1 {
		if err := b.Set(Attribute{name(i), "n", true}); err != nil {
			t.Fatal(err)
		}
	}
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	var c Change
	for i := range rebuildSmall/2 + rebuildAt {
		c.Add = append(c.Add, Tuple{name(i), "owner", name(i + 1), 0})
	}
	for part := range slices.Chunk(c.Add, rebuildAt) {
		if g, err = g.Apply(Change{Add: part}); err != nil {
			t.Fatal(err)
		}
	}
	if !g.Stale() {
		t.Fatal("so much differs, and it is not worth it")
	}
	fresh, err := g.Compact()
	if err != nil || fresh.Stale() || fresh.Size() != g.Size() {
		t.Errorf("%v, stale %v, %+v instead of %+v", err, fresh.Stale(), fresh.Size(), g.Size())
	}
}
