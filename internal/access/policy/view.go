package policy

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cedar-policy/cedar-go/types"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// view is the snapshot as one question sees it. Its memory is used again; no
// answer may point into it.
type view struct {
	snap     *Snapshot
	q        *Question
	at       int64
	plan     *plan
	context  types.Record
	of       *plan // whose context was read
	contexts error
	subject  end
	resource end
	request  types.Request

	same   bool      // somebody asks about themselves
	held   []roleSet // of the subject, on what the resource is inside of by parents; the resource itself first
	ways   []roleSet // what one grant comes to, while the way over it is looked for
	grants []graph.Held

	// Of many resources, each is asked what is above it only if a policy wants to
	// know; what the subject holds on containers is found once.
	many   bool
	passed map[graph.Node]above
	up     []graph.Node
	walked int
	steps  []Step // what is left of it is for the ways of further answers
	lost   error  // what is above the resource could not be found

	climbs bool                        // the policy that Cedar judges asks what is inside what
	seen   map[graph.Node]types.Entity // what Cedar was shown while it climbed
	err    error                       // what Cedar could not be shown
}

// end is the subject or the resource of a question.
type end struct {
	entity Entity
	uid    types.EntityUID
	props  Properties
	node   graph.Node
	known  bool // to the graph
	above  graph.Above
	within bool // above is of this entity
	shape  *shape
	shown  *shown // its attributes, once somebody asked
	said   []saying
	laid   shown // what the caller says over what is stored, in the memory of said
}

var views = sync.Pool{New: func() any {
	return &view{seen: map[graph.Node]types.Entity{}, passed: map[graph.Node]above{}}
}}

// look begins to answer a question: all that does not depend on the resource.
func (s *Snapshot) look(q *Question) (*view, error) {
	v := views.Get().(*view)
	v.snap, v.q, v.at, v.of, v.plan, v.contexts, v.same, v.many = s, q, q.At.UnixMilli(), nil, nil, nil, false, false
	if q.At.IsZero() {
		return v, errors.New("the question has no time")
	}
	if err := v.end(&v.subject, q.Subject, graph.Member, q.SubjectProperties); err != nil {
		return v, fmt.Errorf("subject: %w", err)
	}
	return v, nil
}

func (v *view) done() {
	clear(v.seen)
	v.forget()
	v.snap, v.q, v.plan, v.of, v.err, v.lost, v.steps = nil, nil, nil, nil, nil, nil, nil
	v.subject.done()
	v.resource.done()
	v.context, v.request = types.Record{}, types.Request{}
	views.Put(v)
}

func (e *end) done() {
	clear(e.said[:cap(e.said)])
	e.shown, e.props, e.laid = nil, nil, shown{}
}

// about turns to a resource.
func (v *view) about(p *plan, resource Entity) error {
	if err := v.among(p); err != nil {
		return err
	}
	if err := v.end(&v.resource, resource, graph.Parent, v.q.ResourceProperties); err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	return v.face()
}

// aboutNode is about for a resource that the graph knows, of many.
func (v *view) aboutNode(p *plan, resource Entity, n graph.Node) error {
	if err := v.among(p); err != nil {
		return err
	}
	e := &v.resource
	e.entity, e.uid, e.props, e.shown = resource, uidOf(resource), v.q.ResourceProperties, nil
	e.shape, e.node, e.known, e.within = v.snap.set.world.shapes[resource.Type], n, true, false
	return v.face()
}

// among takes the plan, and reads the circumstances that it asks for.
func (v *view) among(p *plan) error {
	if v.plan = p; p.asksContext && v.of != p {
		v.context, v.contexts = p.contextOf(v.q)
		v.of = p
	}
	if p.asksContext && v.contexts != nil {
		return fmt.Errorf("context: %w", v.contexts)
	}
	return nil
}

// face brings subject and resource together.
func (v *view) face() error {
	if same := v.subject.uid == v.resource.uid; same || v.same {
		v.same, v.subject.shown, v.resource.shown = same, nil, nil
	}
	if len(v.seen) > 0 {
		clear(v.seen)
	}
	v.lost = nil
	v.request = types.Request{Principal: v.subject.uid, Action: v.plan.action.Entity.UID, Resource: v.resource.uid, Context: v.context}
	if v.many {
		v.walked = 0
		found := v.heldOnResource()
		if v.walked <= mostWalked && found.ways <= graph.MaxClosure {
			v.held = append(v.held[:0], found.held)
			return nil
		}
		if v.walked > mostWalked {
			v.forget() // what was not walked to its end
		}
		if v.aboveOf(&v.resource); v.lost != nil {
			return fmt.Errorf("resource: %w", v.lost)
		}
	}
	v.findRoles()
	return nil
}

// mostWalked is how many parents are looked at for one of many resources. What has
// more above it, or may have too many ways up, is judged as if it were the only one,
// within the bounds of that.
const mostWalked = 1000

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

func (v *view) end(e *end, entity Entity, relation string, props Properties) error {
	e.entity, e.uid, e.props, e.shown = entity, uidOf(entity), props, nil
	if e.shape = v.snap.set.world.shapes[entity.Type]; e.shape == nil {
		return fmt.Errorf("the schema has no type %q", entity.Type)
	}
	if e.shape.enum != nil && !e.shape.enum[entity.ID] {
		return fmt.Errorf("the schema does not list this id for type %q", entity.Type)
	}
	if e == &v.subject {
		if err := v.snap.refuses(entity, v.q.At); err != nil {
			return err
		}
	}
	if e.node, e.known = v.snap.graph.Find(entity); !e.known {
		e.above.Nothing()
		e.within = true
		return nil
	}
	if e.within = e == &v.subject || !v.many; !e.within {
		return nil
	}
	return v.snap.graph.Climb(e.node, relation, v.at, &e.above)
}

// aboveOf is all that an end is inside of. Where that cannot be found, nothing
// that asked for it counts: see meets.
func (v *view) aboveOf(e *end) *graph.Above {
	if !e.within {
		e.within = true
		if err := v.snap.graph.Climb(e.node, graph.Parent, v.at, &e.above); err != nil {
			v.lost = err
			e.above.Nothing()
		}
	}
	return &e.above
}

// heldOnResource finds what findRoles finds, and keeps what is held on containers
// for the next resource.
func (v *view) heldOnResource() (found above) {
	if !v.resource.known {
		return found
	}
	if len(v.passed) > mostPassed {
		clear(v.passed)
	}
	return v.heldOn(v.resource.node, v.resource.entity.Type)
}

// mostPassed is on how many containers is kept what is held there.
const mostPassed = 1 << 14

// above is what is known of a node from all that it is inside of.
type above struct {
	held roleSet
	ways int // at least as many as lead up, as far as MaxClosure and one
}

// heldOn is what was granted on a node, what is held on its parents, and what all
// of that implies there. Nothing is inside itself, so it ends.
func (v *view) heldOn(n graph.Node, typ string) (out above) {
	g := v.snap.graph
	if v.subject.known {
		v.grants = g.GrantsOn(&v.subject.above, n, v.at, v.grants[:0])
		for _, h := range v.grants {
			if n := v.snap.role[h.Relation]; n >= 0 {
				out.held.add(int(n))
			}
		}
	}
	from, mixed := len(v.up), false
	if v.up, mixed = g.Parents(n, v.at, v.up); mixed {
		out.ways = graph.MaxClosure + 1 // those of groups are not walked here
	}
	v.walked += len(v.up) - from
	for i := from; i < len(v.up) && v.walked <= mostWalked; i++ {
		p := v.up[i]
		of, known := v.passed[p]
		if !known {
			of = v.heldOn(p, g.Type(p))
			v.passed[p] = of
		}
		out.held.addAll(&of.held)
		out.ways = min(out.ways+1+of.ways, graph.MaxClosure+1)
	}
	if v.up = v.up[:from]; !out.held.empty() {
		v.snap.set.roles.expand(typ, &out.held)
	}
	return out
}

// forget lets go of what is held by one subject.
func (v *view) forget() {
	if len(v.passed) > 0 {
		clear(v.passed)
	}
}

// findRoles finds what the subject holds on the resource and on all that this is
// inside of: what was granted there, what those roles imply there, and what is
// held above.
func (v *view) findRoles() {
	a := &v.resource.above
	v.held = v.held[:0]
	for range max(a.Pure(), 1) {
		v.held = append(v.held, roleSet{})
	}
	if !v.subject.known || !v.resource.known {
		return
	}
	some := false
	for i := range a.Pure() {
		v.grants = v.snap.graph.Grants(&v.subject.above, a, i, v.at, v.grants[:0])
		for _, h := range v.grants {
			if n := v.snap.role[h.Relation]; n >= 0 {
				v.held[i].add(int(n))
				some = true
			}
		}
	}
	if some {
		v.descend(v.held)
	}
}

// descend brings roles down to the resource. One round is enough where
// everything has one parent.
func (v *view) descend(held []roleSet) {
	a, g, roles := &v.resource.above, v.snap.graph, v.snap.set.roles
	links := a.Links()
	for changed := true; changed; {
		changed = false
		for i := len(links) - 1; i >= 0; i-- {
			l := links[i]
			if held[l.Above].empty() {
				continue
			}
			roles.expand(g.Type(a.Node(int(l.Above))), &held[l.Above])
			if held[l.Below].addAll(&held[l.Above]) && i != len(links)-1 && l.Below > l.Above {
				changed = true
			}
		}
	}
	roles.expand(v.resource.entity.Type, &held[0])
}

// within judges the head of a policy on the graph.
func (v *view) within(s *scope, e *end) bool {
	if s.typ != "" && s.typ != e.entity.Type {
		return false
	}
	switch s.kind {
	case equal:
		return s.entity == e.entity
	case isInside:
		return v.inside(e, s.named)
	case holds:
		return v.held[0].has(s.role)
	}
	return true
}

// inside reports whether an end is the named entity or inside it.
func (v *view) inside(e *end, named int) bool {
	n := v.snap.named[named]
	return n.known && e.known && v.aboveOf(e).Contains(n.node) || v.snap.set.named[named] == e.entity
}

// Get shows Cedar an entity.
func (v *view) Get(uid types.EntityUID) (types.Entity, bool) {
	switch {
	case uid == v.subject.uid:
		return v.show(&v.subject), true
	case uid == v.resource.uid:
		return v.show(&v.resource), true
	}
	if a, ok := v.snap.set.world.Actions[uid]; ok {
		return a.Entity, true
	}
	g := v.snap.graph
	sh := v.snap.set.world.shapes[string(uid.Type)]
	n, ok := g.Find(entityOf(uid))
	if !ok && v.snap.excerpt && !v.snap.read[entityOf(uid)] && v.err == nil && (sh == nil || sh.enum == nil) {
		v.err = fmt.Errorf("%s: it is not among the facts that were read", uid)
	}
	if !ok {
		return types.Entity{}, false
	}
	if e, ok := v.seen[n]; ok {
		return e, true
	}
	// What the schema has no type for has no attributes, but leads upward.
	s := nothing
	if sh != nil {
		s = v.snap.shown(n, sh)
	}
	if s.err != nil && v.err == nil {
		v.err = fmt.Errorf("%s: %w", uid, s.err)
	}
	out := types.Entity{UID: uid, Attributes: s.record, Tags: s.tags}
	if v.climbs {
		out.Parents = types.NewEntityUIDSet(v.parents(n, nil)...)
		v.seen[n] = out
	}
	return out, true
}

func (v *view) show(e *end) types.Entity {
	if e.shown == nil {
		e.shown = v.attributes(e)
	}
	if e.shown.said != nil {
		e.shown = v.wholly(e)
	}
	if e.shown.err != nil && v.err == nil {
		v.err = fmt.Errorf("%s: %w", e.uid, e.shown.err)
	}
	out := types.Entity{UID: e.uid, Attributes: e.shown.record, Tags: e.shown.tags}
	if !v.climbs {
		return out
	}
	var up []types.EntityUID
	if e.known {
		up = v.parents(e.node, up)
	}
	if e.uid == v.subject.uid {
		for i, name := range v.snap.set.roles.names {
			if v.held[0].has(i) {
				up = append(up, types.EntityUID{Type: roleType, ID: types.String(name)})
			}
		}
	}
	out.Parents = types.NewEntityUIDSet(up...)
	return out
}

func (v *view) parents(n graph.Node, dst []types.EntityUID) []types.EntityUID {
	for t := range v.snap.graph.Upward(n, v.at) {
		dst = append(dst, uidOf(v.snap.graph.Entity(t)))
	}
	return dst
}
