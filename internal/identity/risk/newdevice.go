package risk

// newDevice finds a browser that has not signed in to the account before. One of
// a kind that the person uses, where they use it, has lost its cookies.
func newDevice(s *scene, t thresholds) *Finding {
	if s.known || s.person.blank() {
		return nil
	}
	_, kind := s.person.Devices[s.device]
	_, near := s.person.Networks[s.near]
	if kind && (near || t.deviceStrict) {
		return nil
	}
	return because("new_device", "device", s.device)
}
