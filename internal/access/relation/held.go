package relation

import "sync"

// Bounds of what pulls that run at the same time hold in memory.
const (
	heldByRealm = 256 << 20
	heldByAll   = 768 << 20
)

// held counts what pulls hold, by realm and together.
type held struct {
	mu     sync.Mutex
	all    int64
	realms map[string]int64
}

// take reports whether there is room for so many bytes more, and takes them.
func (h *held) take(realm string, n int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all+n > heldByAll || h.realms[realm]+n > heldByRealm {
		return false
	}
	if h.realms == nil {
		h.realms = map[string]int64{}
	}
	h.all += n
	h.realms[realm] += n
	return true
}

// give gives back what was taken, which may be nothing.
func (h *held) give(realm string, n int64) {
	if n == 0 {
		return // perhaps nobody has taken anything yet
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all -= n
	if h.realms[realm] -= n; h.realms[realm] <= 0 {
		delete(h.realms, realm)
	}
}
