package risk

// keyChange finds a refresh token that comes with another key than the one it
// is bound to (RFC 9449, section 5): somebody has the token and not the key.
func keyChange(s *scene, _ thresholds) *Finding {
	if !s.fact.keyed {
		return nil
	}
	return because("key_change")
}
