package graph

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
)

// rebuildAt is how many nodes may differ from the compact part before a graph is
// made compact again; a quarter of its nodes in any case.
const rebuildAt = 4096

// rebuildSmall is up to how many nodes Apply itself makes a graph compact again. For
// larger ones that takes longer than anybody should wait: see Stale.
const rebuildSmall = 1 << 15

// Apply returns the graph after the change, or an error that says why the change
// cannot be: ErrCycle, ErrDepth, ErrClosure or ErrInvalid. Nested things are
// counted whether they have ended or not. What an entity would be inside of is
// counted for the subjects of the change; what is below them is judged when it is
// asked about, and denied beyond the limit.
func (g *Graph) Apply(c Change) (*Graph, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	w := &writer{Graph: *g, by: &edit{}, wide: *g.narrow()}
	w.rels = g.rels.clone()
	for _, e := range c.Drop {
		w.drop(e)
	}
	for _, t := range c.Remove {
		w.remove(t)
	}
	for _, a := range c.Unset {
		w.unset(a.Entity, a.Name)
	}
	w.lower()
	var next *Graph
	if len(c.Add) > rebuildAt && len(c.Add) > w.tuples {
		built, err := w.Graph.rebuild(c)
		if err != nil {
			return nil, err
		}
		if err := built.checkSubjects(c.Add); err != nil {
			return nil, err
		}
		next = built
	} else {
		for _, t := range c.Add {
			if err := w.add(t); err != nil {
				return nil, err
			}
		}
		for _, a := range c.Set {
			w.set(a)
		}
		if err := w.checkClosures(); err != nil {
			return nil, err
		}
		if len(w.climbed) > 0 {
			w.width = new(atomic.Pointer[width])
			w.width.Store(&w.wide)
		}
		next = &w.Graph
	}
	if n := int(next.base.count()); next.Stale() && (n <= rebuildSmall || next.changed() > rebuildAt+n) {
		return next.rebuild(Change{})
	}
	return next, nil
}

// Stale reports whether so much differs from the compact part that Compact is worth
// its time. Apply calls it by itself only where that is short, or when there is more
// that differs than not.
func (g *Graph) Stale() bool { return g.changed() > rebuildAt+int(g.base.count())/4 }

// changed is about how many nodes differ from the compact part: one whose relations
// and attributes both do counts twice.
func (g *Graph) changed() int { return g.patched + g.learned }

// Compact returns the same graph, made compact.
func (g *Graph) Compact() (*Graph, error) { return g.rebuild(Change{}) }

func (c *Change) check() error {
	for _, t := range c.Add {
		if err := checkTuple(t); err != nil {
			return err
		}
		if t.Relation == Member || t.Relation == Parent {
			if t.Subject == t.Object {
				return fmt.Errorf("%w: %s %s of itself", ErrCycle, t.Subject, t.Relation)
			}
		}
	}
	for _, a := range c.Set {
		if err := checkAttribute(a); err != nil {
			return err
		}
	}
	return nil
}

// rebuild makes the graph compact, with what c adds and sets.
func (g *Graph) rebuild(c Change) (*Graph, error) {
	b := NewBuilder()
	for n := range Node(g.nodes()) {
		s := g.Entity(n)
		for x := range g.edges(n, true) {
			if err := b.Add(Tuple{s, g.rels.names[keyRel(x.key)], g.Entity(keyNode(x.key)), x.ends}); err != nil {
				return nil, err
			}
		}
	}
	for _, t := range c.Add {
		if err := b.Add(t); err != nil {
			return nil, err
		}
	}
	for n := range Node(g.nodes()) {
		for name, v := range g.Facts(n).All() {
			if err := b.Set(Attribute{g.Entity(n), name, v}); err != nil {
				return nil, err
			}
		}
	}
	for _, a := range c.Set {
		if err := b.Set(a); err != nil {
			return nil, err
		}
	}
	return b.Graph()
}

// writer is a graph while Apply makes it.
type writer struct {
	Graph
	by      *edit
	fell    []Node // nodes that lost what they were inside of
	climbed []Node // nodes that are inside of more
	summed  bool   // the sums are its own
	wide    width  // as it grows
}

func (w *writer) intern(e Entity) Node {
	if n, ok := w.Find(e); ok {
		return n
	}
	n := Node(w.nodes())
	w.fresh = w.fresh.set(w.by, w.freshes, e)
	w.freshes++
	h := uint32(sum(w.base.seed, e))
	same, _ := w.index.get(h)
	w.index = w.index.set(w.by, h, append(slices.Clone(same), n))
	return n
}

// own returns the patch of a node, for w to change.
func (w *writer) own(n Node) *patch {
	old := w.patch(n)
	if old != nil && old.owner == w.by {
		return old
	}
	p := &patch{owner: w.by, level: w.level(n)}
	if old != nil {
		p.out = delta{slices.Clone(old.out.add), slices.Clone(old.out.del)}
		p.in = delta{slices.Clone(old.in.add), slices.Clone(old.in.del)}
	} else {
		w.patched++
	}
	w.patches = w.patches.set(w.by, uint32(n), p)
	return p
}

// put adds a relation to one end; it replaces one with the same key.
func (d *delta) put(r *rows, n Node, x edge) {
	i, ok := slices.BinarySearchFunc(d.add, x.key, compareEdge)
	if ok {
		d.add[i] = x
		return
	}
	d.add = slices.Insert(d.add, i, x)
	d.hide(r, n, x.key)
}

// hide takes a relation of the compact part away.
func (d *delta) hide(r *rows, n Node, k uint64) {
	lo, hi := r.row(n)
	if i := r.search(lo, hi, k); i == hi || r.key(i) != k {
		return
	}
	if i, ok := slices.BinarySearch(d.del, k); !ok {
		d.del = slices.Insert(d.del, i, k)
	}
}

func (d *delta) cut(r *rows, n Node, k uint64) {
	if i, ok := slices.BinarySearchFunc(d.add, k, compareEdge); ok {
		d.add = slices.Delete(d.add, i, i+1)
	}
	d.hide(r, n, k)
}

func (w *writer) add(t Tuple) error {
	rel, err := w.rels.number(t.Relation)
	if err != nil {
		return err
	}
	s, o := w.intern(t.Subject), w.intern(t.Object)
	old, had := w.edge(s, rel, o)
	if had && old.ends == t.Expires {
		return nil
	}
	w.own(s).out.put(&w.base.out, s, edge{edgeKey(rel, o), t.Expires})
	w.own(o).in.put(&w.base.in, o, edge{edgeKey(rel, s), t.Expires})
	w.tellEdge(s, o, w.hash(s, rel, o, t.Expires))
	if had {
		w.tellEdge(s, o, -w.hash(s, rel, o, old.ends))
		return nil
	}
	w.tuples++
	if rel < firstRole {
		w.climbed = append(w.climbed, s)
		w.widen(s, o)
		return w.raise(s, rel, o)
	}
	return nil
}

func (w *writer) hash(s Node, rel uint16, o Node, ends int64) uint64 {
	return hashTuple(hashEntity(w.Entity(s)), hashName(w.rels.names[rel]), hashEntity(w.Entity(o)), ends)
}

func (w *writer) tellEdge(s, o Node, sum uint64) {
	w.tell(w.Type(s), w.Type(o), sum)
}

func (w *writer) remove(t Tuple) {
	rel, ok := w.rels.numbers[t.Relation]
	s, ok2 := w.Find(t.Subject)
	o, ok3 := w.Find(t.Object)
	if ok && ok2 && ok3 {
		w.removeEdge(s, rel, o)
	}
}

func (w *writer) removeEdge(s Node, rel uint16, o Node) {
	old, had := w.edge(s, rel, o)
	if !had {
		return
	}
	w.tellEdge(s, o, -w.hash(s, rel, o, old.ends))
	w.own(s).out.cut(&w.base.out, s, edgeKey(rel, o))
	w.own(o).in.cut(&w.base.in, o, edgeKey(rel, s))
	w.tuples--
	if rel < firstRole {
		w.fell = append(w.fell, s)
	}
}

func (w *writer) drop(e Entity) {
	n, ok := w.Find(e)
	if !ok {
		return
	}
	for _, x := range slices.Collect(w.edges(n, true)) {
		w.removeEdge(n, keyRel(x.key), keyNode(x.key))
	}
	for _, x := range slices.Collect(w.edges(n, false)) {
		w.removeEdge(keyNode(x.key), keyRel(x.key), n)
	}
	if f := w.Facts(n); f != nil {
		w.attributes -= f.Len()
		w.tell(e.Type, "", -f.sum(hashEntity(e)))
		w.learn(n, nil)
	}
}

// learn puts what is known of a node in the place of what was.
func (w *writer) learn(n Node, f *Facts) {
	if _, ok := w.facts.get(uint32(n)); !ok {
		w.learned++
	}
	w.facts = w.facts.set(w.by, uint32(n), f)
}

func (w *writer) set(a Attribute) {
	n := w.intern(a.Entity)
	old := w.Facts(n)
	if old.says(a.Name, a.Value) {
		return
	}
	f := old.with(a.Name, a.Value)
	w.count(a.Entity, old, f)
	w.learn(n, f)
}

// count counts what is known of an entity now.
func (w *writer) count(e Entity, old, now *Facts) {
	w.attributes += now.Len() - old.Len()
	h := hashEntity(e)
	w.tell(e.Type, "", now.sum(h)-old.sum(h))
}

func (w *writer) unset(e Entity, name string) {
	n, ok := w.Find(e)
	if !ok {
		return
	}
	old := w.Facts(n)
	if !old.has(name) {
		return
	}
	f := old.without(name)
	w.count(e, old, f)
	if f.Len() == 0 {
		f = nil
	}
	w.learn(n, f)
}

// raise keeps the levels right below a new relation. A circle would raise them
// without end; so the limit finds it.
func (w *writer) raise(s Node, rel uint16, o Node) error {
	for todo := []Node{s}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		want := w.levelFromAbove(n)
		if want <= int(w.level(n)) {
			continue
		}
		if want > MaxDepth {
			return w.tooDeep(s, rel, o)
		}
		w.own(n).level = uint8(want)
		for x := range w.edges(n, false) {
			if keyRel(x.key) >= firstRole {
				break
			}
			todo = append(todo, keyNode(x.key))
		}
	}
	return nil
}

// lower keeps the levels right below relations that were removed.
func (w *writer) lower() {
	for todo := w.fell; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		want := w.levelFromAbove(n)
		if want == int(w.level(n)) {
			continue
		}
		w.own(n).level = uint8(want)
		for x := range w.edges(n, false) {
			if keyRel(x.key) >= firstRole {
				break
			}
			todo = append(todo, keyNode(x.key))
		}
	}
}

func (w *writer) levelFromAbove(n Node) int {
	level := 0
	for x := range w.edges(n, true) {
		if keyRel(x.key) >= firstRole {
			break
		}
		level = max(level, int(w.level(keyNode(x.key)))+1)
	}
	return level
}

func (w *writer) tooDeep(s Node, rel uint16, o Node) error {
	said := fmt.Sprintf("%s %s %s", w.Entity(s), w.rels.names[rel], w.Entity(o))
	for seen, todo := map[Node]bool{}, []Node{o}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n == s {
			return fmt.Errorf("%w: %s, which is inside it already", ErrCycle, said)
		}
		for x := range w.edges(n, true) {
			if far := keyNode(x.key); keyRel(x.key) < firstRole && !seen[far] {
				seen[far] = true
				todo = append(todo, far)
			}
		}
	}
	return fmt.Errorf("%w: with %s there would be more than %d levels", ErrDepth, said, MaxDepth)
}

func (w *writer) checkClosures() error {
	slices.Sort(w.climbed)
	var a Above
	for _, n := range slices.Compact(w.climbed) {
		if err := w.climb(n, Member, -1, &a, math.MaxInt); err != nil {
			return err
		}
	}
	return nil
}

// checkSubjects is checkClosures for a graph that was built at once.
func (g *Graph) checkSubjects(added []Tuple) error {
	if g.Roomy(1) {
		return nil
	}
	var a Above
	seen := map[Node]bool{}
	for _, t := range added {
		n, _ := g.Find(t.Subject)
		if t.Relation != Member && t.Relation != Parent || seen[n] {
			continue
		}
		seen[n] = true
		if err := g.climb(n, Member, -1, &a, math.MaxInt); err != nil {
			return err
		}
	}
	return nil
}

// checkAll computes the levels of a graph that was built at once, holds it to the
// limit of these and finds circles. What has too much above it is no error: it came
// to be by changes of which none was, and is denied when it is asked about.
func (g *Graph) checkAll() error {
	b := g.base
	b.level = make([]uint8, b.count())
	w, direct, all := &width{}, 0, 0
	waits := make([]uint32, b.count()) // relations upward that are not judged yet
	above := make([]uint32, b.count()) // at most so many are above
	var todo []Node
	for n := range Node(b.count()) {
		for i, hi := b.out.row(n); i < hi && b.out.rel[i] < firstRole; i++ {
			waits[n]++
		}
		direct = max(direct, int(waits[n]))
		if waits[n] == 0 {
			todo = append(todo, n)
		}
	}
	done := uint32(0)
	for ; len(todo) > 0; done++ {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		lo, hi := b.in.row(n)
		inner := lo < hi && b.in.rel[lo] < firstRole
		if w.take(n, int(above[n]), inner); inner {
			from, to := b.out.row(n)
			all += int(b.out.search(from, to, firstRole<<48) - from)
		}
		for i := lo; i < hi && b.in.rel[i] < firstRole; i++ {
			below := b.in.node[i]
			if b.level[below] = max(b.level[below], b.level[n]+1); b.level[below] > MaxDepth {
				return fmt.Errorf("%w: %s is below more than %d levels", ErrDepth, g.Entity(below), MaxDepth)
			}
			if above[below] += min(above[n]+1, wayCap); above[below] > wayCap {
				above[below] = wayCap
			}
			if waits[below]--; waits[below] == 0 {
				todo = append(todo, below)
			}
		}
	}
	if done == b.count() {
		w.all(direct, all)
		g.width.Store(w)
		return nil
	}
	n := Node(slices.IndexFunc(waits, func(w uint32) bool { return w > 0 }))
	for seen := map[Node]bool{}; !seen[n]; {
		seen[n] = true
		for i, _ := b.out.row(n); ; i++ {
			if up := b.out.node[i]; waits[up] > 0 {
				n = up
				break
			}
		}
	}
	return fmt.Errorf("%w: %s", ErrCycle, g.Entity(n))
}
