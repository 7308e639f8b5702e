package relation

import (
	"context"
	"maps"
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/db"
)

// compare leaves in g what is new or other than before, and gives what is gone and
// how many facts the source had.
func (s *Store) compare(ctx context.Context, realm string, n *Source, g *given) (gone graph.Change, had int64, err error) {
	f := Filter{Source: n.ID}
	for after, more := "", true; more; {
		page, next, _, err := s.List(ctx, realm, f, after, mostListed)
		if err != nil {
			return gone, 0, err
		}
		for _, r := range page {
			had++
			t := r.Tuple
			t.Expires = 0
			switch end, there := g.tuples[t]; {
			case !there:
				gone.Remove = append(gone.Remove, t)
			case end == r.Expires:
				delete(g.tuples, t)
			}
		}
		after, more = next, next != ""
	}
	for after, more := "", true; more; {
		page, next, _, err := s.Attributes(ctx, realm, f, after, mostListed)
		if err != nil {
			return gone, 0, err
		}
		for _, r := range page {
			had++
			k := attributeKey{r.Entity, r.Name}
			switch value, there := g.attributes[k]; {
			case !there:
				gone.Unset = append(gone.Unset, graph.Attribute{Entity: r.Entity, Name: r.Name})
			case value == r.Value:
				delete(g.attributes, k)
			}
		}
		after, more = next, next != ""
	}
	return gone, had, nil
}

// batches splits what is to be done; removals come first.
func batches(gone graph.Change, g *given) func(func(graph.Change) bool) {
	return func(yield func(graph.Change) bool) {
		for part := range slices.Chunk(gone.Remove, MaxOps) {
			if !yield(graph.Change{Remove: part}) {
				return
			}
		}
		for part := range slices.Chunk(gone.Unset, MaxOps) {
			if !yield(graph.Change{Unset: part}) {
				return
			}
		}
		for part := range slices.Chunk(slices.Collect(maps.Keys(g.tuples)), MaxOps) {
			var c graph.Change
			for _, t := range part {
				end := g.tuples[t]
				t.Expires = end
				c.Add = append(c.Add, t)
			}
			if !yield(c) {
				return
			}
		}
		var c graph.Change
		size := 0
		for k, said := range g.attributes {
			v, err := Value([]byte(said))
			if err != nil {
				continue
			}
			c.Set = append(c.Set, graph.Attribute{Entity: k.Entity, Name: k.name, Value: v})
			if size += len(said); len(c.Set) == MaxOps || size > maxContent/2 {
				if !yield(c) {
					return
				}
				c, size = graph.Change{}, 0
			}
		}
		if len(c.Set) > 0 {
			yield(c)
		}
	}
}

// ofSource plans a batch of a source: what another wrote stays.
func (s *Store) ofSource(n *Source, c graph.Change) func(tx *db.Tx, w *writing) error {
	source := n.ID
	return func(tx *db.Tx, w *writing) error {
		w.change, w.texts = graph.Change{}, nil
		if now, err := sourceByID(tx, source); err != nil {
			return err // deleted meanwhile
		} else if !now.same(n) {
			return errOvertaken
		}
		for _, t := range c.Remove {
			if owner, there, err := ownerOf(tx, t); err != nil {
				return err
			} else if there && owner == source {
				w.change.Remove = append(w.change.Remove, t)
			}
		}
		for _, t := range c.Add {
			if owner, there, err := ownerOf(tx, t); err != nil {
				return err
			} else if !there || owner == source {
				w.change.Add = append(w.change.Add, t)
			}
		}
		for _, a := range c.Unset {
			if owner, there, err := attributeOwner(tx, a); err != nil {
				return err
			} else if there && owner == source {
				w.change.Unset = append(w.change.Unset, a)
			}
		}
		for _, a := range c.Set {
			owner, there, err := attributeOwner(tx, a)
			if err != nil {
				return err
			}
			if there && owner != source {
				continue
			}
			said, err := text(a.Value)
			if err != nil {
				return err
			}
			w.change.Set, w.texts = append(w.change.Set, a), append(w.texts, said)
		}
		return nil
	}
}
