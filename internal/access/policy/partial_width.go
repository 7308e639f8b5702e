package policy

import (
	"github.com/cardea-id/cardea/internal/access/graph"
)

// narrow is true of the rows that are not inside of more than Decide looks at. Whatever
// the policies ask, it denies those that are.
func (p *partial) narrow() (Condition, error) {
	g, at := p.snap.graph, p.q.At.UnixMilli()
	if p.have != nil {
		g = p.have.wide.Graph
	}
	together := 1 + len(p.rows.Parents) // a row has what is above it, and what is above its parents
	if g.Roomy(together) {
		return yes, nil
	}
	crowded, known := g.Crowded(append([]string{p.typ}, p.rows.Parents...), together)
	if !known {
		p.fail("what %s of so many parents is inside of can be more than a question looks at", p.typ)
		return no, p.cannot
	}
	out := map[string][]any{}
	var a graph.Above
	for _, n := range crowded {
		if g.Fits(n, together, at, &a) {
			p.visits += a.Len()
		} else if err := g.Climb(n, graph.Parent, at, &a); err != nil {
			e := g.Entity(n)
			out[e.Type] = append(out[e.Type], e.ID)
			p.visits += a.Len()
		} else {
			p.fail("%s is inside so many others that a row which has it beside more can be inside more than a question looks at (%d); map fewer parents to columns", g.Entity(n), graph.MaxClosure)
			return no, p.cannot
		}
		if p.visits > maxVisits {
			p.fail("%s and others like it are inside so many others that it would take too long to find those that are inside more than a question looks at (%d)", g.Entity(n), graph.MaxClosure)
			return no, p.cannot
		}
	}
	when := notIn(p.id(), out[p.typ])
	for _, parent := range p.rows.Parents {
		f := Field{Kind: FieldParent, Name: parent, Of: ValueID}
		if list := out[parent]; len(list) > 0 {
			when = all(when, some(absent(f), notIn(f, list)))
		}
	}
	return when, nil
}

// hasWide reports whether it is at hand how much can be above the rows of which a
// condition may be true. Where only some ids can be met, and no parents lie in the
// rows, that is asked of these alone.
func (p *partial) hasWide(when Condition) bool {
	h := p.have
	if h == nil {
		return true
	}
	if h.lacks != nil || h.wide != nil {
		return h.lacks == nil
	}
	w := &Wide{}
	if ids, some := when.ids(); some && len(p.rows.Parents) == 0 {
		for _, id := range ids {
			if text, ok := id.(string); ok {
				w.Rows = append(w.Rows, Entity{Type: p.typ, ID: text})
			}
		}
	} else {
		w.Types = append([]string{p.typ}, p.rows.Parents...)
	}
	h.lacks = &Need{Wide: w}
	return false
}

// ids are those that rows must have of which the condition is true; false if rows of
// any id can meet it.
func (c Condition) ids() (ids []any, some bool) {
	switch {
	case c.Op == OpFalse:
		return nil, true
	case c.Op == OpIn && c.Field.Kind == FieldID:
		return c.Values, true
	case c.Op == OpAll:
		for _, a := range c.Args {
			if these, ok := a.ids(); ok && (!some || len(these) < len(ids)) {
				ids, some = these, true
			}
		}
		return ids, some
	case c.Op == OpAny:
		for _, a := range c.Args {
			these, ok := a.ids()
			if !ok {
				return nil, false
			}
			ids = append(ids, these...)
		}
		return distinct(ids), true
	}
	return nil, false
}
