package decide

import (
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// join puts entries of the directory into a graph that holds facts alone.
func (s *Snapshots) join(g *graph.Graph, realm string, entries []Entry) *graph.Graph {
	var written []graph.Tuple
	for _, x := range entries {
		written = slices.AppendSeq(written, g.From(x.Entity))
	}
	to := &steps{Graph: g}
	s.renew(to, realm, nil, entries, written)
	return to.Graph
}

// renew replaces what the graph has of some of the directory's own by what its
// entries say and what was written beside. Whoever is not among the entries is no
// longer there, and has what was written alone. Of whom something does not fit,
// because facts that were written elsewhere make it too deep, may do nothing.
func (s *Snapshots) renew(g *steps, realm string, whom []graph.Entity, entries []Entry, written []graph.Tuple) {
	there := map[graph.Entity]bool{}
	for _, x := range entries {
		there[x.Entity] = true
	}
	for _, e := range whom {
		if !there[e] {
			entries = append(entries, Entry{Entity: e})
		}
	}
	beside := map[graph.Entity][]graph.Tuple{}
	for _, t := range written {
		if s.o.Directory.Owns(t.Object) {
			beside[t.Subject] = append(beside[t.Subject], t)
		}
	}
	for _, x := range entries {
		in := both(x.In, beside[x.Entity])
		var c graph.Change
		now := map[[3]string]bool{}
		for _, t := range in {
			now[[3]string{t.Relation, t.Object.Type, t.Object.ID}] = true
		}
		for t := range g.From(x.Entity) {
			if s.o.Directory.Owns(t.Object) && !now[[3]string{t.Relation, t.Object.Type, t.Object.ID}] {
				c.Remove = append(c.Remove, t)
			}
		}
		for _, name := range s.o.Directory.Words {
			if v, ok := x.Attributes[name]; ok {
				c.Set = append(c.Set, graph.Attribute{Entity: x.Entity, Name: name, Value: v})
			} else {
				c.Unset = append(c.Unset, graph.Attribute{Entity: x.Entity, Name: name})
			}
		}
		fits := true
		if err := g.do(c); err != nil {
			s.leftOut(realm, x.Entity, err)
			fits = false
		}
		for _, t := range in {
			if err := g.do(graph.Change{Add: []graph.Tuple{t}}); err != nil {
				s.leftOut(realm, x.Entity, err)
				fits = false
				continue
			}
			fits = fits && !g.HasAttribute(t.Object, s.o.Directory.Unfit)
		}
		if !fits {
			s.refuse(g, x.Entity)
		}
	}
}

// refuse makes one of the directory's own unfit, with all who are in it, until the
// realm is built anew.
func (s *Snapshots) refuse(g *steps, e graph.Entity) {
	if s.o.Directory.Unfit == "" {
		return
	}
	var c graph.Change
	seen := map[graph.Entity]bool{e: true}
	for todo := []graph.Entity{e}; len(todo) > 0; {
		x := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		c.Set = append(c.Set, graph.Attribute{Entity: x, Name: s.o.Directory.Unfit, Value: true})
		for t := range g.To(x) {
			if t.Relation == graph.Member && s.o.Directory.Owns(t.Subject) && !seen[t.Subject] {
				seen[t.Subject] = true
				todo = append(todo, t.Subject)
			}
		}
	}
	_ = g.do(c) // it only sets
}

func (s *Snapshots) leftOut(realm string, e graph.Entity, err error) {
	s.o.Logger.Warn("a membership is left out of decisions; whom it concerns may do nothing", "realm", realm, "of", e.ID, "why", err)
}

// both is what the directory or a writer says; of what both say, the later end.
func both(directory, written []graph.Tuple) []graph.Tuple {
	all := slices.Clone(directory)
next:
	for _, t := range written {
		for i, d := range all {
			if d.Subject == t.Subject && d.Relation == t.Relation && d.Object == t.Object {
				if d.Expires != 0 && (t.Expires == 0 || t.Expires > d.Expires) {
					all[i].Expires = t.Expires
				}
				continue next
			}
		}
		all = append(all, t)
	}
	return all
}
