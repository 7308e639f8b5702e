package risk

import "slices"

// spraying finds a wrong password that is tried at many accounts, from whichever
// networks. Different passwords share an echo by chance, the more of them the
// more are tried in the realm, so chance is what it is held against.
func spraying(s *scene, t thresholds) *Finding {
	n := s.echo.accounts()
	if n < t.sprayAccounts || float64(n) < t.sprayExcess*s.chance {
		return nil
	}
	return because("spraying", "n", number(n))
}

// sprayed finds an account that opens to a network which took part in that.
func sprayed(s *scene, _ thresholds) *Finding {
	if s.known || !slices.Contains(s.flagged, Spraying) {
		return nil
	}
	return because("guessed")
}
