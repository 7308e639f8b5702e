package risk

import "time"

// dormant finds an account that nobody has used for long and that wakes in a
// browser which has never been its owner's.
func dormant(s *scene, t thresholds) *Finding {
	if s.known || s.person.Last == 0 {
		return nil
	}
	slept := s.now.Sub(time.UnixMilli(s.person.Last))
	if slept < t.dormant {
		return nil
	}
	return because("dormant", "days", number(int(slept.Hours()/24)))
}
