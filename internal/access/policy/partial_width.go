package policy

import (
	"github.com/cardea-id/cardea/internal/access/graph"
)

// narrow is true of the rows that are not inside of more than Decide looks at. Whatever
// the policies ask, it denies those that are.
func (p *partial) narrow(g *graph.Graph, at int64) (Condition, error) {
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
