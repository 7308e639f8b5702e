package graph

import (
	"math"
	"slices"
)

// width bounds how many relations lead up from any node, members and parents
// together and those that have ended, too. It was exact, or nearly, when it was
// measured; since then it only grows with what is added, so that Apply need not look
// at what is below.
type width struct {
	most  int    // from one node, when it was measured
	inner int    // from one that has something inside
	added int    // since then, to nodes that have something inside
	own   int    // since then, to one node at most
	over  []Node // those from which more than manyWays lead up, when it was measured
}

// manyWays is from how many relations upward on a node is worth being looked at.
const manyWays = MaxClosure / 8

// wayCap is where ways are no longer counted.
const wayCap = 1 << 20

// bound is at least as many as lead up from any node. What was there leads up by
// most; each relation that was added leads to one more, and to what was above that.
func (w *width) bound() int { return w.most + (w.added+w.own)*(1+w.inner) }

// narrow is the bound where it is known without a look at the graph.
func (g *Graph) narrow() *width {
	if w := g.width.Load(); w != nil {
		return w
	}
	return &width{}
}

// widen counts a relation upward that was added.
func (w *writer) widen(s, o Node) {
	if w.inside(o) == 1 { // now it has something inside, so whatever leads up from it counts
		w.wide.added += w.upward(o)
	}
	if w.inside(s) > 0 {
		w.wide.added++
	}
	n, _ := slices.BinarySearchFunc(w.own(s).out.add, firstRole<<48, compareEdge)
	w.wide.own = max(w.wide.own, n)
}

// inside is 0, 1, or 2 for more: how many are directly inside of a node.
func (g *Graph) inside(n Node) (few int) {
	p, in := g.patch(n), &g.base.in
	for i, hi := in.row(n); i < hi && in.rel[i] < firstRole && few < 2; i++ {
		if p == nil || !p.in.deleted(in.key(i)) {
			few++
		}
	}
	if p != nil {
		for _, x := range p.in.add {
			if few == 2 || keyRel(x.key) >= firstRole {
				break
			}
			few++
		}
	}
	return few
}

// upward counts the relations of a node to what it is directly inside of.
func (g *Graph) upward(n Node) (count int) {
	for x := range g.edges(n, true) {
		if keyRel(x.key) >= firstRole {
			break
		}
		count++
	}
	return count
}

// measure looks at all nodes, once for a graph and those that follow from it until
// much was added.
func (g *Graph) measure() *width {
	if w := g.narrow(); w.added+w.own == 0 {
		return w
	}
	ways := make([]uint32, g.nodes()) // plus one; 0 is not known yet
	var count func(n Node) uint32
	count = func(n Node) uint32 {
		if ways[n] > 0 {
			return ways[n]
		}
		sum := uint32(1)
		for x := range g.edges(n, true) {
			if keyRel(x.key) >= firstRole {
				break
			}
			sum = min(sum+count(keyNode(x.key)), wayCap)
		}
		ways[n] = sum
		return sum
	}
	w, direct, all := &width{}, 0, 0
	for n := range Node(g.nodes()) {
		up := g.upward(n)
		direct = max(direct, up)
		has := g.inside(n) > 0
		if has {
			all += up
		}
		w.take(n, int(count(n)-1), has)
	}
	w.all(direct, all)
	g.width.Store(w)
	return w
}

// take learns how many ways, at least as many as relations, lead up from a node.
func (w *width) take(n Node, ways int, inner bool) {
	if ways > manyWays {
		w.over = append(w.over, n)
	}
	if w.most = max(w.most, ways); inner {
		w.inner = max(w.inner, ways)
	}
}

// all learns how many relations upward there are of one node at most, and of all
// that have something inside. Groups that are in each other many times have many
// ways, but no more relations than these.
func (w *width) all(direct, inside int) {
	w.inner = min(w.inner, inside)
	if w.most = min(w.most, direct+inside); w.most <= manyWays {
		w.over = nil
	}
	if w.most >= wayCap { // nobody counted on
		w.most, w.inner = math.MaxInt32, math.MaxInt32
	}
}

// Roomy reports whether so many entities together are never above more than a
// question looks at, whichever they are. It is known without a look at the graph
// nearly always.
func (g *Graph) Roomy(together int) bool {
	most := MaxClosure/together - 1
	return g.narrow().bound() <= most || g.measure().bound() <= most
}

// Crowded returns the entities of some types that may be above more than a
// question looks at when so many are together; false if it is not known of which.
func (g *Graph) Crowded(types []string, together int) ([]Node, bool) {
	if MaxClosure/together-1 < manyWays {
		return nil, false
	}
	var out []Node
	for _, n := range g.measure().over {
		if slices.Contains(types, g.Type(n)) {
			out = append(out, n)
		}
	}
	return out, true
}

// Fits reports whether an entity can be with so many others of its kind and still
// be climbed from.
func (g *Graph) Fits(n Node, together int, at int64, a *Above) bool {
	return g.climb(n, Parent, at, a, MaxWays/together-1) == nil && a.Len() <= MaxClosure/together-1
}
