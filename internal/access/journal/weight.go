package journal

import (
	"encoding/json"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Weight is about how many bytes a question and its answer hold in memory. What was
// sent says little of it: a list of small numbers is twenty times as long here.
func Weight(q *policy.Question, a *policy.Answer) int {
	n := len(q.Action) + len(q.Subject.Type) + len(q.Subject.ID) + len(q.Resource.Type) + len(q.Resource.ID)
	for _, p := range []policy.Properties{q.SubjectProperties, q.ActionProperties, q.ResourceProperties, q.Context} {
		if p != nil {
			n += weigh(map[string]any(p))
		}
	}
	for _, id := range a.Determining {
		n += perValue + len(id)
	}
	for _, r := range a.Reasons {
		n += 3*perValue + len(r.Policy) + len(r.Text) + len(r.Error)
	}
	return n
}

// What a value takes with the header of its text, a map, and its members, of which it
// has room for eight as soon as it has one.
const (
	perValue  = 32
	perMap    = 48
	perMember = 40
	leastRoom = 8
)

func weigh(v any) int {
	n := perValue
	switch v := v.(type) {
	case string:
		n += len(v)
	case json.Number:
		n += len(v)
	case []any:
		for _, x := range v {
			n += weigh(x)
		}
	case map[string]any:
		if n += perMap; len(v) > 0 {
			n += perMember * max(len(v), leastRoom)
		}
		for name, x := range v {
			n += len(name) + weigh(x)
		}
	}
	return n
}
