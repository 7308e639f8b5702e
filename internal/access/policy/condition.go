package policy

import (
	"errors"
	"iter"
	"slices"

	"github.com/cedar-policy/cedar-go"
	publicast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// maxAtoms is how many questions about the graph a policy may have taken out of
// its conditions; there is a variant of the conditions for each outcome.
const maxAtoms = 4

// atom is a question in the conditions that the graph answers at once: is the
// subject or the resource in one of these? It can never be an error.
type atom struct {
	subject bool // else the resource
	typ     string
	named   []int // entities
	roles   []int // only of the subject
}

func (v *view) holds(a atom) bool {
	e := &v.resource
	if a.subject {
		e = &v.subject
	}
	if a.typ != "" && a.typ != e.entity.Type {
		return false
	}
	for _, n := range a.roles {
		if v.held[0].has(n) {
			return true
		}
	}
	for _, n := range a.named {
		if v.inside(e, n) {
			return true
		}
	}
	return false
}

// variant is the conditions of a policy with the outcome of its atoms put in.
// Whether what meets them is permitted or forbidden is decided outside, so that
// an error is never taken for a condition that is not met.
type variant struct {
	always, never bool
	policy        only
	climbs        bool // Cedar has to ask what is inside what
}

// only is a single policy, for Cedar's authorizer.
type only struct {
	seq iter.Seq2[types.PolicyID, *cedar.Policy]
}

// All returns the policy.
func (o only) All() iter.Seq2[types.PolicyID, *cedar.Policy] { return o.seq }

func (c *variant) met(v *view) (bool, error) {
	if c.always || c.never {
		return c.always, nil
	}
	if v.climbs != c.climbs {
		v.climbs = c.climbs
		clear(v.seen)
	}
	v.err = nil
	ok, diag := cedar.Authorize(c.policy, v, v.request)
	if len(diag.Errors) > 0 {
		return false, errors.New(diag.Errors[0].Message)
	}
	return bool(ok), v.err
}

// compile takes the atoms out of the conditions and makes a variant for each way
// they can come out.
func (r *rule) compile(s *Set) {
	if len(r.text.Conditions) == 0 {
		return
	}
	for _, c := range r.text.Conditions {
		rewrite(c.Body, func(n ast.IsNode) (ast.IsNode, bool) {
			a, ok := s.atom(n)
			if ok && len(r.atoms) < maxAtoms && !slices.ContainsFunc(r.atoms, a.equal) {
				r.atoms = append(r.atoms, a)
			}
			return n, ok
		})
	}
	r.quick = s.quickly(r)
	for which := range 1 << len(r.atoms) {
		r.variants = append(r.variants, s.variant(r, which))
	}
}

func (a atom) equal(b atom) bool {
	return a.subject == b.subject && a.typ == b.typ && slices.Equal(a.named, b.named) && slices.Equal(a.roles, b.roles)
}

func (s *Set) variant(r *rule, which int) *variant {
	c := &variant{always: true}
	p := ast.Permit()
	for _, cond := range r.text.Conditions {
		body := rewrite(cond.Body, func(n ast.IsNode) (ast.IsNode, bool) {
			if a, ok := s.atom(n); ok {
				if i := slices.IndexFunc(r.atoms, a.equal); i >= 0 {
					return ast.Boolean(which>>i&1 != 0).AsIsNode(), true
				}
			}
			switch n.(type) {
			case ast.NodeTypeIn, ast.NodeTypeIsIn:
				c.climbs = true
			}
			return n, false
		})
		body = simplify(body)
		p.Conditions = append(p.Conditions, ast.ConditionType{Condition: cond.Condition, Body: body})
		if b, ok := truth(body); !ok {
			c.always = false
		} else if b != bool(cond.Condition) {
			// What stands before could still be an error; Cedar says so.
			c.always, c.never = false, c.always
			break
		}
	}
	policy := cedar.NewPolicyFromAST((*publicast.Policy)(p))
	c.policy.seq = func(yield func(types.PolicyID, *cedar.Policy) bool) { yield("", policy) }
	return c
}

// atom reads "principal in E", "resource in [E, F]" and "principal is T in E".
func (s *Set) atom(n ast.IsNode) (atom, bool) {
	var left, right ast.IsNode
	var a atom
	switch n := n.(type) {
	case ast.NodeTypeIn:
		left, right = n.Left, n.Right
	case ast.NodeTypeIsIn:
		left, right, a.typ = n.Left, n.Entity, string(n.EntityType)
	default:
		return a, false
	}
	variable, ok := left.(ast.NodeTypeVariable)
	if !ok || variable.Name != "principal" && variable.Name != "resource" {
		return a, false
	}
	a.subject = variable.Name == "principal"
	uids, ok := literals(right)
	if !ok {
		return a, false
	}
	for _, u := range uids {
		if u.Type != roleType {
			a.named = append(a.named, s.name(entityOf(u)))
		} else if n, known := s.roles.number[string(u.ID)]; known && a.subject {
			a.roles = append(a.roles, n)
		} else {
			return a, false
		}
	}
	return a, true
}

func literals(n ast.IsNode) ([]types.EntityUID, bool) {
	switch n := n.(type) {
	case ast.NodeValue:
		switch v := n.Value.(type) {
		case types.EntityUID:
			return []types.EntityUID{v}, true
		case types.Set:
			var out []types.EntityUID
			for e := range v.All() {
				u, ok := e.(types.EntityUID)
				if !ok {
					return nil, false
				}
				out = append(out, u)
			}
			slices.SortFunc(out, compareUIDs)
			return out, true
		}
	case ast.NodeTypeSet:
		var out []types.EntityUID
		for _, e := range n.Elements {
			u, ok := literals(e)
			if _, set := e.(ast.NodeTypeSet); !ok || set {
				return nil, false
			}
			out = append(out, u...)
		}
		return out, true
	}
	return nil, false
}

func truth(n ast.IsNode) (value, ok bool) {
	v, ok := n.(ast.NodeValue)
	if !ok {
		return false, false
	}
	b, ok := v.Value.(types.Boolean)
	return bool(b), ok
}

// simplify leaves out what a known left side decides. The right side of && and
// || is not asked then, so an error in it would not have come up either.
func simplify(n ast.IsNode) ast.IsNode {
	switch n := n.(type) {
	case ast.NodeTypeAnd:
		n.Left, n.Right = simplify(n.Left), simplify(n.Right)
		if b, ok := truth(n.Left); ok && !b {
			return n.Left
		}
		if l, ok := truth(n.Left); ok && l {
			if _, known := truth(n.Right); known {
				return n.Right
			}
		}
		return n
	case ast.NodeTypeOr:
		n.Left, n.Right = simplify(n.Left), simplify(n.Right)
		if b, ok := truth(n.Left); ok && b {
			return n.Left
		}
		if l, ok := truth(n.Left); ok && !l {
			if _, known := truth(n.Right); known {
				return n.Right
			}
		}
		return n
	case ast.NodeTypeNot:
		n.Arg = simplify(n.Arg)
		if b, ok := truth(n.Arg); ok {
			return ast.Boolean(!b).AsIsNode()
		}
		return n
	case ast.NodeTypeIfThenElse:
		if n.If = simplify(n.If); true {
			if b, ok := truth(n.If); ok && b {
				return simplify(n.Then)
			} else if ok {
				return simplify(n.Else)
			}
		}
		return n
	}
	return n
}

// rewrite returns the expression with f applied from above; where f says it is
// done, what is below is left alone.
func rewrite(n ast.IsNode, f func(ast.IsNode) (ast.IsNode, bool)) ast.IsNode {
	m, done := f(n)
	if done {
		return m
	}
	re := func(n ast.IsNode) ast.IsNode { return rewrite(n, f) }
	two := func(b ast.BinaryNode) ast.BinaryNode { return ast.BinaryNode{Left: re(b.Left), Right: re(b.Right)} }
	switch n := m.(type) {
	case ast.NodeTypeIfThenElse:
		return ast.NodeTypeIfThenElse{If: re(n.If), Then: re(n.Then), Else: re(n.Else)}
	case ast.NodeTypeOr:
		return ast.NodeTypeOr{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeAnd:
		return ast.NodeTypeAnd{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeLessThan:
		return ast.NodeTypeLessThan{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeLessThanOrEqual:
		return ast.NodeTypeLessThanOrEqual{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeGreaterThan:
		return ast.NodeTypeGreaterThan{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeGreaterThanOrEqual:
		return ast.NodeTypeGreaterThanOrEqual{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeEquals:
		return ast.NodeTypeEquals{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeNotEquals:
		return ast.NodeTypeNotEquals{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeIn:
		return ast.NodeTypeIn{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeIs:
		return ast.NodeTypeIs{Left: re(n.Left), EntityType: n.EntityType}
	case ast.NodeTypeIsIn:
		return ast.NodeTypeIsIn{NodeTypeIs: ast.NodeTypeIs{Left: re(n.Left), EntityType: n.EntityType}, Entity: re(n.Entity)}
	case ast.NodeTypeNot:
		return ast.NodeTypeNot{UnaryNode: ast.UnaryNode{Arg: re(n.Arg)}}
	case ast.NodeTypeNegate:
		return ast.NodeTypeNegate{UnaryNode: ast.UnaryNode{Arg: re(n.Arg)}}
	case ast.NodeTypeAdd:
		return ast.NodeTypeAdd{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeSub:
		return ast.NodeTypeSub{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeMult:
		return ast.NodeTypeMult{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeContains:
		return ast.NodeTypeContains{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeContainsAll:
		return ast.NodeTypeContainsAll{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeContainsAny:
		return ast.NodeTypeContainsAny{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeIsEmpty:
		return ast.NodeTypeIsEmpty{UnaryNode: ast.UnaryNode{Arg: re(n.Arg)}}
	case ast.NodeTypeHasTag:
		return ast.NodeTypeHasTag{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeGetTag:
		return ast.NodeTypeGetTag{BinaryNode: two(n.BinaryNode)}
	case ast.NodeTypeHas:
		return ast.NodeTypeHas{StrOpNode: ast.StrOpNode{Arg: re(n.Arg), Value: n.Value}}
	case ast.NodeTypeAccess:
		return ast.NodeTypeAccess{StrOpNode: ast.StrOpNode{Arg: re(n.Arg), Value: n.Value}}
	case ast.NodeTypeLike:
		return ast.NodeTypeLike{Arg: re(n.Arg), Value: n.Value}
	case ast.NodeTypeExtensionCall:
		args := make([]ast.IsNode, len(n.Args))
		for i, a := range n.Args {
			args[i] = re(a)
		}
		return ast.NodeTypeExtensionCall{Name: n.Name, Args: args}
	case ast.NodeTypeRecord:
		elements := make([]ast.RecordElementNode, len(n.Elements))
		for i, e := range n.Elements {
			elements[i] = ast.RecordElementNode{Key: e.Key, Value: re(e.Value)}
		}
		return ast.NodeTypeRecord{Elements: elements}
	case ast.NodeTypeSet:
		elements := make([]ast.IsNode, len(n.Elements))
		for i, e := range n.Elements {
			elements[i] = re(e)
		}
		return ast.NodeTypeSet{Elements: elements}
	}
	return m // a value or a variable
}
