package graph

import (
	"cmp"
	"hash/maphash"
	"iter"
	"slices"
	"sync/atomic"
)

// Graph is one state of all relations and attributes. It never changes; Apply
// makes another, which shares what is the same.
type Graph struct {
	base    *base
	rels    *relations
	fresh   trie[Entity] // entities that base does not have, by node - base.count()
	freshes uint32
	index   trie[[]Node] // fresh nodes by the sum of their entity
	patches trie[*patch] // what differs from base, by node
	patched int
	facts   trie[*Facts] // what is known otherwise than in base, by node; nil: nothing
	learned int          // nodes in facts
	tuples  int

	attributes int
	sums       sums
	width      *atomic.Pointer[width]
}

// patch is how the relations of one node differ from base.
type patch struct {
	owner   *edit
	out, in delta
	level   uint8
}

// delta is what was added to and taken from the rows of a node, each sorted. A
// relation whose end changed is in both.
type delta struct {
	add []edge
	del []uint64
}

type edge struct {
	key  uint64
	ends int64
}

// edit marks what one Apply made and may still change.
type edit struct{ _ byte }

// Empty returns the graph that holds nothing.
func Empty() *Graph {
	return &Graph{base: &base{seed: maphash.MakeSeed(), starts: []uint32{0}, out: rows{off: []uint32{0}}, in: rows{off: []uint32{0}}}, rels: newRelations(), width: new(atomic.Pointer[width])}
}

// Find returns the node of an entity that some relation or attribute spoke of.
func (g *Graph) Find(e Entity) (Node, bool) {
	h := sum(g.base.seed, e)
	if n, ok := g.base.find(e, h); ok || g.freshes == 0 {
		return n, ok
	}
	same, _ := g.index.get(uint32(h))
	for _, n := range same {
		if g.Entity(n) == e {
			return n, true
		}
	}
	return 0, false
}

// Entity returns what a node stands for.
func (g *Graph) Entity(n Node) Entity {
	if c := g.base.count(); uint32(n) >= c {
		e, _ := g.fresh.get(uint32(n) - c)
		return e
	}
	return Entity{g.base.typeOf(n), g.base.id(n)}
}

// Type returns the type of the entity that a node stands for.
func (g *Graph) Type(n Node) string {
	if uint32(n) < g.base.count() {
		return g.base.typeOf(n)
	}
	return g.Entity(n).Type
}

// Facts returns the attributes of a node, nil if there are none.
func (g *Graph) Facts(n Node) *Facts {
	if f, ok := g.facts.get(uint32(n)); ok {
		return f
	}
	if int(n) < len(g.base.known) {
		if i := g.base.known[n]; i > 0 {
			return g.base.facts[i-1]
		}
	}
	return nil
}

// Relations returns the names of all relations that the graph ever had, by
// number.
func (g *Graph) Relations() []string { return g.rels.names }

func (g *Graph) nodes() uint32 { return g.base.count() + g.freshes }

func (g *Graph) patch(n Node) *patch {
	if g.patched == 0 {
		return nil
	}
	p, _ := g.patches.get(uint32(n))
	return p
}

func (g *Graph) level(n Node) uint8 {
	if p := g.patch(n); p != nil {
		return p.level
	}
	if int(n) < len(g.base.level) {
		return g.base.level[n]
	}
	return 0
}

func (r *rows) row(n Node) (lo, hi uint32) {
	if int(n)+1 >= len(r.off) {
		return 0, 0
	}
	return r.off[n], r.off[n+1]
}

func (r *rows) key(i uint32) uint64 { return edgeKey(r.rel[i], r.node[i]) }

// search returns the first relation of [lo, hi) whose key is not below k.
func (r *rows) search(lo, hi uint32, k uint64) uint32 {
	for lo < hi {
		if m := lo + (hi-lo)/2; r.key(m) < k {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

func (d *delta) deleted(k uint64) bool {
	if len(d.del) == 0 {
		return false
	}
	_, ok := slices.BinarySearch(d.del, k)
	return ok
}

func compareEdge(e edge, k uint64) int { return cmp.Compare(e.key, k) }

// edges returns the relations of a node in one direction, by key.
func (g *Graph) edges(n Node, outward bool) iter.Seq[edge] {
	return func(yield func(edge) bool) {
		r, d := &g.base.in, (*delta)(nil)
		if outward {
			r = &g.base.out
		}
		if p := g.patch(n); p != nil {
			if d = &p.in; outward {
				d = &p.out
			}
		}
		var add []edge
		if d != nil {
			add = d.add
		}
		for i, hi := r.row(n); i < hi; i++ {
			k := r.key(i)
			for len(add) > 0 && add[0].key < k {
				if !yield(add[0]) {
					return
				}
				add = add[1:]
			}
			if (d == nil || !d.deleted(k)) && !yield(edge{k, r.expires.of(i)}) {
				return
			}
		}
		for _, e := range add {
			if !yield(e) {
				return
			}
		}
	}
}

// edge returns the relation from s to o.
func (g *Graph) edge(s Node, rel uint16, o Node) (edge, bool) {
	k := edgeKey(rel, o)
	if p := g.patch(s); p != nil {
		if i, ok := slices.BinarySearchFunc(p.out.add, k, compareEdge); ok {
			return p.out.add[i], true
		}
		if p.out.deleted(k) {
			return edge{}, false
		}
	}
	lo, hi := g.base.out.row(s)
	if i := g.base.out.search(lo, hi, k); i < hi && g.base.out.key(i) == k {
		return edge{k, g.base.out.expires.of(i)}, true
	}
	return edge{}, false
}

// known reports whether a relation or an attribute speaks of the node.
func (g *Graph) known(n Node) bool {
	if g.Facts(n) != nil {
		return true
	}
	for range g.edges(n, true) {
		return true
	}
	for range g.edges(n, false) {
		return true
	}
	return false
}
