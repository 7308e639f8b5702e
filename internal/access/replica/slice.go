package replica

import (
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// Slice is the part of a realm that an edge holds: everything that decisions about
// some types of resources can rest on. Nil is the whole realm.
type Slice struct {
	asked []string // sorted
	types map[string]bool
}

// NewSlice finds what decisions about resources of some types rest on: these
// types, who may ask about them, what their attributes refer to and what they can
// be inside of, by the schema and by the facts there are. Types that the schema
// has no resources of are all part of it.
func NewSlice(set *policy.Set, g *graph.Graph, types []string) *Slice {
	if len(types) == 0 {
		return nil
	}
	s := &Slice{asked: slices.Compact(slices.Sorted(slices.Values(types))), types: map[string]bool{}}
	inside := map[string]map[string]bool{}
	for _, typ := range g.Types() {
		for e := range g.Known(typ, "") {
			for t := range g.From(e) {
				if t.Relation != graph.Member && t.Relation != graph.Parent {
					continue
				}
				if inside[typ] == nil {
					inside[typ] = map[string]bool{}
				}
				inside[typ][t.Object.Type] = true
			}
		}
	}
	next := set.Around(s.asked)
	for _, typ := range directoryTypes {
		next = append(next, typ) // whether they may do anything at all is judged by them
	}
	for len(next) > 0 {
		typ := next[0]
		next = next[1:]
		if s.types[typ] {
			continue
		}
		s.types[typ] = true
		next = append(next, set.Refers(typ)...)
		for to := range inside[typ] {
			next = append(next, to)
		}
	}
	for _, typ := range g.Types() {
		if !set.HasResources(typ) {
			s.types[typ] = true
		}
	}
	return s
}

// Has reports whether what is known of entities of a type is part of the slice.
func (s *Slice) Has(typ string) bool { return s == nil || s.types[typ] }

// Fits reports whether the slice is still all that decisions rest on when an
// entity is there as it is in g.
func (s *Slice) Fits(set *policy.Set, g *graph.Graph, e graph.Entity) bool {
	if s == nil {
		return true
	}
	if !s.types[e.Type] {
		return set.HasResources(e.Type)
	}
	for t := range g.From(e) {
		if !s.types[t.Object.Type] && (t.Relation == graph.Member || t.Relation == graph.Parent || !set.HasResources(t.Object.Type)) {
			return false
		}
	}
	return true
}

// Sum is that of the graph of a follower of the slice.
func (s *Slice) Sum(g *graph.Graph) uint64 {
	if s == nil {
		return g.Sum()
	}
	return g.SumOf(s.Has)
}
