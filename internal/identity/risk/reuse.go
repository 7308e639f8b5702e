package risk

// reuse finds a refresh token that two parties hold: it comes again after its
// successor was used. While nobody has used the successor, an answer may have
// been lost on a bad line; the family dies all the same (RFC 9700, section
// 4.14.2), but that alone is no theft.
func reuse(s *scene, t thresholds) *Finding {
	if s.fact.keyed || s.fact.unused && !t.reuseUnused {
		return nil
	}
	return because("refresh_reuse")
}
