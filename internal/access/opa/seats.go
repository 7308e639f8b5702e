package opa

import "sync"

// Seats are places at a node that agents take for long. A realm takes three quarters
// of them at most: others need theirs.
type Seats struct {
	most int

	mu     sync.Mutex
	taken  int
	realms map[string]int
}

// NewSeats returns so many.
func NewSeats(most int) *Seats { return &Seats{most: most, realms: map[string]int{}} }

// Take reports whether there is a seat for an agent of a realm, and takes it until
// Leave.
func (s *Seats) Take(realm string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.realms[realm] >= s.most-s.most/4 {
		return false
	}
	s.taken++
	s.realms[realm]++
	return true
}

// Leave gives back what Take took.
func (s *Seats) Leave(realm string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.realms[realm]--; s.realms[realm] == 0 {
		delete(s.realms, realm)
	}
}
