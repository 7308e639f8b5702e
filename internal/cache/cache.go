// Package cache holds what was read from the database until the event log says
// that it changed. Caches are bounded in bytes, per realm too, so that no realm
// can push out another's entries beyond its share.
package cache

import (
	"container/list"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/cardea-id/cardea/internal/fault"
)

// Cache maps (realm, key) to a value. A fill that overlaps an invalidation is
// returned to its caller but not kept: it may have read what was just replaced.
type Cache[V any] struct {
	name     string
	size     func(V) int
	seed     maphash.Seed
	shards   [shards]shard[V]
	near     [nearby]atomic.Pointer[item[V]]
	perRealm int64
}

const shards = 16

// nearby is how many entries are also found without a lock. All requests ask for
// the same few, and a lock that each processor writes to costs them more than the
// rest of a look-up. Whoever removes an entry takes it out here too, before its
// lock is given back.
const nearby = 256

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

// item is an entry. All but used stays as it was made.
type item[V any] struct {
	at    place
	hash  uint64
	value V
	bytes int64
	used  atomic.Bool // without a lock, since it was last put first
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
	c := &Cache[V]{name: name, size: size, seed: maphash.MakeSeed(), perRealm: max(maxRealm/shards, 1)}
	for i := range c.shards {
		c.shards[i] = shard[V]{entries: map[place]*list.Element{}, order: list.New(), max: max(maxBytes/shards, 1),
			realms: map[string]int64{}, loads: map[place]*load[V]{}, misses: map[string]*rate.Limiter{}}
	}
	return c
}

func (c *Cache[V]) hash(realm, key string) uint64 {
	return maphash.String(c.seed, realm)*31 + maphash.String(c.seed, key)
}

func (c *Cache[V]) shard(hash uint64) *shard[V] { return &c.shards[hash%shards] }

func (c *Cache[V]) slot(hash uint64) *atomic.Pointer[item[V]] { return &c.near[hash/shards%nearby] }

// glance returns the entry if it is one of those found without a lock.
func (c *Cache[V]) glance(hash uint64, realm, key string) *item[V] {
	it := c.slot(hash).Load()
	if it == nil || it.hash != hash || it.at.key != key || it.at.realm != realm {
		return nil
	}
	it.use()
	return it
}

// use notes that the entry was found without a lock. Writing each time would take
// it from the other processors.
func (it *item[V]) use() {
	if !it.used.Load() {
		it.used.Store(true)
	}
}

// found notes that an entry was asked for, under the shard's lock.
func (c *Cache[V]) found(s *shard[V], el *list.Element) V {
	s.order.MoveToFront(el)
	it := el.Value.(*item[V])
	c.slot(it.hash).Store(it)
	return it.value
}

var errPanicked = errors.New("cache: the load of this entry panicked")

// Get returns the value of a key, loading it if it is not held. Errors are not
// kept. Those who ask for a key that is being loaded wait for that load, unless
// the key was invalidated since it began: then they load anew.
func (c *Cache[V]) Get(realm, key string, fill func() (V, error)) (V, error) {
	hash := c.hash(realm, key)
	if it := c.glance(hash, realm, key); it != nil {
		return it.value, nil
	}
	return c.find(hash, place{realm, key}, fill)
}

func (c *Cache[V]) find(hash uint64, at place, fill func() (V, error)) (V, error) {
	s := c.shard(hash)
	for {
		s.mu.Lock()
		if el, ok := s.entries[at]; ok {
			v := c.found(s, el)
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
		if !s.mayLoad(at.realm) {
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
					c.keep(s, hash, at, l.value)
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
	hash := c.hash(realm, key)
	if it := c.glance(hash, realm, key); it != nil {
		return it.value, true
	}
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	el, ok := s.entries[place{realm, key}]
	if !ok {
		return v, false
	}
	return c.found(s, el), true
}

// PeekBytes is Peek for a key that was put together for the question: it becomes
// a string only if the entry is not one of those found without a lock.
func (c *Cache[V]) PeekBytes(realm string, key []byte) (v V, ok bool) {
	hash := maphash.String(c.seed, realm)*31 + maphash.Bytes(c.seed, key) // that of hash
	if it := c.slot(hash).Load(); it != nil && it.hash == hash && it.at.key == string(key) && it.at.realm == realm {
		it.use()
		return it.value, true
	}
	return c.Peek(realm, string(key))
}

// keep inserts under the shard's lock and makes room.
func (c *Cache[V]) keep(s *shard[V], hash uint64, at place, v V) {
	n := int64(len(at.realm)+len(at.key)+overhead) + 256
	if c.size != nil {
		n += int64(c.size(v)) - 256
	}
	if n > s.max || n > c.perRealm {
		return
	}
	c.remove(s, at)
	for s.realms[at.realm]+n > c.perRealm {
		c.evict(s, func(realm string) bool { return realm == at.realm })
	}
	for s.bytes+n > s.max {
		c.evict(s, func(string) bool { return true })
	}
	s.entries[at] = s.order.PushFront(&item[V]{at: at, hash: hash, value: v, bytes: n})
	s.bytes += n
	s.realms[at.realm] += n
}

// evict removes the entry of the realms that was used longest ago. One that was
// used without a lock is put first once instead, as if it were used now.
func (c *Cache[V]) evict(s *shard[V], of func(realm string) bool) {
	for el := s.order.Back(); el != nil; {
		it, next := el.Value.(*item[V]), el.Prev()
		if of(it.at.realm) && !it.used.Swap(false) {
			c.remove(s, it.at)
			return
		}
		if of(it.at.realm) {
			s.order.MoveToFront(el)
		}
		el = next
	}
}

// remove takes an entry out under the shard's lock.
func (c *Cache[V]) remove(s *shard[V], at place) {
	el, ok := s.entries[at]
	if !ok {
		return
	}
	it := el.Value.(*item[V])
	c.slot(it.hash).CompareAndSwap(it, nil)
	s.order.Remove(el)
	delete(s.entries, at)
	s.bytes -= it.bytes
	if s.realms[at.realm] -= it.bytes; s.realms[at.realm] <= 0 {
		delete(s.realms, at.realm)
	}
}

// Drop forgets a key, and keeps fills in progress from being kept.
func (c *Cache[V]) Drop(realm, key string) {
	s := c.shard(c.hash(realm, key))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	c.remove(s, place{realm, key})
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
				c.remove(s, at)
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
