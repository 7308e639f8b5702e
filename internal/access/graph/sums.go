package graph

import "maps"

// sums are the hashes of facts, added up apart for each pair of types that they
// are between, so that a part of the graph has a sum of its own. The maps never
// change.
type sums struct {
	all uint64
	of  map[between]uint64
}

// between are the types of subject and object; of an attribute the object is "".
type between struct{ subject, object string }

// Sum is a hash of all relations and attributes, the same wherever and in whatever
// order they came to be, and kept beside every change. It finds what went wrong by
// itself; against somebody who contrives facts of the same sum it is no protection.
func (g *Graph) Sum() uint64 { return g.sums.all }

// SumOf is the Sum of a graph that holds of this one what is known of entities of
// some types, and how these are related to each other.
func (g *Graph) SumOf(has func(typ string) bool) (all uint64) {
	for b, sum := range g.sums.of {
		if has(b.subject) && (b.object == "" || has(b.object)) {
			all += sum
		}
	}
	return all
}

// tell adds to the sum of the facts between two types.
func (w *writer) tell(subject, object string, sum uint64) {
	if !w.summed {
		w.summed = true
		if w.sums.of = maps.Clone(w.sums.of); w.sums.of == nil {
			w.sums.of = map[between]uint64{}
		}
	}
	w.sums.all += sum
	w.sums.of[between{subject, object}] += sum
}
