package risk

import "slices"

// stuffing finds a network that tries pairs of names and passwords which leaked
// elsewhere: many accounts, hardly any of which opens. A shared office fails
// too, but its people get in a moment later.
func stuffing(s *scene, t thresholds) *Finding {
	failed, all := s.source.accounts(s.now)
	if failed < t.stuffingAccounts || float64(failed) < t.stuffingShare*float64(all) {
		return nil
	}
	return because("stuffing", "n", number(failed))
}

// stuffed finds an account that opens to such a network.
func stuffed(s *scene, _ thresholds) *Finding {
	if s.known || !slices.Contains(s.flagged, Stuffing) {
		return nil
	}
	return because("guessed")
}
