package db

import (
	"sync/atomic"
	"time"
)

// clock tells the database's time between transactions.
type clock struct {
	fixed  func() time.Time // tests
	anchor atomic.Pointer[anchor]
	last   atomic.Int64 // milliseconds already told, never undercut
}

// anchor pairs a reading of the database's clock with the boot-time clock.
type anchor struct {
	db   time.Time
	boot time.Duration
}

func newClock(fixed func() time.Time) *clock {
	c := &clock{fixed: fixed}
	c.set(time.Now())
	return c
}

// set notes that the database's clock reads t now.
func (c *clock) set(t time.Time) { c.anchor.Store(&anchor{t, Boottime()}) }

func (c *clock) now() time.Time {
	if c.fixed != nil {
		return c.fixed().UTC().Truncate(time.Millisecond)
	}
	a := c.anchor.Load()
	ms := a.db.Add(Boottime() - a.boot).UnixMilli()
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
// A wall clock that is set back does not take the told time back with it.
func (c *clock) local() time.Time {
	if c.fixed == nil {
		c.set(time.Now())
	}
	return c.now()
}

// remote is the time of a transaction that read ms from PostgreSQL.
func (c *clock) remote(ms int64) time.Time {
	if c.fixed != nil {
		return c.now()
	}
	t := time.UnixMilli(ms).UTC()
	c.set(t)
	return t
}
