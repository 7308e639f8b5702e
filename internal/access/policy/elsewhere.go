package policy

// More hands out candidates of a search whose facts lie elsewhere: at most so
// many, those with the smallest ids above after, in the order of ids, and a
// snapshot that holds what a question about each of them needs. None: there are no
// more.
type More func(after string, most int) (*Snapshot, []Entity, error)

// candidatesAtOnce is how many are asked for at a time.
const candidatesAtOnce = 200

// ResourcesOf is Resources where the facts lie elsewhere.
func ResourcesOf(q *Question, p Page, more More) (Found, error) {
	return searchOf(q, p, "resource", more, func(s *Snapshot, some []Entity) []Answer { return Batch(s, q, some) })
}

// SubjectsOf is Subjects where the facts lie elsewhere.
func SubjectsOf(q *Question, p Page, more More) (Found, error) {
	return searchOf(q, p, "subject", more, func(s *Snapshot, some []Entity) []Answer {
		out := make([]Answer, len(some))
		each := *q
		for i, e := range some {
			each.Subject = e
			out[i] = Decide(s, &each)
		}
		return out
	})
}

func searchOf(q *Question, p Page, what string, more More, judge func(*Snapshot, []Entity) []Answer) (Found, error) {
	sum := searchSum(q, what)
	after, err := readCursor(p.After, sum)
	if err != nil {
		return Found{}, err
	}
	p = p.bounded()
	var f Found
	for work := 0; ; {
		s, some, err := more(after, candidatesAtOnce)
		switch {
		case err != nil:
			return Found{}, err
		case len(some) == 0:
			return f, nil
		case s.set.plans[planKey{q.Action, q.Subject.Type, q.Resource.Type}] == nil:
			return Found{Reason: s.set.why(q)}, nil
		}
		for i, a := range judge(s, some) {
			if len(f.Entities) == p.Size || work >= p.Work {
				f.Next, f.Partial = cursor(sum, after), len(f.Entities) < p.Size
				return f, nil
			}
			work++
			if after = some[i].ID; a.Allowed {
				f.Entities = append(f.Entities, some[i])
			}
		}
	}
}
