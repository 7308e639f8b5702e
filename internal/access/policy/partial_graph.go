package policy

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// Get shows Cedar an entity that is not the row.
func (p *partial) Get(uid types.EntityUID) (types.Entity, bool) {
	if a, ok := p.snap.set.world.Actions[uid]; ok {
		return a.Entity, true
	}
	e := entityOf(uid)
	if e.Type == p.typ && (e != p.q.Subject || p.self) && len(p.rows.Attributes)+len(p.rows.Parents) > 0 {
		p.fail("it asks about another %s than the row, whose own row is not at hand", p.typ)
	}
	if !p.hasUp(e) {
		if p.bad == nil {
			p.bad = errLacks
		}
		return types.Entity{UID: uid}, true
	}
	s := p.known(e)
	if s.err != nil && p.bad == nil {
		p.bad = fmt.Errorf("%s: %w", uid, s.err)
	}
	var up []types.EntityUID
	for t := range p.snap.graph.From(e) {
		if p.upward(t) {
			up = append(up, uidOf(t.Object))
		}
	}
	return types.Entity{UID: uid, Attributes: s.record, Tags: s.tags, Parents: types.NewEntityUIDSet(up...)}, true
}

func (p *partial) live(t graph.Tuple) bool {
	return t.Expires == 0 || t.Expires > p.q.At.UnixMilli()
}

func (p *partial) upward(t graph.Tuple) bool {
	return (t.Relation == graph.Member || t.Relation == graph.Parent) && p.live(t)
}

// known reads what is stored about an entity, and what the caller says about the
// subject where the schema lets it.
func (p *partial) known(e Entity) stored {
	if s, ok := p.facts[e]; ok {
		return s
	}
	s := p.read(e, nil)
	p.facts[e] = s
	return s
}

func (p *partial) read(e Entity, without []string) stored {
	sh := p.snap.set.world.shapes[e.Type]
	if sh == nil {
		return stored{}
	}
	props := Properties(nil)
	if e == p.q.Subject {
		props = p.q.SubjectProperties
	}
	record, tags := types.RecordMap{}, types.RecordMap{}
	for name, fact := range p.snap.graph.Attributes(e) {
		a, ok := sh.attrs[name]
		typ := a.typ
		if !ok {
			typ = sh.tags
		}
		if fact == nil || typ == nil || ok && a.request && props[name] != nil || slices.Contains(without, name) {
			continue
		}
		v, err := value(fact, typ)
		if err != nil {
			return stored{err: fmt.Errorf("stored %s: %w", name, err)}
		}
		if ok {
			record[a.name] = v
		} else {
			tags[types.String(name)] = v
		}
	}
	for name, a := range sh.attrs {
		if !a.request || props[name] == nil {
			continue
		}
		v, err := value(props[name], a.typ)
		if err != nil {
			return stored{err: fmt.Errorf("%s: %w", name, err)}
		}
		record[a.name] = v
	}
	return stored{record: types.NewRecord(record), tags: types.NewRecord(tags)}
}

// climb returns all that an entity is inside of, itself included.
func (p *partial) climb(e Entity) map[Entity]bool {
	if !p.hasUp(e) {
		return map[Entity]bool{e: true}
	}
	return p.reach(e, func(x Entity, yield func(Entity)) {
		for t := range p.snap.graph.From(x) {
			if p.upward(t) {
				yield(t.Object)
			}
		}
	})
}

// within returns all that is inside an entity, itself included.
func (p *partial) within(e Entity) map[Entity]bool {
	if m, ok := p.below[e]; ok {
		return m
	}
	if !p.hasMore(Need{Below: &e}) {
		return map[Entity]bool{e: true}
	}
	m := p.reach(e, func(x Entity, yield func(Entity)) {
		for t := range p.snap.graph.To(x) {
			if p.upward(t) {
				yield(t.Subject)
			}
		}
	})
	p.below[e] = m
	return m
}

func (p *partial) reach(from Entity, next func(Entity, func(Entity))) map[Entity]bool {
	out := map[Entity]bool{from: true}
	for todo := []Entity{from}; len(todo) > 0 && p.visit(); {
		x := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		next(x, func(e Entity) {
			if !out[e] && p.visit() {
				out[e] = true
				todo = append(todo, e)
			}
		})
	}
	return out
}

// roles finds what the subject holds anywhere: what was granted to it or to a
// group it is a member of, what that implies, and the same on all that has it as
// parent.
func (p *partial) roles() map[Entity]*roleSet {
	held := map[Entity]*roleSet{}
	var todo []Entity
	give := func(e Entity, s *roleSet) {
		have := held[e]
		if have == nil {
			have = &roleSet{}
			held[e] = have
		}
		before := *have
		for n := range p.snap.set.roles.names {
			if s.has(n) {
				p.bring(e.Type, n, have)
			}
		}
		if *have != before {
			todo = append(todo, e)
		}
	}
	groups := p.reach(p.q.Subject, func(x Entity, yield func(Entity)) {
		for t := range p.snap.graph.From(x) {
			if t.Relation == graph.Member && p.live(t) {
				yield(t.Object)
			}
		}
	})
	for g := range groups {
		for t := range p.snap.graph.From(g) {
			if n, ok := p.snap.set.roles.number[t.Relation]; ok && p.live(t) && p.visit() {
				var s roleSet
				s.add(n)
				give(t.Object, &s)
			}
		}
	}
	for len(todo) > 0 && p.visit() {
		e := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for t := range p.snap.graph.To(e) {
			if t.Relation == graph.Parent && p.live(t) && p.visit() {
				give(t.Subject, held[e])
			}
		}
	}
	return held
}

// bring adds a role and what it implies on a type.
func (p *partial) bring(typ string, role int, to *roleSet) {
	to.add(role)
	implied := p.snap.set.roles.brings[typ]
	if role >= len(implied) {
		return
	}
	for n := range p.snap.set.roles.names {
		if implied[role].has(n) {
			to.add(n)
		}
	}
}

// holds asks whether the subject holds a role on the row: granted there, or on
// what the relations or the row say that it is inside of.
func (p *partial) holds(role int) verdict {
	if p.have != nil && !p.hasMore(Need{Roles: p.snap.set.bringing(role)}) {
		return wrong
	}
	if p.held == nil {
		p.held = p.roles()
	}
	var ids []any
	above := map[string][]any{}
	for e, s := range p.held {
		if e.Type == p.typ {
			if s.has(role) {
				ids = append(ids, e.ID)
			}
			continue
		}
		var there roleSet
		for n := range p.snap.set.roles.names {
			if s.has(n) {
				p.bring(p.typ, n, &there)
			}
		}
		if there.has(role) {
			above[e.Type] = append(above[e.Type], e.ID)
		}
	}
	return p.placed(ids, above)
}

// inside asks whether the row is an entity or inside it.
func (p *partial) inside(x Entity) verdict {
	var ids []any
	above := map[string][]any{}
	for e := range p.within(x) {
		if e.Type == p.typ {
			ids = append(ids, e.ID)
		} else {
			above[e.Type] = append(above[e.Type], e.ID)
		}
	}
	return p.placed(ids, above)
}

// placed is true of the rows with these ids, and of those whose parents are among
// the others.
func (p *partial) placed(ids []any, above map[string][]any) verdict {
	out := verdict{isIn(p.id(), ids), notIn(p.id(), ids), true}
	for _, parent := range p.rows.Parents {
		f := Field{Kind: FieldParent, Name: parent, Of: ValueID}
		list := above[parent]
		out = either(out, func() verdict { return verdict{isIn(f, list), some(absent(f), notIn(f, list)), true} })
	}
	return out
}

func (p *partial) is(e Entity) verdict {
	if e.Type != p.typ {
		return never
	}
	return verdict{isIn(p.id(), []any{e.ID}), notIn(p.id(), []any{e.ID}), true}
}

// in is the operator of that name; on the right stands an entity or a set.
func (p *partial) in(left, right ast.IsNode) verdict {
	a := p.value(left)
	if s, ok := right.(ast.NodeTypeSet); ok {
		out, defined := never, always
		for _, n := range s.Elements {
			b := p.value(n)
			defined = both(defined, b.defined)
			t := p.sum(a, func(x oneCase) verdict { return p.sum(b, func(y oneCase) verdict { return p.isInside(x, y) }) })
			out = verdict{some(out.yes, t.yes), all(out.no, t.no), out.total && t.total}
		}
		if len(s.Elements) == 0 {
			return verdict{no, a.defined().yes, a.total}
		}
		return verdict{all(defined.yes, out.yes), all(defined.yes, out.no), out.total && defined.total}
	}
	b := p.value(right)
	return p.sum(a, func(x oneCase) verdict { return p.sum(b, func(y oneCase) verdict { return p.isInside(x, y) }) })
}

func (p *partial) isInside(x, y oneCase) verdict {
	if set, ok := y.value.(types.Set); ok {
		var yes, no []Condition
		total := true
		for e := range set.All() {
			t := p.isInside(x, oneCase{value: e})
			yes, no, total = append(yes, t.yes), append(no, t.no), total && t.total
		}
		return verdict{some(yes...), all(no...), total}
	}
	subject := x.row && p.self || x.value != nil && x.value.Equal(uidOf(p.q.Subject)) && !x.row
	to, known := y.value.(types.EntityUID)
	switch {
	case known && to.Type == roleType:
		n, ok := p.snap.set.roles.number[string(to.ID)]
		if !ok || !subject {
			return never
		}
		return p.holds(n)
	case x.row && known:
		return p.inside(entityOf(to))
	case x.row && y.row:
		return always
	case known && x.field.Of == ValueID:
		if string(x.typ) == p.typ && len(p.rows.Parents) > 0 {
			p.fail("it asks what other rows of type %q are inside of", p.typ)
			return wrong
		}
		var ids []any
		for e := range p.within(entityOf(to)) {
			if e.Type == string(x.typ) {
				ids = append(ids, e.ID)
			}
		}
		return verdict{isIn(x.field, ids), notIn(x.field, ids), true}
	case known && x.value != nil:
		return p.judged(p.eval(ast.NodeTypeIn{BinaryNode: ast.BinaryNode{Left: ast.NodeValue{Value: x.value}, Right: ast.NodeValue{Value: to}}}))
	case x.value != nil && (y.row || y.field.Of == ValueID):
		from, ok := x.value.(types.EntityUID)
		if !ok {
			return wrong
		}
		f, typ := p.fieldOf(y), p.typeOf(y)
		var ids, near []any
		readable := true
		for e := range p.climb(entityOf(from)) {
			readable = readable && p.known(e).err == nil
			if e.Type == string(typ) {
				ids = append(ids, e.ID)
			}
		}
		if readable {
			return verdict{isIn(f, ids), notIn(f, ids), true}
		}
		// On the way up Decide reads everything but what it finds at the first step.
		if from.Type == typ {
			near = append(near, string(from.ID))
		}
		if p.known(entityOf(from)).err == nil {
			for t := range p.snap.graph.From(entityOf(from)) {
				if p.upward(t) && t.Object.Type == string(typ) {
					near = append(near, t.Object.ID)
				}
			}
		}
		return verdict{yes: isIn(f, near), no: no}
	}
	p.fail("it asks whether one thing that a row says is inside another")
	return wrong
}

// piecesOf reads the pattern of a like, which Cedar shows as JSON only: pieces of
// text, and nil for any text.
func piecesOf(pattern types.Pattern) ([]*string, bool) {
	text, err := pattern.MarshalJSON()
	if err != nil {
		return nil, false
	}
	var parts []json.RawMessage
	if json.Unmarshal(text, &parts) != nil {
		return nil, false
	}
	var out []*string
	for _, part := range parts {
		var literal struct{ Literal *string }
		if json.Unmarshal(part, &literal) == nil && literal.Literal != nil {
			out = append(out, literal.Literal)
		} else if string(part) == `"Wildcard"` {
			out = append(out, nil)
		} else {
			return nil, false
		}
	}
	return out, true
}
