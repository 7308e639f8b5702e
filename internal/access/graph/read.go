package graph

import (
	"cmp"
	"iter"
	"slices"
	"sort"
)

// Size counts what the graph holds.
func (g *Graph) Size() Size {
	s := Size{Tuples: g.tuples, Attributes: g.attributes}
	for n := range Node(g.nodes()) {
		if g.known(n) {
			s.Entities++
		}
	}
	return s
}

// Types returns the types of the entities that the graph knows or once knew,
// sorted.
func (g *Graph) Types() []string {
	types := slices.Clone(g.base.types)
	g.fresh.each(func(_ uint32, e Entity) bool {
		if !slices.Contains(types, e.Type) {
			types = append(types, e.Type)
		}
		return true
	})
	slices.Sort(types)
	return types
}

// Known returns the entities of a type that a relation or an attribute speaks of
// and whose id is greater than after, ordered by id.
func (g *Graph) Known(typ, after string) iter.Seq[Entity] {
	return func(yield func(Entity) bool) {
		for n := range g.KnownNodes(typ, after) {
			if !yield(g.Entity(n)) {
				return
			}
		}
	}
}

// KnownNodes returns the same as Known, as nodes.
func (g *Graph) KnownNodes(typ, after string) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		fresh := g.freshOf(typ, after)
		b := g.base
		if t, ok := slices.BinarySearch(b.types, typ); ok {
			first, count := b.starts[t], int(b.starts[t+1]-b.starts[t])
			from := first + uint32(sort.Search(count, func(i int) bool { return b.id(Node(first)+Node(i)) > after }))
			if after == "" {
				from = first
			}
			for n := Node(from); uint32(n) < b.starts[t+1]; n++ {
				for len(fresh) > 0 && g.Entity(fresh[0]).ID < b.id(n) {
					if g.known(fresh[0]) && !yield(fresh[0]) {
						return
					}
					fresh = fresh[1:]
				}
				if g.known(n) && !yield(n) {
					return
				}
			}
		}
		for _, n := range fresh {
			if g.known(n) && !yield(n) {
				return
			}
		}
	}
}

func (g *Graph) freshOf(typ, after string) []Node {
	var out []Node
	g.fresh.each(func(i uint32, e Entity) bool {
		if e.Type == typ && e.ID > after {
			out = append(out, Node(g.base.count()+i))
		}
		return true
	})
	slices.SortFunc(out, func(a, b Node) int { return cmp.Compare(g.Entity(a).ID, g.Entity(b).ID) })
	return out
}

// All returns all tuples, ordered by subject, relation and object.
func (g *Graph) All() iter.Seq[Tuple] {
	return func(yield func(Tuple) bool) {
		for _, typ := range g.Types() {
			for e := range g.Known(typ, "") {
				for _, t := range slices.SortedFunc(g.From(e), compareTuples) {
					if !yield(t) {
						return
					}
				}
			}
		}
	}
}

// From returns the tuples whose subject e is.
func (g *Graph) From(e Entity) iter.Seq[Tuple] {
	return func(yield func(Tuple) bool) {
		n, ok := g.Find(e)
		if !ok {
			return
		}
		for x := range g.edges(n, true) {
			if !yield(Tuple{e, g.rels.names[keyRel(x.key)], g.Entity(keyNode(x.key)), x.ends}) {
				return
			}
		}
	}
}

// To returns the tuples whose object e is.
func (g *Graph) To(e Entity) iter.Seq[Tuple] {
	return func(yield func(Tuple) bool) {
		n, ok := g.Find(e)
		if !ok {
			return
		}
		for x := range g.edges(n, false) {
			if !yield(Tuple{g.Entity(keyNode(x.key)), g.rels.names[keyRel(x.key)], e, x.ends}) {
				return
			}
		}
	}
}

// Has returns the tuple of subject, relation and object with its end, if there
// is one.
func (g *Graph) Has(s Entity, relation string, o Entity) (Tuple, bool) {
	from, ok := g.Find(s)
	to, ok2 := g.Find(o)
	rel, ok3 := g.rels.numbers[relation]
	if !ok || !ok2 || !ok3 {
		return Tuple{}, false
	}
	x, ok := g.edge(from, rel, to)
	return Tuple{s, relation, o, x.ends}, ok
}

// Attributes returns what is known about e, by name.
func (g *Graph) Attributes(e Entity) iter.Seq2[string, any] {
	n, ok := g.Find(e)
	if !ok {
		return (*Facts)(nil).All()
	}
	return g.Facts(n).All()
}

// HasAttribute reports whether an entity has an attribute, whatever its value.
func (g *Graph) HasAttribute(e Entity, name string) bool {
	n, ok := g.Find(e)
	return ok && g.Facts(n).has(name)
}

func compareEntities(a, b Entity) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
}

func compareTuples(a, b Tuple) int {
	return cmp.Or(compareEntities(a.Subject, b.Subject), cmp.Compare(a.Relation, b.Relation), compareEntities(a.Object, b.Object))
}
