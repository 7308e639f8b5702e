package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// Reach says which entities beside subject and resource can count in a question.
// Whoever has the facts elsewhere and makes a graph of those that one question
// needs must put these in: what is known about them, and what they are inside of.

// Hops is through how many values that are entities the policies look at most:
// none for resource.level, one for resource.owner.level.
func (s *Set) Hops() int { return s.hops }

// Asked returns the entities that a question brings with it, and those of whose
// attributes the policies ask by name.
func (s *Set) Asked(q *Question) []Entity {
	out := slices.Clone(s.literals)
	// Whatever the action is: a search may leave it open.
	for k, p := range s.plans {
		if k.subject != q.Subject.Type || k.resource != q.Resource.Type || !p.asksContext {
			continue
		}
		if c, err := p.contextOf(q); err == nil {
			out = entitiesIn(c, out)
		}
	}
	for _, x := range []struct {
		typ   string
		props Properties
	}{{q.Subject.Type, q.SubjectProperties}, {q.Resource.Type, q.ResourceProperties}} {
		if sh := s.world.shapes[x.typ]; sh != nil && sh.wants(x.props) {
			out = entitiesIn(sh.read(nil, x.props).record, out)
		}
	}
	return out
}

// Mentions returns the entities that what is stored about another mentions.
func (s *Set) Mentions(a graph.Attribute) []Entity {
	sh := s.world.shapes[a.Entity.Type]
	if sh == nil {
		return nil
	}
	typ := sh.tags
	if known, ok := sh.attrs[a.Name]; ok {
		typ = known.typ
	}
	if typ == nil || a.Value == nil {
		return nil
	}
	v, err := value(a.Value, typ)
	if err != nil {
		return nil // it denies whoever asks for it
	}
	return entitiesIn(v, nil)
}

// Listed returns the only ids that there are of a type, in order, or false if any
// may be.
func (s *Set) Listed(typ string) ([]string, bool) {
	sh := s.world.shapes[typ]
	if sh == nil || sh.enum == nil {
		return nil, false
	}
	return sortedIDs(sh.enum), true
}

func entitiesIn(v types.Value, out []Entity) []Entity {
	switch v := v.(type) {
	case types.EntityUID:
		return append(out, entityOf(v))
	case types.Set:
		for x := range v.All() {
			out = entitiesIn(x, out)
		}
	case types.Record:
		for x := range v.Values() {
			out = entitiesIn(x, out)
		}
	}
	return out
}

// reach notes how far the conditions of a policy look.
func (s *Set) reach(n ast.IsNode) {
	rewrite(n, func(n ast.IsNode) (ast.IsNode, bool) {
		switch n := n.(type) {
		case ast.NodeTypeAccess:
			s.looksAt(n.Arg)
		case ast.NodeTypeHas:
			s.looksAt(n.Arg)
		case ast.NodeTypeGetTag:
			s.looksAt(n.Left)
		case ast.NodeTypeHasTag:
			s.looksAt(n.Left)
		case ast.NodeTypeIn:
			s.looksAt(n.Left)
		case ast.NodeTypeIsIn:
			s.looksAt(n.Left)
		}
		return n, false
	})
}

// looksAt notes what has to be known of the value of an expression.
func (s *Set) looksAt(n ast.IsNode) {
	s.hops = max(s.hops, hops(n))
	rewrite(n, func(n ast.IsNode) (ast.IsNode, bool) {
		if v, ok := n.(ast.NodeValue); ok {
			for _, e := range entitiesIn(v.Value, nil) {
				if !slices.Contains(s.literals, e) {
					s.literals = append(s.literals, e)
				}
			}
		}
		return n, false
	})
}

// hops is how many attributes of attributes an expression asks for.
func hops(n ast.IsNode) int {
	deepest, self := 0, true
	rewrite(n, func(below ast.IsNode) (ast.IsNode, bool) {
		if self {
			self = false
			return below, false
		}
		deepest = max(deepest, hops(below))
		return below, true
	})
	switch n.(type) {
	case ast.NodeTypeAccess, ast.NodeTypeGetTag:
		deepest++
	}
	return deepest
}
