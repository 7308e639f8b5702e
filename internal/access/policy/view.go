package policy

import (
	"fmt"

	"github.com/cedar-policy/cedar-go/types"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// view is the snapshot as one question sees it.
type view struct {
	snap     *Snapshot
	q        *Question
	plan     *plan
	at       int64
	request  types.Request
	subject  *end
	resource *end
	held     map[int]grantedRole // roles of the subject on the resource
	err      error               // what is stored does not fit the schema
}

// end is the subject or the resource of a question.
type end struct {
	entity Entity
	inside map[Entity]graph.Tuple // what it is inside of, and the step that led there
	record types.Entity
}

type grantedRole struct {
	grant graph.Tuple
	by    int // the role that implies it; itself when granted
}

func (s *Snapshot) look(p *plan, q *Question) (*view, error) {
	v := &view{snap: s, q: q, plan: p, at: q.At.UnixMilli()}
	context, err := p.contextOf(q)
	if err != nil {
		return nil, fmt.Errorf("context: %w", err)
	}
	v.request = types.Request{Principal: uidOf(q.Subject), Action: p.action.Entity.UID, Resource: uidOf(q.Resource), Context: context}
	if v.subject, err = v.end(q.Subject, q.SubjectProperties); err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	if v.resource, err = v.end(q.Resource, q.ResourceProperties); err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	v.held = v.roles()
	return v, nil
}

// contextOf reads the circumstances as the schema has them. Time and the
// properties of the action are not the caller's to say.
func (p *plan) contextOf(q *Question) (types.Record, error) {
	out := make(types.RecordMap, len(p.context))
	for name, a := range p.context {
		var in any
		switch name {
		case contextNow:
			in = q.At
		case contextAction:
			in = q.ActionProperties
		default:
			in = q.Context[string(name)]
		}
		if in == nil {
			continue
		}
		c, err := value(in, a.Type)
		if err != nil {
			return types.Record{}, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = c
	}
	return types.NewRecord(out), nil
}

func (v *view) end(e Entity, props Properties) (*end, error) {
	sh := v.snap.set.world.shapes[e.Type]
	if sh.enum != nil && !sh.enum[e.ID] {
		return nil, fmt.Errorf("the schema does not list this id for type %q", e.Type)
	}
	above, err := climb(v.snap.graph, e, v.at)
	if err != nil {
		return nil, err
	}
	record, tags, err := v.attributes(e, sh, props)
	if err != nil {
		return nil, err
	}
	return &end{entity: e, inside: above, record: types.Entity{UID: uidOf(e), Attributes: record, Tags: tags}}, nil
}

func (v *view) attributes(e Entity, sh *shape, props Properties) (types.Record, types.Record, error) {
	record, tags := types.RecordMap{}, types.RecordMap{}
	for name, stored := range v.snap.graph.Attributes(e) {
		a, ok := sh.attrs[name]
		if !ok {
			if sh.tags != nil {
				c, err := value(stored, sh.tags)
				if err != nil {
					return types.Record{}, types.Record{}, fmt.Errorf("stored %s: %w", name, err)
				}
				tags[types.String(name)] = c
			}
			continue
		}
		if sent := props[name]; a.request && sent != nil || stored == nil {
			continue
		}
		c, err := value(stored, a.typ)
		if err != nil {
			return types.Record{}, types.Record{}, fmt.Errorf("stored %s: %w", name, err)
		}
		record[a.name] = c
	}
	for name, a := range sh.attrs {
		if sent := props[name]; a.request && sent != nil {
			c, err := value(sent, a.typ)
			if err != nil {
				return types.Record{}, types.Record{}, fmt.Errorf("%s: %w", name, err)
			}
			record[a.name] = c
		}
	}
	return types.NewRecord(record), types.NewRecord(tags), nil
}

// climb returns all that an entity is inside of at a time, itself included.
func climb(g *graph.Graph, e Entity, at int64) (map[Entity]graph.Tuple, error) {
	above := map[Entity]graph.Tuple{e: {}}
	for level, depth := []Entity{e}, 0; len(level) > 0; depth++ {
		if depth > graph.MaxDepth {
			return nil, fmt.Errorf("%w: above %s", graph.ErrDepth, e)
		}
		var next []Entity
		for _, x := range level {
			for t := range g.From(x) {
				if _, seen := above[t.Object]; seen || t.Relation != graph.Member && t.Relation != graph.Parent || expired(t, at) {
					continue
				}
				above[t.Object] = t
				next = append(next, t.Object)
			}
		}
		if level = next; len(above) > graph.MaxClosure+1 {
			return nil, fmt.Errorf("%w: %s", graph.ErrClosure, e)
		}
	}
	return above, nil
}

func expired(t graph.Tuple, at int64) bool { return t.Expires != 0 && t.Expires <= at }

// along follows only one relation upward: a role of a group holds for its
// members, and a role on a resource holds on what has it as parent.
func (v *view) along(e Entity, relation string) map[Entity]bool {
	out := map[Entity]bool{e: true}
	for todo := []Entity{e}; len(todo) > 0; {
		x := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for t := range v.snap.graph.From(x) {
			if t.Relation == relation && !expired(t, v.at) && !out[t.Object] {
				out[t.Object] = true
				todo = append(todo, t.Object)
			}
		}
	}
	return out
}

// roles returns what the subject holds on the resource: granted to it or to a
// group it is in, on the resource or on what that is inside of, and what those
// roles imply on the way down.
func (v *view) roles() map[int]grantedRole {
	subjects := v.along(v.q.Subject, graph.Member)
	held := map[int]grantedRole{}
	var down func(r Entity) map[int]grantedRole
	down = func(r Entity) map[int]grantedRole {
		out := map[int]grantedRole{}
		for t := range v.snap.graph.From(r) {
			if t.Relation == graph.Parent && !expired(t, v.at) {
				for n, g := range down(t.Object) {
					out[n] = g
				}
			}
		}
		for t := range v.snap.graph.To(r) {
			if n, ok := v.snap.set.roles.number[t.Relation]; ok && subjects[t.Subject] && !expired(t, v.at) {
				out[n] = grantedRole{t, n}
			}
		}
		if brings := v.snap.set.roles.brings[r.Type]; brings != nil {
			for n, g := range out {
				for m := range brings {
					if _, has := out[m]; brings[n].has(m) && !has {
						out[m] = g
					}
				}
			}
		}
		return out
	}
	for n, g := range down(v.q.Resource) {
		held[n] = g
	}
	return held
}

// within judges the head of a policy on the graph.
func (v *view) within(s scope, e *end) bool {
	if s.typ != "" && s.typ != e.entity.Type {
		return false
	}
	switch s.kind {
	case equal:
		return s.entity == e.entity
	case isInside:
		_, in := e.inside[s.entity]
		return in
	case holds:
		_, has := v.held[s.role]
		return has && e == v.subject
	}
	return true
}

// Get shows Cedar an entity.
func (v *view) Get(uid types.EntityUID) (types.Entity, bool) {
	e := entityOf(uid)
	if a, ok := v.snap.set.world.Actions[uid]; ok {
		return a.Entity, true
	}
	out := types.Entity{UID: uid}
	var parents []types.EntityUID
	for t := range v.snap.graph.From(e) {
		if (t.Relation == graph.Member || t.Relation == graph.Parent) && !expired(t, v.at) {
			parents = append(parents, uidOf(t.Object))
		}
	}
	switch {
	case e == v.q.Resource:
		out.Attributes, out.Tags = v.resource.record.Attributes, v.resource.record.Tags
	case e == v.q.Subject:
		out.Attributes, out.Tags = v.subject.record.Attributes, v.subject.record.Tags
	default:
		sh := v.snap.set.world.shapes[e.Type]
		if sh == nil {
			return types.Entity{}, false
		}
		var err error
		if out.Attributes, out.Tags, err = v.attributes(e, sh, nil); err != nil && v.err == nil {
			v.err = fmt.Errorf("%s: %w", e, err)
		}
		known := len(parents) > 0 || out.Attributes.Len() > 0
		for range v.snap.graph.To(e) {
			known = true
		}
		if !known {
			return types.Entity{}, false
		}
	}
	if e == v.q.Subject {
		for n := range v.held {
			parents = append(parents, types.NewEntityUID(roleType, types.String(v.snap.set.roles.names[n])))
		}
	}
	out.Parents = types.NewEntityUIDSet(parents...)
	return out, true
}

// path is the way from subject to resource that the policy speaks of.
func (v *view) path(r *rule) []Step {
	for _, n := range r.roles {
		if g, ok := v.held[n]; ok {
			way := v.way(v.subject, g.grant.Subject)
			way = append(way, g.grant)
			down := v.way(v.resource, g.grant.Object)
			for i := len(down) - 1; i >= 0; i-- {
				way = append(way, down[i])
			}
			return way
		}
	}
	var way []Step
	for _, e := range r.inside {
		for _, end := range []*end{v.subject, v.resource} {
			if _, in := end.inside[e]; in {
				way = append(way, v.way(end, e)...)
			}
		}
	}
	return way
}

// way lists the steps from an end of the question up to an entity.
func (v *view) way(e *end, to Entity) []Step {
	var out []Step
	for to != e.entity {
		t, ok := e.inside[to]
		if !ok {
			return nil
		}
		out = append(out, t)
		to = t.Subject
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}
