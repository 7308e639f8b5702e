package decide

// LetGo is what happens every minute.
func (s *Snapshots) LetGo() { s.letGo() }

// Held is how many realms are in memory.
func (s *Snapshots) Held() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.realms)
}
