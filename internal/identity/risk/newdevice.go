package risk

// newDevice finds a browser that has not signed in to the account before. One of
// a kind that the person uses, where they use it, has lost its cookies.
func newDevice(s *scene, t thresholds) *Finding {
	if s.known || s.person.blank() {
		return nil
	}
	_, kind := s.person.Devices[s.device]
	_, network := s.person.Networks[s.network]
	if kind && (network || t.deviceStrict) {
		return nil
	}
	return because("new_device", "device", s.device)
}
