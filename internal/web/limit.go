package web

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limit is how often something may happen: Rate times a second on average,
// Burst times at once.
type Limit struct {
	Rate  float64
	Burst int
}

const (
	limiterShards  = 16
	bucketsByShard = 4096
)

// Limiter holds callers to the rate of a class. It remembers a bounded number
// of callers; under pressure the ones not seen for longest are forgotten first.
// It lives in memory and is a shield against floods, not against guessing:
// limits that must be exact are counted in the database.
type Limiter struct {
	classes map[string]Limit
	now     func() time.Time
	seed    maphash.Seed
	shards  [limiterShards]limiterShard
}

type limiterShard struct {
	mu         sync.Mutex
	young, old map[uint64]*rate.Limiter // by the hash of a limiterKey
}

// limiterKey is a caller. Two with the same hash would share a bucket: nobody can
// bring that about without the seed, and by chance it does not happen.
type limiterKey struct {
	class string
	names Names
	addr  netip.Addr
}

// NewLimiter returns a limiter with these classes. A class that is not among
// them is not limited.
func NewLimiter(classes map[string]Limit, now func() time.Time) *Limiter {
	l := &Limiter{classes: classes, now: now, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].young = map[uint64]*rate.Limiter{}
	}
	return l
}

// Names tell a caller from others, such as realm, client and person.
type Names [3]string

// Allow counts one act of the named caller, and says how long to wait if that
// was too many.
func (l *Limiter) Allow(class string, caller Names) (wait time.Duration, ok bool) {
	return l.allow(limiterKey{class: class, names: caller})
}

// AllowAddr counts one act of an address; see [Network].
func (l *Limiter) AllowAddr(class string, a netip.Addr) (wait time.Duration, ok bool) {
	return l.allow(limiterKey{class: class, addr: Network(a)})
}

// Network is what counts as one caller: an IPv4 address, or the IPv6 /56 that one
// customer is given (RFC 6177, section 2), who would else have 256 times the tries.
func Network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(56)
		return p.Addr()
	}
	return a
}

func (l *Limiter) allow(k limiterKey) (time.Duration, bool) {
	limit, limited := l.classes[k.class]
	if !limited {
		return 0, true
	}
	now := l.now()
	hash := maphash.Comparable(l.seed, k)
	s := &l.shards[hash%limiterShards]
	s.mu.Lock()
	b := s.bucket(hash, limit)
	s.mu.Unlock()
	if b.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - b.TokensAt(now)
	return max(time.Duration(missing/limit.Rate*float64(time.Second)), time.Millisecond), false
}

// bucket finds or makes the caller's bucket. When the young generation is full
// it becomes the old one, and what was still old is forgotten.
func (s *limiterShard) bucket(k uint64, limit Limit) *rate.Limiter {
	if b := s.young[k]; b != nil {
		return b
	}
	b := s.old[k]
	if b == nil {
		b = rate.NewLimiter(rate.Limit(limit.Rate), limit.Burst)
	}
	if len(s.young) >= bucketsByShard {
		s.old, s.young = s.young, make(map[uint64]*rate.Limiter, 64)
	}
	s.young[k] = b
	return b
}
