package risk

// newCountry finds a sign-in from a country in which the person has not been,
// with a browser that has not been theirs. Travellers carry their own.
func newCountry(s *scene, _ thresholds) *Finding {
	if s.known || s.place.Country == "" || len(s.person.Countries) == 0 {
		return nil
	}
	if _, been := s.person.Countries[s.place.Country]; been {
		return nil
	}
	return because("new_country", "country", s.place.Country)
}
