package graph

import (
	"fmt"
	"iter"
	"slices"
)

// Above is all that an entity is inside of at a time. Its memory is used again
// by the next Climb.
type Above struct {
	nodes []Node // itself first, then by distance
	steps []step // how each was reached; the first is empty
	pure  int    // the first so many are reached by one relation alone
	links []Link // all relations between the first ones
	mixed bool   // the other relation leads somewhere, too
	set   nodeSet
}

type step struct {
	below int32 // index of the node from which this one was reached
	rel   uint16
	ends  int64
}

// Link says that the node at index Below is directly inside the one at Above.
type Link struct{ Below, Above int32 }

// Climb finds all that n is inside of at a time: first along one relation alone,
// Member or Parent, then along both.
func (g *Graph) Climb(n Node, relation string, at int64, a *Above) error {
	return g.climb(n, relation, at, a, 2*MaxWays) // each is met once or twice
}

func (g *Graph) climb(n Node, relation string, at int64, a *Above, ways int) error {
	a.nodes, a.steps = append(a.nodes[:0], n), append(a.steps[:0], step{below: -1})
	a.links, a.mixed = a.links[:0], false
	a.set.reset()
	rel := uint16(memberRel)
	if relation == Parent {
		rel = parentRel
	}
	for i := 0; i < len(a.nodes); i++ {
		g.climbFrom(i, rel, rel, at, a)
		if err := g.bounded(n, a, ways); err != nil {
			return err
		}
	}
	a.pure = len(a.nodes)
	if !a.mixed {
		return nil
	}
	links := len(a.links)
	for i := 0; i < len(a.nodes); i++ {
		g.climbFrom(i, memberRel, parentRel, at, a)
		if err := g.bounded(n, a, ways); err != nil {
			return err
		}
	}
	a.links = a.links[:links]
	return nil
}

// bounded refuses what is too much to climb: too many above, or too many ways there,
// since a few thousand groups that are all in each other have millions of those.
func (g *Graph) bounded(n Node, a *Above, ways int) error {
	switch {
	case len(a.nodes) > MaxClosure+1:
		return fmt.Errorf("%w: %s would be inside more than %d", ErrClosure, g.Entity(n), MaxClosure)
	case len(a.links) > ways:
		return fmt.Errorf("%w: more than %d ways lead up from %s", ErrClosure, MaxWays, g.Entity(n))
	}
	return nil
}

func (g *Graph) climbFrom(i int, first, last uint16, at int64, a *Above) {
	n := a.nodes[i]
	p := g.patch(n)
	out := &g.base.out
	for k, hi := out.row(n); k < hi && out.rel[k] < firstRole; k++ {
		if p != nil && p.out.deleted(out.key(k)) {
			continue
		}
		a.reach(i, out.node[k], out.rel[k], out.expires.of(k), first, last, at)
	}
	if p == nil {
		return
	}
	for _, x := range p.out.add {
		if keyRel(x.key) >= firstRole {
			break
		}
		a.reach(i, keyNode(x.key), keyRel(x.key), x.ends, first, last, at)
	}
}

func (a *Above) reach(i int, n Node, rel uint16, ends int64, first, last uint16, at int64) {
	if ends != 0 && ends <= at {
		return
	}
	if rel < first || rel > last {
		a.mixed = true
		return
	}
	j := a.index(n)
	if j < 0 {
		j = len(a.nodes)
		a.nodes, a.steps = append(a.nodes, n), append(a.steps, step{int32(i), rel, ends})
		a.set.note(a.nodes)
	}
	a.links = append(a.links, Link{int32(i), int32(j)})
}

// Len counts what was found, the entity itself included.
func (a *Above) Len() int { return len(a.nodes) }

// Contains reports whether n was found.
func (a *Above) Contains(n Node) bool { return a.index(n) >= 0 }

// Index returns where n was found, or -1.
func (a *Above) Index(n Node) int { return a.index(n) }

// Node returns what was found at an index; the entity itself is at 0.
func (a *Above) Node(i int) Node { return a.nodes[i] }

// Pure counts what was found along the one relation alone. It comes first.
func (a *Above) Pure() int { return a.pure }

// Links returns who of the first Pure is directly inside whom, ordered by Below.
func (a *Above) Links() []Link { return a.links }

// Nothing makes a the closure of an entity that no graph knows.
func (a *Above) Nothing() {
	a.nodes, a.steps, a.links, a.pure = a.nodes[:0], a.steps[:0], a.links[:0], 0
	a.set.reset()
}

// Steps counts the steps that lead from the entity up to what was found at i.
func (a *Above) Steps(i int) (n int) {
	for ; i > 0; i = int(a.steps[i].below) {
		n++
	}
	return n
}

// Up appends to way the steps that lead from the entity up to what was found at i.
func (g *Graph) Up(a *Above, i int, way []Tuple) []Tuple {
	n := len(way)
	way = g.Down(a, i, way)
	slices.Reverse(way[n:])
	return way
}

// Down appends to way the steps of Up from their end.
func (g *Graph) Down(a *Above, i int, way []Tuple) []Tuple {
	if i <= 0 {
		return way
	}
	above := g.Entity(a.nodes[i])
	for i > 0 {
		s := a.steps[i]
		below := g.Entity(a.nodes[s.below])
		way = append(way, Tuple{below, g.rels.names[s.rel], above, s.ends})
		i, above = int(s.below), below
	}
	return way
}

func (a *Above) index(n Node) int { return a.set.index(a.nodes, n) }

// nodeSet finds nodes in a slice: by looking at each while they are few, by a
// hash table when they are many.
type nodeSet struct {
	slots []uint32 // index + 1
	live  bool
}

const few = 16

func (s *nodeSet) reset() { s.live = false }

// note learns the last of the nodes.
func (s *nodeSet) note(nodes []Node) {
	switch {
	case len(nodes) <= few:
	case s.live && len(nodes)*2 <= len(s.slots):
		s.put(nodes[len(nodes)-1], len(nodes)-1)
	default:
		size := max(64, 4*len(nodes))
		for size&(size-1) != 0 {
			size &= size - 1
		}
		if size *= 2; cap(s.slots) >= size {
			s.slots = s.slots[:size]
			clear(s.slots)
		} else {
			s.slots = make([]uint32, size)
		}
		s.live = true
		for i, n := range nodes {
			s.put(n, i)
		}
	}
}

func slot(n Node) uint32 { return uint32(n) * 0x9e3779b1 >> 7 }

func (s *nodeSet) put(n Node, i int) {
	mask := uint32(len(s.slots) - 1)
	at := slot(n) & mask
	for s.slots[at] != 0 {
		at = (at + 1) & mask
	}
	s.slots[at] = uint32(i) + 1
}

func (s *nodeSet) index(nodes []Node, n Node) int {
	if !s.live {
		return slices.Index(nodes, n)
	}
	mask := uint32(len(s.slots) - 1)
	for at := slot(n) & mask; s.slots[at] != 0; at = (at + 1) & mask {
		if i := int(s.slots[at] - 1); nodes[i] == n {
			return i
		}
	}
	return -1
}

// Held says that a role was granted: which, to which of the subjects above, and
// until when.
type Held struct {
	Relation uint16 // number in Relations
	Subject  int32  // index in the closure of the subject
	Ends     int64
}

// Grants appends to dst the roles that the subject, or a group it is a member
// of, was granted on the i-th resource above, and that have not ended. Its cost
// does not grow with the number of others to whom something was granted there.
func (g *Graph) Grants(subject, resource *Above, i int, at int64, dst []Held) []Held {
	return g.GrantsOn(subject, resource.nodes[i], at, dst)
}

// GrantsOn is Grants for one node.
func (g *Graph) GrantsOn(subject *Above, o Node, at int64, dst []Held) []Held {
	in := &g.base.in
	p := g.patch(o)
	lo, hi := in.row(o)
	if lo < hi && (in.rel[hi-1] >= firstRole) {
		lo = in.search(lo, hi, firstRole<<48)
		if int(hi-lo) <= 4*subject.pure {
			for k := lo; k < hi; k++ {
				if j := subject.index(in.node[k]); j >= 0 && j < subject.pure {
					dst = g.grant(p, in, k, j, at, dst)
				}
			}
		} else {
			for j, s := range subject.nodes[:subject.pure] {
				for k := in.search(lo, hi, edgeKey(firstRole, s)); k < hi && in.node[k] == s; k++ {
					dst = g.grant(p, in, k, j, at, dst)
				}
			}
		}
	}
	if p == nil {
		return dst
	}
	add := p.in.add
	from, _ := slices.BinarySearchFunc(add, firstRole<<48, compareEdge)
	add = add[from:]
	if len(add) <= 4*subject.pure {
		for _, x := range add {
			if j := subject.index(keyNode(x.key)); j >= 0 && j < subject.pure && (x.ends == 0 || x.ends > at) {
				dst = append(dst, Held{keyRel(x.key), int32(j), x.ends})
			}
		}
		return dst
	}
	for j, s := range subject.nodes[:subject.pure] {
		k, _ := slices.BinarySearchFunc(add, edgeKey(firstRole, s), compareEdge)
		for ; k < len(add) && keyNode(add[k].key) == s; k++ {
			if x := add[k]; x.ends == 0 || x.ends > at {
				dst = append(dst, Held{keyRel(x.key), int32(j), x.ends})
			}
		}
	}
	return dst
}

func (g *Graph) grant(p *patch, in *rows, k uint32, j int, at int64, dst []Held) []Held {
	if p != nil && p.in.deleted(in.key(k)) {
		return dst
	}
	if ends := in.expires.of(k); ends == 0 || ends > at {
		return append(dst, Held{in.rel[k], int32(j), ends})
	}
	return dst
}

// Parents appends to dst what a node is directly inside of at a time by Parent
// alone. mixed says that it is inside others by Member, too.
func (g *Graph) Parents(n Node, at int64, dst []Node) (parents []Node, mixed bool) {
	p := g.patch(n)
	out := &g.base.out
	take := func(to Node, rel uint16, ends int64) {
		switch {
		case ends != 0 && ends <= at:
		case rel == parentRel:
			dst = append(dst, to)
		default:
			mixed = true
		}
	}
	for k, hi := out.row(n); k < hi && out.rel[k] < firstRole; k++ {
		if p == nil || !p.out.deleted(out.key(k)) {
			take(out.node[k], out.rel[k], out.expires.of(k))
		}
	}
	if p == nil {
		return dst, mixed
	}
	for _, x := range p.out.add {
		if keyRel(x.key) >= firstRole {
			break
		}
		take(keyNode(x.key), keyRel(x.key), x.ends)
	}
	return dst, mixed
}

// Upward returns what a node is directly inside of at a time, by either relation.
func (g *Graph) Upward(n Node, at int64) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for x := range g.edges(n, true) {
			if keyRel(x.key) >= firstRole {
				return
			}
			if (x.ends == 0 || x.ends > at) && !yield(keyNode(x.key)) {
				return
			}
		}
	}
}
