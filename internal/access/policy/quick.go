package policy

import (
	"cmp"
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// What conditions mostly are made of is judged here, without the allocations that
// Cedar's evaluator needs. This is no second opinion: whatever is missing, of
// another type or out of the ordinary in any way is left to Cedar (sure is false),
// and so is every policy that has something else in it. An error is never found
// here: where Cedar would find one, nobody is sure. The tests hold it to Cedar.

// test is an expression that is true or false; term is one that has a value. A
// term that has no value, and a test that is not sure, are Cedar's to judge.
type (
	test func(*view) (is, sure bool)
	term func(*view) (v types.Value, sure bool)
)

// quickly returns the conditions of a policy as a test, or nil if something in
// them is for Cedar alone.
func (s *Set) quickly(r *rule) test {
	var all test
	for _, c := range r.text.Conditions {
		one := s.test(r, c.Body)
		if one == nil {
			return nil
		}
		if c.Condition == ast.ConditionUnless {
			one = not(one)
		}
		if all == nil {
			all = one
		} else {
			all = and(all, one)
		}
	}
	return all
}

func not(a test) test {
	return func(v *view) (bool, bool) {
		is, sure := a(v)
		return !is, sure
	}
}

func and(a, b test) test {
	return func(v *view) (bool, bool) {
		if is, sure := a(v); !sure || !is {
			return is, sure
		}
		return b(v)
	}
}

func or(a, b test) test {
	return func(v *view) (bool, bool) {
		if is, sure := a(v); !sure || is {
			return is, sure
		}
		return b(v)
	}
}

func (s *Set) test(r *rule, n ast.IsNode) test {
	if a, ok := s.atom(n); ok {
		if !slices.ContainsFunc(r.atoms, a.equal) {
			return nil // more than there are variants for
		}
		return func(v *view) (bool, bool) { return v.holds(a), true }
	}
	both := func(b ast.BinaryNode, join func(a, b test) test) test {
		left, right := s.test(r, b.Left), s.test(r, b.Right)
		if left == nil || right == nil {
			return nil
		}
		return join(left, right)
	}
	switch n := n.(type) {
	case ast.NodeTypeAnd:
		return both(n.BinaryNode, and)
	case ast.NodeTypeOr:
		return both(n.BinaryNode, or)
	case ast.NodeTypeNot:
		if a := s.test(r, n.Arg); a != nil {
			return not(a)
		}
	case ast.NodeTypeIfThenElse:
		return s.choice(r, n)
	case ast.NodeTypeEquals:
		return s.equality(n.BinaryNode)
	case ast.NodeTypeNotEquals:
		if a := s.equality(n.BinaryNode); a != nil {
			return not(a)
		}
	case ast.NodeTypeLessThan:
		return s.order(n.BinaryNode, func(c int) bool { return c < 0 })
	case ast.NodeTypeLessThanOrEqual:
		return s.order(n.BinaryNode, func(c int) bool { return c <= 0 })
	case ast.NodeTypeGreaterThan:
		return s.order(n.BinaryNode, func(c int) bool { return c > 0 })
	case ast.NodeTypeGreaterThanOrEqual:
		return s.order(n.BinaryNode, func(c int) bool { return c >= 0 })
	case ast.NodeTypeHas:
		return s.has(n)
	case ast.NodeTypeLike:
		return s.like(n)
	case ast.NodeTypeContains:
		return s.contains(n)
	case ast.NodeTypeIs:
		return s.isType(n)
	case ast.NodeTypeIn:
		return s.in(n)
	case ast.NodeValue, ast.NodeTypeAccess:
		return s.flag(n)
	}
	return nil
}

// flag is a value that is true or false by itself.
func (s *Set) flag(n ast.IsNode) test {
	t := s.term(n)
	if t == nil {
		return nil
	}
	return func(v *view) (bool, bool) {
		x, ok := t(v)
		b, is := x.(types.Boolean)
		return bool(b), ok && is
	}
}

func (s *Set) choice(r *rule, n ast.NodeTypeIfThenElse) test {
	when, then, otherwise := s.test(r, n.If), s.test(r, n.Then), s.test(r, n.Else)
	if when == nil || then == nil || otherwise == nil {
		return nil
	}
	return func(v *view) (bool, bool) {
		switch is, sure := when(v); {
		case !sure:
			return false, false
		case is:
			return then(v)
		}
		return otherwise(v)
	}
}

// pair is a test of two values.
func (s *Set) pair(left, right ast.IsNode, judge func(x, y types.Value) (bool, bool)) test {
	t, u := s.term(left), s.term(right)
	if t == nil || u == nil {
		return nil
	}
	return func(v *view) (bool, bool) {
		x, ok := t(v)
		if !ok {
			return false, false
		}
		y, ok := u(v)
		if !ok {
			return false, false
		}
		return judge(x, y)
	}
}

func (s *Set) equality(b ast.BinaryNode) test {
	left, right := b.Left, b.Right
	if _, ok := whose(left); ok {
		left, right = right, left
	}
	end, ok := whose(right)
	if !ok {
		return s.pair(left, right, func(x, y types.Value) (bool, bool) { return x.Equal(y), true })
	}
	t := s.term(left)
	if t == nil {
		return nil
	}
	return func(v *view) (bool, bool) {
		x, ok := t(v)
		uid, is := x.(types.EntityUID)
		return is && uid == end(v).uid, ok && is
	}
}

func (s *Set) order(b ast.BinaryNode, holds func(int) bool) test {
	return s.pair(b.Left, b.Right, func(x, y types.Value) (bool, bool) {
		c, ok := compare(x, y)
		return holds(c), ok
	})
}

func compare(x, y types.Value) (int, bool) {
	switch x := x.(type) {
	case types.Long:
		y, ok := y.(types.Long)
		return cmp.Compare(x, y), ok
	case types.Datetime:
		y, ok := y.(types.Datetime)
		return cmp.Compare(x.Milliseconds(), y.Milliseconds()), ok
	}
	return 0, false
}

func (s *Set) contains(n ast.NodeTypeContains) test {
	return s.pair(n.Left, n.Right, func(x, y types.Value) (bool, bool) {
		set, is := x.(types.Set)
		return is && set.Contains(y), is
	})
}

func (s *Set) like(n ast.NodeTypeLike) test {
	t := s.term(n.Arg)
	if t == nil {
		return nil
	}
	return func(v *view) (bool, bool) {
		x, ok := t(v)
		text, is := x.(types.String)
		return ok && is && n.Value.Match(text), ok && is
	}
}

func (s *Set) isType(n ast.NodeTypeIs) test {
	if end, ok := whose(n.Left); ok {
		return func(v *view) (bool, bool) { return end(v).uid.Type == n.EntityType, true }
	}
	t := s.term(n.Left)
	if t == nil {
		return nil
	}
	return func(v *view) (bool, bool) {
		x, ok := t(v)
		uid, is := x.(types.EntityUID)
		return uid.Type == n.EntityType, ok && is
	}
}

// whose tells which end of the question a variable is.
func whose(n ast.IsNode) (func(*view) *end, bool) {
	switch variable, _ := n.(ast.NodeTypeVariable); variable.Name {
	case "principal":
		return func(v *view) *end { return &v.subject }, true
	case "resource":
		return func(v *view) *end { return &v.resource }, true
	}
	return nil, false
}

// bearer is an expression that has attributes: an end of the question, the
// circumstances, or a record or an entity that is the value of something. exists
// is false for an entity that nobody knows.
type bearer func(*view) (attrs attributes, exists, sure bool)

// attributes are those of a record, or of an entity.
type attributes struct {
	record types.Record
	shown  *shown
}

func (a attributes) get(name types.String) (types.Value, bool) {
	if a.shown != nil {
		return a.shown.get(name)
	}
	return a.record.Get(name)
}

func (s *Set) bearer(n ast.IsNode) bearer {
	if end, ok := whose(n); ok {
		return func(v *view) (attributes, bool, bool) { return v.attributesOf(end(v)) }
	}
	if variable, ok := n.(ast.NodeTypeVariable); ok {
		if variable.Name != "context" {
			return nil
		}
		return func(v *view) (attributes, bool, bool) { return attributes{record: v.request.Context}, true, true }
	}
	t := s.term(n)
	if t == nil {
		return nil
	}
	return func(v *view) (attributes, bool, bool) {
		x, ok := t(v)
		if !ok {
			return attributes{}, false, false
		}
		switch x := x.(type) {
		case types.Record:
			return attributes{record: x}, true, true
		case types.EntityUID:
			return v.attributesOfOther(x)
		}
		return attributes{}, false, false
	}
}

func (v *view) attributesOf(e *end) (attrs attributes, exists, sure bool) {
	if e.shown == nil {
		e.shown = v.attributes(e)
	}
	return attributes{shown: e.shown}, true, e.shown.err == nil
}

// attributesOfOther finds what Get would show of an entity.
func (v *view) attributesOfOther(uid types.EntityUID) (attrs attributes, exists, sure bool) {
	switch {
	case uid == v.subject.uid:
		return v.attributesOf(&v.subject)
	case uid == v.resource.uid:
		return v.attributesOf(&v.resource)
	}
	if _, action := v.snap.set.world.Actions[uid]; action {
		return attributes{}, false, false
	}
	n, exists := v.snap.graph.Find(entityOf(uid))
	sh := v.snap.set.world.shapes[string(uid.Type)]
	if !exists || sh == nil {
		return attributes{}, exists, exists || !v.snap.excerpt // of what was not read, Get says so
	}
	s := v.snap.shown(n, sh)
	return attributes{shown: s}, true, s.err == nil
}

func (s *Set) has(n ast.NodeTypeHas) test {
	r := s.bearer(n.Arg)
	if r == nil {
		return nil
	}
	return func(v *view) (bool, bool) {
		m, _, ok := r(v)
		_, is := m.get(n.Value)
		return is, ok
	}
}

// in judges "principal in resource.team": an end inside an entity that the
// question brings with it.
func (s *Set) in(n ast.NodeTypeIn) test {
	end, ok := whose(n.Left)
	u := s.term(n.Right)
	if !ok || u == nil {
		return nil
	}
	return func(v *view) (bool, bool) {
		y, ok := u(v)
		uid, is := y.(types.EntityUID)
		e := end(v)
		if !ok || !is || uid.Type == roleType || !v.plain(e) {
			return false, false
		}
		if uid == e.uid {
			return true, true
		}
		node, known := v.snap.graph.Find(entityOf(uid))
		return known && e.known && v.aboveOf(e).Contains(node), true
	}
}

// mostPlain is how many entities above an end are looked at.
const mostPlain = 64

// plain reports whether Cedar, climbing from an end, would meet nothing that it
// must not be shown.
func (v *view) plain(e *end) bool {
	above := v.aboveOf(e)
	if _, _, sure := v.attributesOf(e); !sure || above.Len() > mostPlain {
		return false
	}
	for i := 1; i < above.Len(); i++ {
		n := above.Node(i)
		if sh := v.snap.set.world.shapes[v.snap.graph.Type(n)]; sh != nil && v.snap.shown(n, sh).err != nil {
			return false
		}
	}
	return true
}

func (s *Set) term(n ast.IsNode) term {
	if c := literal(n); c != nil {
		return func(*view) (types.Value, bool) { return c, true }
	}
	a, ok := n.(ast.NodeTypeAccess)
	if !ok {
		return nil
	}
	r := s.bearer(a.Arg)
	if r == nil {
		return nil
	}
	return func(v *view) (types.Value, bool) {
		m, exists, ok := r(v)
		if !ok || !exists {
			return nil, false
		}
		return m.get(a.Value)
	}
}

// literal is the value of an expression that asks for nothing, or nil.
func literal(n ast.IsNode) types.Value {
	switch n := n.(type) {
	case ast.NodeValue:
		return n.Value
	case ast.NodeTypeSet:
		values := make([]types.Value, len(n.Elements))
		for i, e := range n.Elements {
			if values[i] = literal(e); values[i] == nil {
				return nil
			}
		}
		return types.NewSet(values...)
	case ast.NodeTypeExtensionCall:
		if len(n.Args) != 1 || n.Name != "datetime" {
			return nil
		}
		text, _ := n.Args[0].(ast.NodeValue)
		if s, ok := text.Value.(types.String); ok {
			if at, err := types.ParseDatetime(string(s)); err == nil {
				return at
			}
		}
	}
	return nil
}
