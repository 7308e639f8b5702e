package journal

import (
	"cmp"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Use is that decisions needed a relation: who was somebody's member, what was
// inside what, or which role somebody held on something.
type Use struct {
	Subject  policy.Entity
	Relation string
	Object   policy.Entity
	Action   string // for which action of a question
	Type     string // on which type of resource
	Times    int64
	Last     time.Time
}

// key is a Use without how often.
type key struct {
	subject          policy.Entity
	relation         string
	object           policy.Entity
	action, resource string
}

// uses sums up what permitted decisions needed.
type uses map[key]*Use

func (u uses) add(e *Entry) {
	if !e.Answer.Allowed || e.Kind != Evaluation {
		return
	}
	for _, t := range e.Answer.Path {
		u.count(key{t.Subject, t.Relation, t.Object, e.Question.Action, e.Question.Resource.Type}, 1, e.At)
	}
}

func (u uses) count(k key, times int64, at time.Time) {
	one := u[k]
	if one == nil {
		one = &Use{Subject: k.subject, Relation: k.relation, Object: k.object, Action: k.action, Type: k.resource}
		u[k] = one
	}
	one.Times += times
	if at.After(one.Last) {
		one.Last = at
	}
}

// sorted lists them, those needed most first.
func (u uses) sorted() []Use {
	all := make([]Use, 0, len(u))
	for _, one := range u {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b Use) int {
		return cmp.Or(cmp.Compare(b.Times, a.Times), cmp.Compare(a.Subject.Type, b.Subject.Type), cmp.Compare(a.Subject.ID, b.Subject.ID), cmp.Compare(a.Relation, b.Relation),
			cmp.Compare(a.Object.Type, b.Object.Type), cmp.Compare(a.Object.ID, b.Object.ID), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Action, b.Action))
	})
	return all
}

func (u uses) encode() []byte {
	e := newEncoder()
	for _, one := range u {
		e.place = 0
		e.entity(one.Subject)
		e.text(one.Relation)
		e.entity(one.Object)
		e.text(one.Action)
		e.text(one.Type)
		e.int(one.Times)
		e.int(one.Last.UnixMilli())
	}
	return e.b
}

// decode adds what encode wrote.
func (u uses) decode(d *decoder) error {
	for d.more() {
		k := key{subject: d.entity(), relation: d.text(), object: d.entity(), action: d.text(), resource: d.text()}
		times, last := d.int(), time.UnixMilli(d.int()).UTC()
		if d.bad {
			return errSegment
		}
		u.count(k, times, last)
	}
	return nil
}
