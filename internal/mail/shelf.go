package mail

import (
	"context"
	"slices"
	"sync"
)

// mostShelved bounds what a shelf keeps.
const mostShelved = 200

// Shelf keeps messages in memory instead of sending them: for the page of a
// development node, and for tests.
type Shelf struct {
	mu  sync.Mutex
	all []Message // oldest first
	err error
}

// NewShelf returns an empty shelf.
func NewShelf() *Shelf { return &Shelf{} }

// Send implements Sender. It refuses what SMTP would refuse.
func (s *Shelf) Send(_ context.Context, m Message) error {
	if err := m.check(); err != nil {
		return refused(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if slices.ContainsFunc(s.all, func(o Message) bool { return o.ID == m.ID }) {
		return nil // a repetition
	}
	if len(s.all) == mostShelved {
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, m)
	return nil
}

// Fail has everything fail with err until it is called with nil.
func (s *Shelf) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// All are the messages, the newest first.
func (s *Shelf) All() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.all)
	slices.Reverse(all)
	return all
}

// To are the messages to an address, the newest first.
func (s *Shelf) To(address string) []Message {
	return slices.DeleteFunc(s.All(), func(m Message) bool { return m.To != address })
}

// ByID finds a message.
func (s *Shelf) ByID(id string) (Message, bool) {
	for _, m := range s.All() {
		if m.ID == id {
			return m, true
		}
	}
	return Message{}, false
}
