package journal

import (
	"cmp"
	"slices"
	"strings"
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

// clone is k with texts of its own: what they are part of can be long.
func (k key) clone() key {
	for _, s := range []*string{&k.subject.Type, &k.subject.ID, &k.relation, &k.object.Type, &k.object.ID, &k.action, &k.resource} {
		*s = strings.Clone(*s)
	}
	return k
}

func (one *Use) key() key { return key{one.Subject, one.Relation, one.Object, one.Action, one.Type} }

// uses sums up what permitted decisions needed.
type uses map[key]*Use

func (u uses) add(e *Entry, r *recent) {
	if !e.Answer.Allowed || e.Kind != Evaluation {
		return
	}
	for i, t := range e.Answer.Path {
		k := key{t.Subject, t.Relation, t.Object, e.Question.Action, e.Question.Resource.Type}
		if i >= len(r) {
			u.count(k, 1, e.At)
			continue
		}
		if r[i] == nil || r[i].key() != k {
			r[i] = u.of(k)
		}
		r[i].count(1, e.At)
	}
}

// recent is what the last path needed, by its steps: mostly the next needs it, too.
type recent [4]*Use

func (u uses) count(k key, times int64, at time.Time) { u.of(k).count(times, at) }

func (u uses) of(k key) *Use {
	one := u[k]
	if one == nil {
		k = k.clone()
		one = &Use{Subject: k.subject, Relation: k.relation, Object: k.object, Action: k.action, Type: k.resource}
		u[k] = one
	}
	return one
}

func (one *Use) count(times int64, at time.Time) {
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

// join adds what others are.
func (u uses) join(others uses) {
	for k, one := range others {
		u.count(k, one.Times, one.Last)
	}
}

// encode writes them in the memory of e.
func (u uses) encode(e *encoder) []byte {
	for _, one := range u {
		e.entity(one.Subject)
		e.text(one.Relation)
		e.entity(one.Object)
		e.text(one.Action)
		e.text(one.Type)
		e.int(one.Times)
		e.int(one.Last.UnixMilli())
		e.end()
	}
	return e.b
}

// decode adds what encode wrote.
func (u uses) decode(d *decoder) error {
	for d.more() {
		k := key{subject: d.entity(), relation: d.text(), object: d.entity(), action: d.text(), resource: d.text()}
		times, last := d.int(), time.UnixMilli(d.int()).UTC()
		if d.end(); d.bad {
			return errSegment
		}
		u.count(k, times, last)
	}
	return nil
}
