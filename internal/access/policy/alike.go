package policy

import (
	"bytes"
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
)

// Alike returns a function that reports whether two sets, of the same schema and
// the same roles, answer a question alike whatever the facts are: the very same
// policies concern it, in the same order. It spares replays most of their work.
// Of sets with different schemas or roles it says nothing.
func Alike(a, b *Set) func(q *Question) bool {
	same := map[planKey]bool{}
	texts := map[*rule][]byte{}
	text := func(r *rule) []byte {
		if texts[r] == nil {
			texts[r] = cedar.NewPolicyFromAST((*ast.Policy)(r.text)).MarshalCedar()
		}
		return texts[r]
	}
	equal := func(x, y *rule) bool { return bytes.Equal(text(x), text(y)) }
	for k, p := range a.plans {
		other := b.plans[k]
		same[k] = other != nil && slices.EqualFunc(p.permits, other.permits, equal) && slices.EqualFunc(p.forbids, other.forbids, equal) &&
			slices.Equal(p.stepUps, other.stepUps)
	}
	return func(q *Question) bool { return same[planKey{q.Action, q.Subject.Type, q.Resource.Type}] }
}
