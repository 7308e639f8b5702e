package policy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// Need is what of the facts a residual asks for next, where not all are at hand.
type Need struct {
	Up    []Entity // what these are inside of, and all that is known of these and of that
	Below *Entity  // what is inside of this, by members and parents
	Roles []string // where the subject and what it is inside of have roles of these names, and what has those as parents, at any distance
	Known *Known
	Wide  *Wide
	// Granted are the names of roles that questions read, though judging all rows did
	// not: whether the subject has too many of them for a question is an error of more.
	Granted []string
}

// Wide asks how much can be above rows: of some entities, or of all of some types.
type Wide struct {
	Rows  []Entity
	Types []string
	// Graph is put there: all members and parents that lead up from these at the
	// question's time. Nobody looks at anything else in it.
	Graph *graph.Graph
}

// Known are the entities of a type that have an attribute, and those of which what
// is stored is not what the schema says (see [Set.Misfit]); with all their attributes.
// No attribute: the latter alone, as far as they were written and not the directory's.
type Known struct{ Type, Attribute string }

// PartialBy is Partial for facts that lie elsewhere: more adds what is needed, as
// long as something is, to a snapshot of what was read before.
func PartialBy(q *Question, rows Rows, more func(Need) (*Snapshot, error)) (Residual, *Snapshot, error) {
	have := &part{up: map[Entity]bool{}, below: map[Entity]bool{}, roles: map[string]bool{}, known: map[Known]bool{}}
	need := Need{Up: []Entity{q.Subject}}
	for range maxRounds {
		s, err := more(need)
		if err != nil || s == nil {
			return Residual{}, s, err
		}
		have.take(need, s.graph)
		left, err := partially(s, q, rows, have)
		if have.lacks == nil {
			return left, s, err
		}
		need, have.lacks = *have.lacks, nil
	}
	return Residual{}, nil, fmt.Errorf("%w: the policies ask for too many different facts, one after the other", ErrInexpressible)
}

const maxRounds = 100

// part is which facts there are, and which were missed.
type part struct {
	up, below map[Entity]bool
	roles     map[string]bool
	known     map[Known]bool
	wide      *Wide
	lacks     *Need
}

func (h *part) take(n Need, g *graph.Graph) {
	for todo := n.Up; len(todo) > 0; {
		e := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if h.up[e] {
			continue
		}
		h.up[e] = true
		for t := range g.From(e) {
			if t.Relation == graph.Member || t.Relation == graph.Parent {
				todo = append(todo, t.Object)
			}
		}
	}
	if n.Below != nil {
		h.below[*n.Below] = true
	}
	for _, name := range slices.Concat(n.Roles, n.Granted) {
		h.roles[name] = true
	}
	if n.Wide != nil {
		h.wide = n.Wide
	}
	if n.Known != nil {
		h.known[*n.Known] = true
	}
}

// errLacks stands for what is asked again once the facts are there.
var errLacks = errors.New("not all facts are at hand")

// hasUp reports whether what is above an entity is at hand. Several that are not
// are asked for together: what is judged meanwhile does not count.
func (p *partial) hasUp(e Entity) bool {
	h := p.have
	switch {
	case h == nil || h.up[e]:
		return true
	case h.lacks == nil:
		h.lacks = &Need{Up: []Entity{e}}
	case len(h.lacks.Up) > 0 && !slices.Contains(h.lacks.Up, e):
		h.lacks.Up = append(h.lacks.Up, e)
	}
	return false
}

// hasMore reports whether facts of another kind are at hand. Where they are not, nothing
// further is judged.
func (p *partial) hasMore(n Need) bool {
	h := p.have
	if h == nil || n.Below != nil && h.below[*n.Below] || n.Known != nil && h.known[*n.Known] ||
		len(n.Roles) > 0 && !slices.ContainsFunc(n.Roles, func(name string) bool { return !h.roles[name] }) {
		return true
	}
	if h.lacks == nil {
		h.lacks = &n
	}
	if p.cannot == nil {
		p.cannot = errLacks
	}
	return false
}

// hasGranted reports whether it is at hand that the subject has no more roles than a
// question reads.
func (p *partial) hasGranted() bool {
	h := p.have
	if h == nil || h.lacks != nil {
		return h == nil
	}
	var names []string
	for _, name := range p.plan.deciding() {
		if !h.roles[name] {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		h.lacks = &Need{Granted: names}
	}
	return len(names) == 0
}

// Deciding are the names of the roles that can decide a question; of all of its actions
// where it leaves that open.
func (s *Set) Deciding(q *Question) []string {
	if plan := s.plans[planKey{q.Action, q.Subject.Type, q.Resource.Type}]; plan != nil {
		return plan.deciding()
	}
	var names []string
	for _, action := range s.actionsFor(q.Subject.Type, q.Resource.Type) {
		names = append(names, s.plans[planKey{action, q.Subject.Type, q.Resource.Type}].deciding()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// bringing are the names of the roles that can come to a role somewhere.
func (s *Set) bringing(role int) []string {
	in := map[int]bool{role: true}
	for grown := true; grown; {
		grown = false
		for _, implied := range s.roles.brings {
			for n := range implied {
				for m := range in {
					if !in[n] && implied[n].has(m) {
						in[n], grown = true, true
					}
				}
			}
		}
	}
	var out []string
	for n := range in {
		out = append(out, s.roles.names[n])
	}
	slices.Sort(out)
	return out
}

// Misfit reports whether what is stored is not what the schema says of the attribute:
// then nothing about its entity can be judged.
func (s *Set) Misfit(a graph.Attribute) bool {
	sh := s.world.shapes[a.Entity.Type]
	if sh == nil || a.Value == nil {
		return false
	}
	typ := sh.tags
	if known, ok := sh.attrs[a.Name]; ok {
		typ = known.typ
	}
	if typ == nil {
		return false
	}
	_, err := value(a.Value, typ)
	return err != nil
}
