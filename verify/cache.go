package verify

import (
	"crypto/sha256"
	"sync"
)

// tokenCache remembers verified tokens by hash, so that a token met again costs
// a look-up and no signature. It keeps two generations: what is met again moves
// to the younger, and the elder is forgotten when the younger is full.
type tokenCache struct {
	half         int
	mu           sync.RWMutex
	young, elder map[[sha256.Size]byte]*Token
}

func newTokenCache(size int) *tokenCache {
	return &tokenCache{half: (size + 1) / 2, young: map[[sha256.Size]byte]*Token{}}
}

func (c *tokenCache) get(key [sha256.Size]byte) *Token {
	c.mu.RLock()
	t, old := c.young[key], (*Token)(nil)
	if t == nil {
		old = c.elder[key]
	}
	c.mu.RUnlock()
	if old != nil {
		c.put(key, old)
		return old
	}
	return t
}

func (c *tokenCache) put(key [sha256.Size]byte, t *Token) {
	if c.half <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.half {
		c.elder, c.young = c.young, make(map[[sha256.Size]byte]*Token, c.half)
	}
	c.young[key] = t
}

// clear forgets everything, so that every token's signature is checked again.
func (c *tokenCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.young)
	c.elder = nil
}
