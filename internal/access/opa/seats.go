package opa

import (
	"strings"
	"sync"
)

// Seats are places at a node that agents take for long. A realm takes three quarters
// of them at most: others need theirs.
type Seats struct {
	most int

	mu    sync.Mutex
	taken int
	by    map[string]int
}

// NewSeats returns so many.
func NewSeats(most int) *Seats { return &Seats{most: most, by: map[string]int{}} }

// Take reports whether there is a seat for an agent of a realm, and takes it until
// Leave with the same names. If its client is named behind the realm, that takes half
// of what its realm may at most.
func (s *Seats) Take(names ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most {
		return false
	}
	room := s.most - s.most/4
	for i := range names {
		if s.by[strings.Join(names[:i+1], "/")] >= room {
			return false
		}
		room /= 2
	}
	s.add(1, names)
	return true
}

// Leave gives back what Take took.
func (s *Seats) Leave(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(-1, names)
}

func (s *Seats) add(n int, names []string) {
	s.taken += n
	for i := range names {
		name := strings.Join(names[:i+1], "/")
		if s.by[name] += n; s.by[name] == 0 {
			delete(s.by, name)
		}
	}
}
