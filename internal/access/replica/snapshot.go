package replica

import (
	"cmp"
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// Write gives a whole snapshot in parts: policies first, then what is known, in
// order. Two snapshots that decide alike have the same parts, whoever holds them.
// It needs memory for one part and for what one entity is related to.
func Write(set *policy.Set, g *graph.Graph, slice *Slice, do func(part []byte) error) error {
	var w Writer
	if err := w.Policies(set); err != nil {
		return err
	}
	for _, typ := range g.Types() {
		if !slice.Has(typ) {
			continue
		}
		for e := range g.Known(typ, "") {
			if err := w.entity(g, e, slice); err != nil {
				return err
			}
			if w.Full() {
				if err := do(w.Take()); err != nil {
					return err
				}
			}
		}
	}
	if w.Empty() {
		return nil
	}
	return do(w.Take())
}

// entity writes everything that is known of an entity.
func (w *Writer) entity(g *graph.Graph, e graph.Entity, slice *Slice) error {
	for _, t := range ordered(g, e) {
		if slice.Has(t.Object.Type) {
			w.Add(t)
		}
	}
	for name, v := range g.Attributes(e) {
		if err := w.Set(e, name, v); err != nil {
			return err
		}
	}
	return nil
}

func ordered(g *graph.Graph, e graph.Entity) []graph.Tuple {
	return slices.SortedFunc(g.From(e), func(a, b graph.Tuple) int {
		return cmp.Or(cmp.Compare(a.Relation, b.Relation), cmp.Compare(a.Object.Type, b.Object.Type), cmp.Compare(a.Object.ID, b.Object.ID))
	})
}

// Digest is a hash of everything that a snapshot decides by, but its revision.
func Digest(s *policy.Snapshot) (Chain, error) {
	var c Chain
	var set *policy.Set
	g := graph.Empty()
	if s != nil {
		set, g = s.Set(), s.Graph()
	}
	err := Write(set, g, nil, func(part []byte) error {
		c = c.Next(KindPart, part)
		return nil
	})
	return c, err
}

// Difference writes how what is known of an entity has changed. whole says that
// the entity was dropped in between, so that what is related to it counts too.
func (w *Writer) Difference(old, now *graph.Graph, e graph.Entity, whole bool, slice *Slice) error {
	if !slice.Has(e.Type) {
		return nil
	}
	whole = whole || unknown(now, e)
	w.tuples(old.From(e), now, slice, true)
	w.tuples(now.From(e), old, slice, false)
	if whole {
		w.tuples(old.To(e), now, slice, true)
		w.tuples(now.To(e), old, slice, false)
	}
	was := map[string]string{}
	for name, v := range old.Attributes(e) {
		text, err := valueText(v)
		if err != nil {
			return err
		}
		was[name] = string(text)
	}
	for name, v := range now.Attributes(e) {
		text, err := valueText(v)
		if err != nil {
			return err
		}
		if before, ok := was[name]; !ok || before != string(text) {
			if err := w.Set(e, name, v); err != nil {
				return err
			}
		}
		delete(was, name)
	}
	for name := range was {
		w.Unset(e, name)
	}
	return nil
}

// unknown reports whether nothing is known of an entity itself. It may have been
// dropped, and with it what was related to it.
func unknown(g *graph.Graph, e graph.Entity) bool {
	for range g.Attributes(e) {
		return false
	}
	for range g.From(e) {
		return false
	}
	return true
}

// tuples writes those that the other graph has not, or has with another end.
func (w *Writer) tuples(all func(func(graph.Tuple) bool), other *graph.Graph, slice *Slice, gone bool) {
	for t := range all {
		if !slice.Has(t.Object.Type) || !slice.Has(t.Subject.Type) {
			continue
		}
		there, ok := other.Has(t.Subject, t.Relation, t.Object)
		switch {
		case gone && !ok:
			w.Remove(t)
		case !gone && (!ok || there.Expires != t.Expires):
			w.Add(t)
		}
	}
}

// Renew writes everything that is known of an entity now, for followers of whom
// it is not known what they have.
func (w *Writer) Renew(now *graph.Graph, e graph.Entity, whole bool, slice *Slice) error {
	if !slice.Has(e.Type) {
		return nil
	}
	if whole = whole || unknown(now, e); whole {
		w.Drop(e)
	} else {
		w.Clear(e)
	}
	if err := w.entity(now, e, slice); err != nil {
		return err
	}
	if whole {
		for t := range now.To(e) {
			if slice.Has(t.Subject.Type) {
				w.Add(t)
			}
		}
	}
	return nil
}
