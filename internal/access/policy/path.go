package policy

import "slices"

// path is the way from subject to resource that a policy which is met speaks of:
// the role it asks for, from who holds it over the grant down to the resource,
// or else the containers that it names.
func (v *view) path(r *rule) []Step {
	for _, n := range r.roles {
		if v.held[0].has(n) {
			if way := v.granted(n); way != nil {
				return way
			}
		}
	}
	var way []Step
	for _, named := range r.inside {
		n := v.snap.named[named]
		if !n.known {
			continue
		}
		for _, e := range []*end{&v.subject, &v.resource} {
			if above := v.aboveOf(e); above.Index(n.node) > 0 {
				way = v.snap.graph.Up(above, above.Index(n.node), way)
			}
		}
	}
	return way
}

// granted finds the nearest grant that brings a role, and the way over it.
func (v *view) granted(role int) []Step {
	g, a := v.snap.graph, v.aboveOf(&v.resource)
	held := slices.Grow(v.ways[:0], a.Pure())[:a.Pure()]
	v.ways = held
	for i := range a.Pure() {
		v.grants = g.Grants(&v.subject.above, a, i, v.at, v.grants[:0])
		for _, h := range v.grants {
			n := v.snap.role[h.Relation]
			if n < 0 {
				continue
			}
			if i == 0 && int(n) != role || i > 0 {
				clear(held)
				held[i].add(int(n))
				if v.descend(held); !held[0].has(role) {
					continue
				}
			}
			subject := int(h.Subject)
			way := v.room(v.subject.above.Steps(subject) + 1 + a.Steps(i))
			way = g.Up(&v.subject.above, subject, way)
			way = append(way, Step{Subject: g.Entity(v.subject.above.Node(subject)), Relation: g.Relations()[h.Relation], Object: g.Entity(a.Node(i)), Expires: h.Ends})
			return g.Down(a, i, way)
		}
	}
	return nil
}

// room is memory for a way of so many steps, which is the answer's. Of many answers it
// is made for several at once.
func (v *view) room(steps int) []Step {
	if !v.many {
		return make([]Step, 0, steps)
	}
	if cap(v.steps)-len(v.steps) < steps {
		v.steps = make([]Step, 0, max(steps, 16))
	}
	from := len(v.steps)
	v.steps = v.steps[:from+steps]
	return v.steps[from : from : from+steps]
}
