package cut

import (
	"fmt"
	"sync"
	"time"
)

// A model remembers what was true of each payment, and when: a change counts from
// some moment between its request and its acknowledgement.
type model struct {
	mu       sync.Mutex
	payments [][]change
}

type change struct {
	active              bool
	asked, acknowledged time.Time // the latter zero while it is on its way
}

func newModel(size int, at time.Time) *model {
	m := &model{payments: make([][]change, size)}
	for i := range m.payments {
		m.payments[i] = []change{{true, at, at}}
	}
	return m
}

// ask notes that a payment is to change, and returns to what.
func (m *model) ask(p int, at time.Time) (active bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.payments[p]
	active = !h[len(h)-1].active
	m.payments[p] = append(h, change{active: active, asked: at})
	return active
}

func (m *model) acknowledge(p int, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.payments[p]
	h[len(h)-1].acknowledged = at
}

// could reports whether a payment can have been so at some moment of a time.
func (m *model) could(p int, active bool, from, to time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.payments[p]
	for i, c := range h {
		ended := i+1 < len(h) && !h[i+1].acknowledged.IsZero() && h[i+1].acknowledged.Before(from)
		if c.active == active && !ended && !c.asked.After(to) {
			return true
		}
	}
	return false
}

// told is the history of a payment, as seen from a moment.
func (m *model) told(p int, from time.Time) (text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.payments[p] {
		text += fmt.Sprintf(" %v asked %s, acknowledged %s;", c.active, c.asked.Sub(from), c.acknowledged.Sub(from))
	}
	return text
}
