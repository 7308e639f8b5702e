package account

import "net/netip"

// place is the country of an address in the page's language, "" if it is not
// known.
func (s *Server) place(f frame, ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	if code := s.Places.Place(a).Country; code != "" {
		return f.Country(code)
	}
	return ""
}
