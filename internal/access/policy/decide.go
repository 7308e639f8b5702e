package policy

// Decide answers the question from the snapshot alone. It denies what is
// unknown, what no policy permits, what a policy forbids, and whatever cannot be
// judged for an error: in the question, in what is stored, or in a forbid.
func Decide(s *Snapshot, q *Question) Answer {
	v, err := s.look(q)
	defer v.done()
	return v.answer(q.Resource, err)
}

func (v *view) answer(resource Entity, err error) Answer {
	var a Answer
	switch p := v.planFor(resource.Type); {
	case p == nil:
		each := *v.q
		each.Resource = resource
		a = denied(v.snap.set.why(&each), nil)
	case refusalOf(err) != "":
		a = denied(refusalOf(err), nil)
	case err != nil:
		a = denied("the question cannot be judged", err)
	default:
		if err := v.about(p, resource); err != nil {
			a = denied("the question cannot be judged", err)
			break
		}
		if a = v.judge(); !a.Allowed && len(p.stepUps) > 0 {
			a.StepUp = v.stepUp()
		}
	}
	a.Revision, a.PolicyHash = v.snap.revision, v.snap.set.hash
	return a
}

func (v *view) planFor(resource string) *plan {
	if v.plan != nil && v.plan.key.resource == resource {
		return v.plan
	}
	return v.snap.set.plans[planKey{v.q.Action, v.q.Subject.Type, resource}]
}

func denied(text string, err error) Answer {
	r := Reason{Text: text}
	if err != nil {
		r.Error = err.Error()
	}
	return Answer{Reasons: []Reason{r}}
}

// judge asks the forbids, then the permits. An error in a forbid forbids, since
// Cedar itself would leave such a policy out and permit.
func (v *view) judge() Answer {
	var a Answer
	for _, r := range v.plan.forbids {
		switch met, err := v.meets(r); {
		case err != nil:
			a.Determining = append(a.Determining, r.id)
			a.Reasons = append(a.Reasons, Reason{Policy: r.id, Text: "a policy that forbids could not be judged", Error: err.Error()})
		case met:
			a.add(r)
			if a.Path == nil {
				a.Path = v.path(r)
			}
		}
	}
	if len(a.Determining) > 0 {
		return a
	}
	var broken []Reason
	for _, r := range v.plan.permits {
		switch met, err := v.meets(r); {
		case err != nil:
			broken = append(broken, Reason{Policy: r.id, Text: "a policy that permits could not be judged", Error: err.Error()})
		case met:
			a.Allowed = true
			a.add(r)
			if a.Path == nil {
				a.Path = v.path(r)
			}
		}
	}
	if !a.Allowed {
		if a.Reasons = v.snap.set.unpermitted; len(broken) > 0 {
			a.Reasons = append(broken, a.Reasons...)
		}
	}
	return a
}

// add notes a policy that is met. Most answers rest on one, which has its reasons
// ready; appending to them copies.
func (a *Answer) add(r *rule) {
	if a.Determining == nil {
		a.Determining, a.Reasons = r.determining, r.reasons
		return
	}
	a.Determining = append(a.Determining, r.id)
	a.Reasons = append(a.Reasons, Reason{Policy: r.id, Text: r.reason})
}

// allows is judge without the reasons, for searches: permits first, since most of
// what is searched through nothing permits.
func (v *view) allows() bool {
	for _, r := range v.plan.permits {
		if met, err := v.meets(r); met && err == nil {
			return !v.forbidden()
		}
	}
	return false
}

func (v *view) forbidden() bool {
	for _, r := range v.plan.forbids {
		if met, err := v.meets(r); met || err != nil {
			return true
		}
	}
	return false
}

// meets reports whether the question is one that the policy speaks of.
func (v *view) meets(r *rule) (bool, error) {
	met, err := v.meet(r)
	if v.lost != nil {
		return false, v.lost
	}
	return met, err
}

func (v *view) meet(r *rule) (bool, error) {
	if !v.within(&r.principal, &v.subject) || !v.within(&r.resource, &v.resource) {
		return false, nil
	}
	if r.variants == nil {
		return true, nil
	}
	if r.quick != nil {
		if is, sure := r.quick(v); sure {
			return is, nil
		}
	}
	return v.fully(r)
}

// fully asks Cedar whether the conditions are met.
func (v *view) fully(r *rule) (bool, error) {
	which := 0
	for i, a := range r.atoms {
		if v.holds(a) {
			which |= 1 << i
		}
	}
	return r.variants[which].met(v)
}
