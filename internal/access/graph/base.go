package graph

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
)

// Node is the number of an entity in one graph and those made from it by Apply
// without a rebuild. Numbers mean nothing outside.
type Node uint32

// The numbers of the relations that everybody knows. Roles follow.
const (
	memberRel = 0
	parentRel = 1
	firstRole = 2
)

// base is the compact part of a graph, made once and shared by all that follow
// until the next rebuild. Its nodes are sorted by type and id.
type base struct {
	seed   maphash.Seed
	types  []string // sorted
	starts []uint32 // first node of each type; the last entry is the number of nodes
	ids    string   // all ids, one after the other
	ends   []uint32 // where each id ends in ids
	slots  []uint32 // open hash table: node + 1
	out    rows
	in     rows
	level  []uint8  // steps to the farthest that a node is inside of
	known  []uint32 // which of facts is about each node, plus one; nil: nothing is known
	facts  []*Facts // no two of entities of one type say the same
}

// rows are the relations of all nodes in one direction: of node n those from
// off[n] to off[n+1], members first, then parents, then roles, each by the
// number of the other end.
type rows struct {
	off     []uint32
	node    []Node
	rel     []uint16
	expires expiries
}

// expiries holds the ends of the few relations that end.
type expiries struct {
	some []uint64 // a bit for each relation; nil: none ends
	at   []uint32 // relations that end, sorted
	when []int64
}

func (e *expiries) of(i uint32) int64 {
	if e.some == nil || e.some[i/64]>>(i%64)&1 == 0 {
		return 0
	}
	k, _ := slices.BinarySearch(e.at, i)
	return e.when[k]
}

func (b *base) count() uint32 { return uint32(len(b.ends)) }

func (b *base) id(n Node) string {
	if n == 0 {
		return b.ids[:b.ends[0]]
	}
	return b.ids[b.ends[n-1]:b.ends[n]]
}

func (b *base) typeOf(n Node) string { return b.types[b.typeNumber(n)] }

func (b *base) typeNumber(n Node) (i int) {
	for uint32(n) >= b.starts[i+1] {
		i++
	}
	return i
}

// sum is where the search for an entity begins. It decides nothing: what is found
// there is compared with type and id in full.
func sum(seed maphash.Seed, e Entity) uint64 {
	return maphash.String(seed, e.ID)*0x9e3779b97f4a7c15 ^ maphash.String(seed, e.Type)
}

func (b *base) find(e Entity, h uint64) (Node, bool) {
	if len(b.slots) == 0 {
		return 0, false
	}
	t, ok := slices.BinarySearch(b.types, e.Type)
	if !ok {
		return 0, false
	}
	first, last := b.starts[t], b.starts[t+1]
	mask := uint64(len(b.slots) - 1)
	for i := h & mask; b.slots[i] != 0; i = (i + 1) & mask {
		if n := b.slots[i] - 1; n >= first && n < last && b.id(Node(n)) == e.ID {
			return Node(n), true
		}
	}
	return 0, false
}

// Builder makes a graph of many relations at once, with little more memory than
// the graph itself takes.
type Builder struct {
	seed  maphash.Seed
	types map[string]uint32
	names []string
	rels  *relations
	ids   []byte
	ends  []uint32
	typ   []uint32
	slots []uint32

	subject, object []uint32
	rel             []uint16
	expires         map[int]int64

	about, word []uint32 // attributes: of which node, and the number of their name
	value       []any
	words       map[string]uint32
	named       []string
	lately      [64]any // texts that were set last
}

// NewBuilder returns a builder that holds nothing.
func NewBuilder() *Builder {
	return &Builder{seed: maphash.MakeSeed(), types: map[string]uint32{}, rels: newRelations(), slots: make([]uint32, 1024),
		expires: map[int]int64{}, words: map[string]uint32{}}
}

// Add adds a relation. Of two that differ only in their end, the later counts.
func (b *Builder) Add(t Tuple) error {
	if err := checkTuple(t); err != nil {
		return err
	}
	if len(b.subject) >= math.MaxUint32/2 {
		return fmt.Errorf("%w: there are more relations than a graph can hold", ErrInvalid)
	}
	rel, err := b.rels.number(t.Relation)
	if err != nil {
		return err
	}
	s, err := b.intern(t.Subject)
	if err != nil {
		return err
	}
	o, err := b.intern(t.Object)
	if err != nil {
		return err
	}
	if t.Expires != 0 {
		b.expires[len(b.subject)] = t.Expires
	}
	b.subject, b.object, b.rel = append(b.subject, s), append(b.object, o), append(b.rel, rel)
	return nil
}

// Set sets an attribute.
func (b *Builder) Set(a Attribute) error {
	if err := checkAttribute(a); err != nil {
		return err
	}
	n, err := b.intern(a.Entity)
	if err != nil {
		return err
	}
	w, ok := b.words[a.Name]
	if !ok {
		w = uint32(len(b.named))
		b.words[a.Name] = w
		b.named = append(b.named, a.Name)
	}
	b.about, b.word, b.value = append(b.about, n), append(b.word, w), append(b.value, b.shared(a.Value))
	return nil
}

// shared returns a value as it was set before, if that was not long ago: a million
// people are active.
func (b *Builder) shared(v any) any {
	text, ok := v.(string)
	if !ok {
		return v
	}
	at := &b.lately[maphash.String(b.seed, text)%uint64(len(b.lately))]
	if *at != v {
		*at = v
	}
	return *at
}

func (b *Builder) intern(e Entity) (uint32, error) {
	t, ok := b.types[e.Type]
	if !ok {
		t = uint32(len(b.names))
		b.types[e.Type] = t
		b.names = append(b.names, e.Type)
	}
	mask := uint64(len(b.slots) - 1)
	i := sum(b.seed, e) & mask
	for ; b.slots[i] != 0; i = (i + 1) & mask {
		if n := b.slots[i] - 1; b.typ[n] == t && string(b.id(n)) == e.ID {
			return n, nil
		}
	}
	if len(b.ids)+len(e.ID) > math.MaxUint32 || len(b.ends) >= math.MaxUint32-1 {
		return 0, fmt.Errorf("%w: there are more entities than a graph can hold", ErrInvalid)
	}
	n := uint32(len(b.ends))
	b.ids = append(b.ids, e.ID...)
	b.ends, b.typ = append(b.ends, uint32(len(b.ids))), append(b.typ, t)
	b.slots[i] = n + 1
	if len(b.ends)*4 > len(b.slots)*3 {
		b.slots = make([]uint32, 2*len(b.slots))
		for n := range b.ends {
			b.place(uint32(n))
		}
	}
	return n, nil
}

func (b *Builder) place(n uint32) {
	mask := uint64(len(b.slots) - 1)
	i := sum(b.seed, Entity{b.names[b.typ[n]], string(b.id(n))}) & mask
	for b.slots[i] != 0 {
		i = (i + 1) & mask
	}
	b.slots[i] = n + 1
}

func (b *Builder) id(n uint32) []byte {
	if n == 0 {
		return b.ids[:b.ends[0]]
	}
	return b.ids[b.ends[n-1]:b.ends[n]]
}

// Graph returns what was built, or an error that says why it cannot be. The
// builder is used up.
func (b *Builder) Graph() (*Graph, error) {
	fresh, order := b.sort()
	g := &Graph{rels: b.rels, base: fresh, width: new(atomic.Pointer[width])}
	perm := make([]uint32, len(order)) // old number → new
	for i, n := range order {
		perm[n] = uint32(i)
	}
	for i := range b.subject {
		b.subject[i], b.object[i] = perm[b.subject[i]], perm[b.object[i]]
	}
	for i, n := range b.about {
		b.about[i] = perm[n]
	}
	fresh.out = b.rows(len(order), b.subject, b.object)
	fresh.in = b.rows(len(order), b.object, b.subject)
	g.tuples = len(fresh.out.node)
	b.subject, b.object, b.rel, b.expires = nil, nil, nil, nil
	g.attributes = b.know(fresh)
	g.sums = g.sumAll()
	return g, g.checkAll()
}

// know gives the nodes what was set, and counts it. Of equal names the last counts.
func (b *Builder) know(f *base) (attributes int) {
	if len(b.about) == 0 {
		return 0
	}
	off, sorted := byNode(len(f.ends), b.about)
	f.known = make([]uint32, len(f.ends))
	said := &Facts{}
	for t := range f.types {
		first := map[uint64]uint32{} // of equal facts, by their sum
		for n := f.starts[t]; n < f.starts[t+1]; n++ {
			mine := sorted[off[n]:off[n+1]]
			if len(mine) == 0 {
				continue
			}
			b.gather(mine, said)
			h := said.sum(0)
			i, ok := first[h]
			if !ok || !f.facts[i].equal(said) {
				i = uint32(len(f.facts))
				first[h] = i
				f.facts = append(f.facts, said.clone())
			}
			f.known[n] = i + 1
			attributes += said.Len()
		}
	}
	b.about, b.word, b.value = nil, nil, nil
	return attributes
}

// gather puts attributes of one node into facts, instead of what is there.
func (b *Builder) gather(mine []uint32, into *Facts) {
	slices.SortFunc(mine, func(i, j uint32) int {
		return cmp.Or(strings.Compare(b.named[b.word[i]], b.named[b.word[j]]), cmp.Compare(i, j))
	})
	into.names, into.values = into.names[:0], into.values[:0]
	for k, i := range mine {
		if k+1 < len(mine) && b.word[mine[k+1]] == b.word[i] {
			continue
		}
		into.names, into.values = append(into.names, b.named[b.word[i]]), append(into.values, b.value[i])
	}
}

// sumAll is the sum of a graph that was built at once.
func (g *Graph) sumAll() sums {
	types := g.base.types
	facts, edges := make([]uint64, len(types)), make([]uint64, len(types)*len(types))
	entities := make([]uint64, g.base.count())
	for n := range Node(g.base.count()) {
		entities[n] = hashEntity(g.Entity(n))
		facts[g.base.typeNumber(n)] += g.Facts(n).sum(entities[n])
	}
	relations := make([]uint64, len(g.rels.names))
	for i, name := range g.rels.names {
		relations[i] = hashName(name)
	}
	out := &g.base.out
	for n := range Node(g.base.count()) {
		i, hi := out.row(n)
		if i == hi {
			continue
		}
		from := g.base.typeNumber(n) * len(types)
		for ; i < hi; i++ {
			edges[from+g.base.typeNumber(out.node[i])] += hashTuple(entities[n], relations[out.rel[i]], entities[out.node[i]], out.expires.of(i))
		}
	}
	all := sums{of: map[between]uint64{}}
	for i, subject := range types {
		all.all += facts[i]
		if facts[i] != 0 {
			all.of[between{subject, ""}] = facts[i]
		}
		for j, object := range types {
			if sum := edges[i*len(types)+j]; sum != 0 {
				all.all += sum
				all.of[between{subject, object}] = sum
			}
		}
	}
	return all
}

// sort puts the nodes in the order of type and id.
func (b *Builder) sort() (*base, []uint32) {
	order := make([]uint32, len(b.ends))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(x, y uint32) int {
		if b.typ[x] != b.typ[y] {
			return strings.Compare(b.names[b.typ[x]], b.names[b.typ[y]])
		}
		return strings.Compare(string(b.id(x)), string(b.id(y)))
	})
	f := &base{seed: b.seed, types: slices.Sorted(slices.Values(b.names)), ends: make([]uint32, len(order))}
	f.starts = make([]uint32, len(f.types)+1)
	var ids strings.Builder
	ids.Grow(len(b.ids))
	for i, n := range order {
		ids.Write(b.id(n))
		f.ends[i] = uint32(ids.Len())
	}
	f.ids = ids.String()
	for i := range f.types {
		t := b.types[f.types[i]]
		f.starts[i+1] = f.starts[i] + uint32(sort.Search(len(order)-int(f.starts[i]), func(k int) bool { return b.typ[order[int(f.starts[i])+k]] != t }))
	}
	size := 8
	for size*3 < len(order)*4 {
		size *= 2
	}
	f.slots = make([]uint32, size)
	mask := uint64(size - 1)
	for i := range order {
		at := sum(f.seed, Entity{f.typeOf(Node(i)), f.id(Node(i))}) & mask
		for f.slots[at] != 0 {
			at = (at + 1) & mask
		}
		f.slots[at] = uint32(i) + 1
	}
	b.ids, b.ends, b.typ, b.slots = nil, nil, nil, nil
	return f, order
}

// rows sorts the relations by one end. Of equal ones the last stays.
func (b *Builder) rows(n int, near, far []uint32) rows {
	r := rows{off: make([]uint32, n+1), node: make([]Node, 0, len(near)), rel: make([]uint16, 0, len(near))}
	off, sorted := byNode(n, near)
	key := func(i uint32) uint64 { return edgeKey(b.rel[i], Node(far[i])) }
	for x := range n {
		mine := sorted[off[x]:off[x+1]]
		slices.SortFunc(mine, func(i, j uint32) int {
			if a, b := key(i), key(j); a != b {
				if a < b {
					return -1
				}
				return 1
			}
			return int(int64(i) - int64(j))
		})
		for k, i := range mine {
			if k+1 < len(mine) && key(mine[k+1]) == key(i) {
				continue
			}
			if when, ends := b.expires[int(i)]; ends {
				r.expires.at = append(r.expires.at, uint32(len(r.node)))
				r.expires.when = append(r.expires.when, when)
			}
			r.node, r.rel = append(r.node, Node(far[i])), append(r.rel, b.rel[i])
		}
		r.off[x+1] = uint32(len(r.node))
	}
	if len(r.expires.at) > 0 {
		r.expires.some = make([]uint64, len(r.node)/64+1)
		for _, i := range r.expires.at {
			r.expires.some[i/64] |= 1 << (i % 64)
		}
	}
	return r
}

// byNode orders numbers by the node that they have: those of node x are sorted from
// off[x] to off[x+1].
func byNode(n int, of []uint32) (off, sorted []uint32) {
	off = make([]uint32, n+1)
	for _, x := range of {
		off[x+1]++
	}
	for i := range n {
		off[i+1] += off[i]
	}
	at := slices.Clone(off)
	sorted = make([]uint32, len(of))
	for i, x := range of {
		sorted[at[x]] = uint32(i)
		at[x]++
	}
	return off, sorted
}
