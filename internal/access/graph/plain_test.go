package graph

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// plain is the same as Graph on maps, copied whole by every change: what the
// real one is held to.
type plain struct {
	out, in map[Entity][]Tuple
	attrs   map[Entity]map[string]any
	tuples  int
}

// emptyPlain returns the graph that holds nothing.
func emptyPlain() *plain { return &plain{} }

// Apply returns the graph after the change, or an error that says why the change
// cannot be: ErrCycle, ErrDepth, ErrClosure or ErrInvalid.
func (g *plain) Apply(c Change) (*plain, error) {
	n := &plain{out: maps.Clone(g.out), in: maps.Clone(g.in), attrs: maps.Clone(g.attrs), tuples: g.tuples}
	if n.out == nil {
		n.out, n.in = map[Entity][]Tuple{}, map[Entity][]Tuple{}
	}
	if n.attrs == nil {
		n.attrs = map[Entity]map[string]any{}
	}
	for _, e := range c.Drop {
		for _, t := range slices.Concat(n.out[e], n.in[e]) {
			n.remove(t)
		}
		delete(n.attrs, e)
	}
	for _, t := range c.Remove {
		n.remove(t)
	}
	for _, a := range c.Unset {
		if m := maps.Clone(n.attrs[a.Entity]); m != nil {
			delete(m, a.Name)
			n.attrs[a.Entity] = m
			if len(m) == 0 {
				delete(n.attrs, a.Entity)
			}
		}
	}
	for _, t := range c.Add {
		if err := checkTuple(t); err != nil {
			return nil, err
		}
		n.remove(t)
		n.out[t.Subject] = append(slices.Clone(n.out[t.Subject]), t)
		n.in[t.Object] = append(slices.Clone(n.in[t.Object]), t)
		n.tuples++
	}
	for _, a := range c.Set {
		if err := checkEntity(a.Entity); err != nil {
			return nil, err
		}
		m := maps.Clone(n.attrs[a.Entity])
		if m == nil {
			m = map[string]any{}
		}
		m[a.Name] = a.Value
		n.attrs[a.Entity] = m
	}
	var first error // a circle before anything else: without end it is too deep as well
	for _, t := range c.Add {
		if t.Relation == Member || t.Relation == Parent {
			if err := n.check(t); err != nil && (first == nil || errors.Is(err, ErrCycle)) {
				first = err
			}
		}
	}
	if first != nil {
		return nil, first
	}
	return n, nil
}

func (g *plain) remove(t Tuple) {
	same := func(o Tuple) bool { o.Expires = t.Expires; return o == t }
	if !slices.ContainsFunc(g.out[t.Subject], same) {
		return
	}
	g.tuples--
	g.out[t.Subject] = slices.DeleteFunc(slices.Clone(g.out[t.Subject]), same)
	g.in[t.Object] = slices.DeleteFunc(slices.Clone(g.in[t.Object]), same)
}

func (g *plain) check(t Tuple) error {
	if t.Subject == t.Object {
		return fmt.Errorf("%w: %s", ErrCycle, t.Subject)
	}
	above, depth := g.walk(t.Subject, g.out, func(t Tuple) Entity { return t.Object })
	if _, in := above[t.Subject]; in || depth < 0 {
		return fmt.Errorf("%w: %s %s %s", ErrCycle, t.Subject, t.Relation, t.Object)
	}
	_, below := g.walk(t.Subject, g.in, func(t Tuple) Entity { return t.Subject })
	if depth+below > MaxDepth {
		for x := range above { // a circle has no end either
			if round, _ := g.walk(x, g.out, func(t Tuple) Entity { return t.Object }); round[x] {
				return fmt.Errorf("%w: %s", ErrCycle, x)
			}
		}
		return fmt.Errorf("%w: more than %d steps pass through %s %s %s", ErrDepth, MaxDepth, t.Subject, t.Relation, t.Object)
	}
	if len(above) > MaxClosure {
		return fmt.Errorf("%w: %s would be inside more than %d", ErrClosure, t.Subject, MaxClosure)
	}
	return nil
}

// walk returns what is reached by members and parents from e, and the longest way.
func (g *plain) walk(e Entity, edges map[Entity][]Tuple, end func(Tuple) Entity) (map[Entity]bool, int) {
	seen, level, depth := map[Entity]bool{}, []Entity{e}, 0
	for len(level) > 0 {
		next := map[Entity]bool{}
		for _, x := range level {
			for _, t := range edges[x] {
				if t.Relation == Member || t.Relation == Parent {
					next[end(t)] = true
				}
			}
		}
		if maps.Copy(seen, next); len(next) > 0 {
			depth++
		}
		if depth > MaxDepth+1 {
			return seen, depth
		}
		level = slices.Collect(maps.Keys(next))
	}
	return seen, depth
}

// Size counts what the graph holds.
func (g *plain) Size() Size {
	s := Size{Tuples: g.tuples}
	known := map[Entity]bool{}
	for e, ts := range g.out {
		known[e] = len(ts) > 0
	}
	for e, ts := range g.in {
		known[e] = known[e] || len(ts) > 0
	}
	for e, m := range g.attrs {
		known[e] = true
		s.Attributes += len(m)
	}
	for _, k := range known {
		if k {
			s.Entities++
		}
	}
	return s
}

func (g *plain) Sum() (all uint64) { return g.SumOf(func(string) bool { return true }) }

func (g *plain) SumOf(has func(typ string) bool) (all uint64) {
	for t := range g.All() {
		if has(t.Subject.Type) && has(t.Object.Type) {
			all += hashTuple(hashEntity(t.Subject), hashName(t.Relation), hashEntity(t.Object), t.Expires)
		}
	}
	for e, m := range g.attrs {
		if has(e.Type) {
			all += newFacts(m).sum(hashEntity(e))
		}
	}
	return all
}

// All returns all tuples, ordered by subject, relation and object.
func (g *plain) All() iter.Seq[Tuple] {
	return func(yield func(Tuple) bool) {
		for _, e := range slices.SortedFunc(maps.Keys(g.out), compareEntities) {
			for _, t := range slices.SortedFunc(slices.Values(g.out[e]), compareTuples) {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// Attributes returns what is known about e.
func (g *plain) Attributes(e Entity) iter.Seq2[string, any] { return maps.All(g.attrs[e]) }

// Known returns the entities of a type that a tuple or an attribute speaks of
// and whose id is greater than after, ordered by id.
func (g *plain) Known(typ, after string) iter.Seq[Entity] {
	known := map[Entity]bool{}
	for e, ts := range g.out {
		if e.Type == typ && len(ts) > 0 {
			known[e] = true
		}
	}
	for e, ts := range g.in {
		if e.Type == typ && len(ts) > 0 {
			known[e] = true
		}
	}
	for e := range g.attrs {
		if e.Type == typ {
			known[e] = true
		}
	}
	return func(yield func(Entity) bool) {
		for _, e := range slices.SortedFunc(maps.Keys(known), compareEntities) {
			if e.ID > after && !yield(e) {
				return
			}
		}
	}
}
