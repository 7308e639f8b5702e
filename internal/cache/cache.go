// Package cache holds what was read from the database until the event log says
// that it changed. Caches are bounded in bytes, per realm too, so that no realm
// can push out another's entries beyond its share.
package cache

import (
	"container/list"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/cardea-id/cardea/internal/fault"
)

// Cache maps (realm, key) to a value. A fill that overlaps an invalidation is
// returned to its caller but not kept: it may have read what was just replaced.
type Cache[V any] struct {
	name     string
	size     func(V) int
	shards   [shards]shard[V]
	perRealm int64
}

const shards = 16

// overhead is what an entry costs besides its key and value.
const overhead = 160

type shard[V any] struct {
	mu      sync.Mutex
	entries map[place]*list.Element
	order   *list.List // most recently used first
	bytes   int64
	max     int64
	realms  map[string]int64
	loads   map[place]*load[V]
	misses  map[string]*rate.Limiter // by realm
	// epoch counts invalidations of this shard; a fill is kept only if it did
	// not change meanwhile. Counting per shard and not per key costs a few
	// needless misses and no memory.
	epoch uint64
}

type place struct{ realm, key string }

type item[V any] struct {
	at    place
	value V
	bytes int64
}

// load is a fill in progress, shared by all who ask for the same key.
type load[V any] struct {
	done  chan struct{}
	epoch uint64
	value V
	err   error
}

// New makes a cache of at most maxBytes in all and maxRealm bytes a realm. size
// returns the bytes a value takes; nil counts 256 for each.
func New[V any](name string, maxBytes, maxRealm int64, size func(V) int) *Cache[V] {
	c := &Cache[V]{name: name, size: size, perRealm: max(maxRealm/shards, 1)}
	for i := range c.shards {
		c.shards[i] = shard[V]{entries: map[place]*list.Element{}, order: list.New(), max: max(maxBytes/shards, 1),
			realms: map[string]int64{}, loads: map[place]*load[V]{}, misses: map[string]*rate.Limiter{}}
	}
	return c
}

// shard picks by FNV-1a over both parts.
func (c *Cache[V]) shard(realm, key string) *shard[V] {
	h := uint32(2166136261)
	for i := range len(realm) {
		h = (h ^ uint32(realm[i])) * 16777619
	}
	h = (h ^ 0xff) * 16777619
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return &c.shards[h%shards]
}

var errPanicked = errors.New("cache: the load of this entry panicked")

// Get returns the value of a key, loading it if it is not held. Errors are not
// kept. Those who ask for a key that is being loaded wait for that load, unless
// the key was invalidated since it began: then they load anew.
func (c *Cache[V]) Get(realm, key string, fill func() (V, error)) (V, error) {
	s, at := c.shard(realm, key), place{realm, key}
	for {
		s.mu.Lock()
		if el, ok := s.entries[at]; ok {
			s.order.MoveToFront(el)
			v := el.Value.(*item[V]).value
			s.mu.Unlock()
			return v, nil
		}
		if running, ok := s.loads[at]; ok && running.epoch == s.epoch {
			s.mu.Unlock()
			<-running.done
			if !errors.Is(running.err, errPanicked) {
				return running.value, running.err
			}
			continue
		}
		if !s.mayLoad(realm) {
			s.mu.Unlock()
			var none V
			return none, errFlood
		}
		l := &load[V]{done: make(chan struct{}), epoch: s.epoch, err: errPanicked}
		s.loads[at] = l
		s.mu.Unlock()
		func() {
			defer func() {
				s.mu.Lock()
				if s.loads[at] == l {
					delete(s.loads, at)
				}
				if l.err == nil && s.epoch == l.epoch {
					c.keep(s, at, l.value)
				}
				s.mu.Unlock()
				close(l.done)
			}()
			l.value, l.err = fill()
		}()
		return l.value, l.err
	}
}

// A realm may load so many entries a second and shard. What is asked for by
// strangers, made-up ids above all, would else reach the database at their pace.
const (
	missRate  = 1000
	missRealm = 1024 // realms a shard counts for before it starts anew
)

var errFlood error = fault.New(fault.Unavailable, "too_many_misses", "too many unknown things are asked for at once; try again").WithRetry(time.Second)

// mayLoad counts a miss, under the shard's lock.
func (s *shard[V]) mayLoad(realm string) bool {
	l := s.misses[realm]
	if l == nil {
		if len(s.misses) >= missRealm {
			clear(s.misses)
		}
		l = rate.NewLimiter(missRate, missRate)
		s.misses[realm] = l
	}
	return l.Allow()
}

// Peek returns a value only if it is held.
func (c *Cache[V]) Peek(realm, key string) (v V, ok bool) {
	s := c.shard(realm, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	el, ok := s.entries[place{realm, key}]
	if !ok {
		return v, false
	}
	s.order.MoveToFront(el)
	return el.Value.(*item[V]).value, true
}

// keep inserts under the shard's lock and makes room.
func (c *Cache[V]) keep(s *shard[V], at place, v V) {
	n := int64(len(at.realm)+len(at.key)+overhead) + 256
	if c.size != nil {
		n += int64(c.size(v)) - 256
	}
	if n > s.max || n > c.perRealm {
		return
	}
	s.remove(at)
	s.entries[at] = s.order.PushFront(&item[V]{at, v, n})
	s.bytes += n
	s.realms[at.realm] += n
	for s.realms[at.realm] > c.perRealm {
		s.evictOldest(at.realm)
	}
	for s.bytes > s.max {
		s.remove(s.order.Back().Value.(*item[V]).at)
	}
}

// evictOldest removes the realm's entry that was used longest ago.
func (s *shard[V]) evictOldest(realm string) {
	for el := s.order.Back(); el != nil; el = el.Prev() {
		if it := el.Value.(*item[V]); it.at.realm == realm {
			s.remove(it.at)
			return
		}
	}
}

func (s *shard[V]) remove(at place) {
	el, ok := s.entries[at]
	if !ok {
		return
	}
	it := el.Value.(*item[V])
	s.order.Remove(el)
	delete(s.entries, at)
	s.bytes -= it.bytes
	if s.realms[at.realm] -= it.bytes; s.realms[at.realm] <= 0 {
		delete(s.realms, at.realm)
	}
}

// Drop forgets a key, and keeps fills in progress from being kept.
func (c *Cache[V]) Drop(realm, key string) {
	s := c.shard(realm, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	s.remove(place{realm, key})
}

// DropRealm forgets a realm's keys.
func (c *Cache[V]) DropRealm(realm string) {
	c.dropIf(func(at place) bool { return at.realm == realm })
}

// DropAll forgets everything.
func (c *Cache[V]) DropAll() { c.dropIf(func(place) bool { return true }) }

func (c *Cache[V]) dropIf(match func(place) bool) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.epoch++
		for at := range s.entries {
			if match(at) {
				s.remove(at)
			}
		}
		s.mu.Unlock()
	}
}

// Bytes is how much the cache holds, for metrics.
func (c *Cache[V]) Bytes() (n int64) {
	for i := range c.shards {
		c.shards[i].mu.Lock()
		n += c.shards[i].bytes
		c.shards[i].mu.Unlock()
	}
	return n
}

// Name is the name the cache was made with, for metrics.
func (c *Cache[V]) Name() string { return c.name }
