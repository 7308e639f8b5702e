package risk

import "strconv"

// counter finds a passkey whose signature counter went back, which it does when
// there are two of it (WebAuthn Level 3, section 6.1.1). One that stopped to
// count was moved to a keeper that does not.
func counter(s *scene, _ thresholds) *Finding {
	if s.fact.new == 0 || s.fact.new > s.fact.old {
		return nil
	}
	return because("passkey_counter", "old", strconv.FormatInt(s.fact.old, 10), "new", strconv.FormatInt(s.fact.new, 10))
}
