package risk

// suspended finds tries at an account that was suspended: one with the right
// password, or several with a wrong one.
func suspended(s *scene, t thresholds) *Finding {
	switch {
	case !s.fact.suspended:
		return nil
	case s.fact.matches:
		return because("suspended_right")
	case len(s.person.Refused) >= t.suspendedTries:
		return because("suspended", "n", number(len(s.person.Refused)))
	}
	return nil
}
