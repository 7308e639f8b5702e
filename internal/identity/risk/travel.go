package risk

import "time"

// travel finds somebody who is in two places between which nobody can have
// travelled. A known browser that moves so is one that changed its network.
func travel(s *scene, t thresholds) *Finding {
	if s.known || s.place.Country == "" || s.far == nil {
		return nil
	}
	if _, been := s.person.Countries[s.place.Country]; been {
		return nil // one end of a tunnel that they use, or where they live at times
	}
	for _, stay := range s.person.Stays {
		km := s.far(stay.Place, s.place)
		hours := max(s.now.Sub(time.UnixMilli(stay.At)).Hours(), 0)
		if km >= t.travelKilometres && km > hours*t.travelSpeed {
			return because("impossible_travel", "km", number(int(km)/100*100), "from", stay.Place.Country, "to", s.place.Country, "hours", number(int(hours)))
		}
	}
	return nil
}
