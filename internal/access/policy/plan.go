package policy

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// planKey is what policies are indexed by: all that a question says about its
// kind.
type planKey struct{ action, subject, resource string }

// plan is what has to be asked for one kind of question.
type plan struct {
	key     planKey
	action  resolved.Action
	context resolved.RecordType
	permits []*rule
	forbids []*rule
	stepUps []StepUp // in the order of their policies

	asksContext bool
	deciding    func() []string // the names of the roles that its policies ask for, or that bring these
}

// What a folder may make the compiler do. A policy is checked once for every kind of
// question that its head lets in, and a short schema has millions of those.
const (
	maxKinds = 20_000     // of questions
	maxWork  = 250_000    // checks of a policy for a kind of question
	maxPairs = 20_000_000 // of a policy and a kind of question
)

// kinds counts the kinds of questions that there are.
func (w *world) kinds() (n int) {
	for _, a := range w.Actions {
		if a.AppliesTo != nil {
			n += len(a.AppliesTo.Principals) * len(a.AppliesTo.Resources)
		}
	}
	return n
}

// work counts the kinds of questions that a policy is checked for. To look whether
// an action is one of them is work as well.
func (w *world) work(r *rule) int {
	fitting := func(sc scope, all []types.EntityType) (n int) {
		for _, t := range all {
			if fits(sc, string(t)) {
				n++
			}
		}
		return n
	}
	n := 1 + len(w.Actions)/50
	for uid, a := range w.Actions {
		if a.AppliesTo != nil && w.concerns(r.action, uid) {
			n += fitting(r.principal, a.AppliesTo.Principals) * fitting(r.resource, a.AppliesTo.Resources)
		}
	}
	return n
}

// plan indexes the policies by action and types.
func (s *Set) plan(schema File, ps *Problems) {
	if s.world.kinds()*len(s.rules) > maxPairs {
		*ps = append(*ps, mentioned(schema, fmt.Sprintf("%d policies and permissions of roles for %d kinds of questions are too many", len(s.rules), s.world.kinds())))
		return
	}
	for _, uid := range sortedActions(s.world.Actions) {
		a := s.world.Actions[uid]
		if a.AppliesTo == nil {
			continue
		}
		for _, subject := range a.AppliesTo.Principals {
			for _, resource := range a.AppliesTo.Resources {
				k := planKey{string(uid.ID), string(subject), string(resource)}
				if s.plans[k] != nil {
					*ps = append(*ps, mentioned(schema, fmt.Sprintf("two actions are called `%s` and apply to `%s` and `%s`; questions could not tell them apart", uid.ID, subject, resource)))
					continue
				}
				s.plans[k] = s.planFor(a, k)
			}
		}
	}
	for _, r := range s.rules {
		r.determining, r.reasons = []string{r.id}, []Reason{{Policy: r.id, Text: r.reason}}
		if r.stepUp == nil {
			continue
		}
		for _, p := range s.plans {
			if acr, ok := p.context["acr"]; slices.Contains(slices.Concat(p.permits, p.forbids), r) && (!ok || acr.Type != resolved.StringType{}) {
				*ps = append(*ps, Problem{File: r.file, Line: r.line, Column: r.column, Policy: r.id,
					Text: fmt.Sprintf("@step_up needs acr: String in the context of action %q", p.action.Entity.UID.ID)})
				break
			}
		}
	}
}

func (s *Set) planFor(a resolved.Action, k planKey) *plan {
	p := &plan{key: k, action: a, context: a.AppliesTo.Context}
	for _, r := range s.rules {
		if !s.world.concerns(r.action, a.Entity.UID) || !fits(r.principal, k.subject) || !fits(r.resource, k.resource) {
			continue
		}
		p.asksContext = p.asksContext || r.context || r.stepUp != nil
		if r.permit {
			p.permits = append(p.permits, r)
		} else {
			p.forbids = append(p.forbids, r)
		}
		if r.stepUp != nil && !slices.Contains(p.stepUps, *r.stepUp) {
			p.stepUps = append(p.stepUps, *r.stepUp)
		}
	}
	p.deciding = sync.OnceValue(func() (names []string) {
		for _, r := range slices.Concat(p.permits, p.forbids) {
			for _, role := range r.roles {
				names = append(names, s.bringing(role)...)
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	})
	return p
}

// fits reports whether an entity of the type can be in the scope at all.
func fits(s scope, typ string) bool {
	if s.kind == equal {
		return s.entity.Type == typ
	}
	return s.typ == "" || s.typ == typ
}

func (w *world) concerns(n ast.IsActionScopeNode, action types.EntityUID) bool {
	switch n := n.(type) {
	case ast.ScopeTypeEq:
		return n.Entity == action
	case ast.ScopeTypeIn:
		return w.actionIn(action, n.Entity)
	case ast.ScopeTypeInSet:
		return slices.ContainsFunc(n.Entities, func(e types.EntityUID) bool { return w.actionIn(action, e) })
	}
	return true
}

func (w *world) actionIn(action, group types.EntityUID) bool {
	if action == group {
		return true
	}
	for p := range w.Actions[action].Entity.Parents.All() {
		if w.actionIn(p, group) {
			return true
		}
	}
	return false
}

// actions returns the actions of a name that apply to a type of resource.
func (w *world) actions(name, resource string) []types.EntityUID {
	var out []types.EntityUID
	for _, uid := range sortedActions(w.Actions) {
		a := w.Actions[uid]
		if string(uid.ID) == name && a.AppliesTo != nil && slices.Contains(a.AppliesTo.Resources, types.EntityType(resource)) {
			out = append(out, uid)
		}
	}
	return out
}

func sortedActions(m map[types.EntityUID]resolved.Action) []types.EntityUID {
	return slices.SortedFunc(maps.Keys(m), compareUIDs)
}

// why says why there is no plan for a question.
func (s *Set) why(q *Question) string {
	switch {
	case s.world.shapes[q.Subject.Type] == nil:
		return fmt.Sprintf("the schema has no type %q of subject", q.Subject.Type)
	case s.world.shapes[q.Resource.Type] == nil:
		return fmt.Sprintf("the schema has no type %q of resource", q.Resource.Type)
	}
	for uid := range s.world.Actions {
		if string(uid.ID) == q.Action {
			return fmt.Sprintf("action %q does not apply to a subject of type %q and a resource of type %q", q.Action, q.Subject.Type, q.Resource.Type)
		}
	}
	return fmt.Sprintf("the schema has no action %q", q.Action)
}
