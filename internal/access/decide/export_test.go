package decide

// LetGo is what happens every minute.
func (s *Snapshots) LetGo() { s.letGo() }

// Noted is how many events wait to be done for a realm.
func (s *Snapshots) Noted(realm string) int {
	st := s.state(realm)
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.noted)
}

// Held is how many realms are in memory.
func (s *Snapshots) Held() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.realms)
}
