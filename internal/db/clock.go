package db

import (
	"sync/atomic"
	"time"
)

// clock tells the database's time between transactions.
type clock struct {
	fixed func() time.Time // tests
	ahead atomic.Int64     // nanoseconds of the database's clock less the boot-time clock
	last  atomic.Int64     // milliseconds already told, never undercut
	read  atomic.Int64     // when the database's clock was last read, by the boot-time clock; 0: never
}

func newClock(fixed func() time.Time) *clock {
	c := &clock{fixed: fixed}
	c.set(time.Now())
	return c
}

// set notes that the database's clock reads t now.
func (c *clock) set(t time.Time) { c.ahead.Store(ahead(t, boottimeNow())) }

// ahead is how far t is before the boot-time clock. It goes by what t says and not by its
// monotonic reading, which knows nothing of a wall clock that was set.
func ahead(t time.Time, boot time.Duration) int64 { return t.UnixNano() - int64(boot) }

// begin takes the database's word for the time before anybody was told any. Until
// then this machine's clock stands in, which may be wrong by any time.
func (c *clock) begin(t time.Time) {
	c.set(t)
	c.last.Store(0)
}

func (c *clock) now() time.Time {
	if c.fixed != nil {
		return c.fixed().UTC().Truncate(time.Millisecond)
	}
	ms := (int64(Boottime()) + c.ahead.Load()) / int64(time.Millisecond)
	for {
		last := c.last.Load()
		if ms <= last {
			return time.UnixMilli(last).UTC()
		}
		if c.last.CompareAndSwap(last, ms) {
			return time.UnixMilli(ms).UTC()
		}
	}
}

// local is the time of a transaction on SQLite, whose clock is this machine's.
// It follows the wall clock, but only forwards: while the wall clock is behind
// what was told, after it was set back, time goes on by the boot-time clock.
func (c *clock) local() time.Time {
	if c.fixed == nil {
		c.advance(time.Now())
	}
	return c.now()
}

// advance takes t for the database's time unless that would go back.
func (c *clock) advance(t time.Time) {
	n, known := ahead(t, Boottime()), c.ahead.Load()
	if n > known+int64(time.Millisecond) {
		// Right after a suspension it may be the boot-time clock that is behind.
		n = ahead(t, boottimeNow())
	}
	if n > known {
		c.ahead.Store(n)
	}
}

// remote is the time of a transaction that read ms from PostgreSQL. What is told
// outside of transactions does not go back when a server with a slower clock
// takes over.
func (c *clock) remote(ms int64) time.Time {
	if c.fixed != nil {
		return c.now()
	}
	t := time.UnixMilli(ms).UTC()
	c.advance(t)
	c.read.Store(int64(Boottime()))
	return t
}

// knownFor is how long a reading of the database's clock is good for
// transactions that do without one of their own.
const knownFor = time.Second

// known is now, if the database's clock was read a moment ago.
func (c *clock) known() (time.Time, bool) {
	if c.fixed != nil {
		return c.now(), true
	}
	read := c.read.Load()
	if read == 0 || Boottime()-time.Duration(read) > knownFor {
		return time.Time{}, false
	}
	return c.now(), true
}
