package policy

import (
	"fmt"
	"iter"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// Decide answers the question from the snapshot alone. It denies what is
// unknown, what no policy permits, what a policy forbids, and whatever cannot be
// judged for an error: in the question, in what is stored, or in a forbid.
func Decide(s *Snapshot, q *Question) Answer {
	a := decide(s, q)
	a.Revision, a.PolicyHash = s.revision, s.set.hash
	return a
}

func deny(policy, text string, err error) Answer {
	r := Reason{Policy: policy, Text: text}
	if err != nil {
		r.Error = err.Error()
	}
	return Answer{Reasons: []Reason{r}}
}

func decide(s *Snapshot, q *Question) Answer {
	p := s.set.plans[planKey{q.Action, q.Subject.Type, q.Resource.Type}]
	if p == nil {
		return deny("", s.set.why(q), nil)
	}
	v, err := s.look(p, q)
	if err != nil {
		return deny("", "the question cannot be judged", err)
	}
	a := v.judge(p)
	if !a.Allowed && v.err == nil {
		a.StepUp = v.stepUp(p)
	}
	return a
}

// judge asks the forbids, then the permits. An error in a forbid forbids, since
// Cedar itself would leave such a policy out and permit.
func (v *view) judge(p *plan) Answer {
	var a Answer
	forbidden := false
	for _, r := range p.forbids {
		switch met, err := v.meets(r); {
		case err != nil:
			forbidden = true
			a.Determining = append(a.Determining, r.id)
			a.Reasons = append(a.Reasons, Reason{Policy: r.id, Text: "a policy that forbids could not be judged", Error: err.Error()})
		case met:
			forbidden = true
			a.Determining = append(a.Determining, r.id)
			a.Reasons = append(a.Reasons, Reason{Policy: r.id, Text: r.reason})
			if a.Path == nil {
				a.Path = v.path(r)
			}
		}
	}
	if v.err != nil {
		return deny("", "what is stored cannot be judged", v.err)
	}
	if forbidden {
		return a
	}
	var broken []Reason
	for _, r := range p.permits {
		switch met, err := v.meets(r); {
		case err != nil:
			broken = append(broken, Reason{Policy: r.id, Text: "a policy that permits could not be judged", Error: err.Error()})
		case met:
			a.Allowed = true
			a.Determining = append(a.Determining, r.id)
			a.Reasons = append(a.Reasons, Reason{Policy: r.id, Text: r.reason})
			if a.Path == nil {
				a.Path = v.path(r)
			}
		}
	}
	if v.err != nil {
		return deny("", "what is stored cannot be judged", v.err)
	}
	if !a.Allowed {
		a.Reasons = append(broken, Reason{Text: "no policy permits this"})
	}
	return a
}

// meets reports whether the question is one that the policy speaks of.
func (v *view) meets(r *rule) (bool, error) {
	if !v.within(r.principal, v.subject) || !v.within(r.resource, v.resource) {
		return false, nil
	}
	if r.conditions == nil {
		return true, nil
	}
	ok, diag := cedar.Authorize(one{r.conditions}, v, v.request)
	if len(diag.Errors) > 0 {
		return false, fmt.Errorf("%s", diag.Errors[0].Message)
	}
	return bool(ok), nil
}

// one is a single policy, for Cedar's authorizer.
type one struct{ policy *cedar.Policy }

func (o one) All() iter.Seq2[types.PolicyID, *cedar.Policy] {
	return func(yield func(types.PolicyID, *cedar.Policy) bool) { yield("", o.policy) }
}
