package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// followBatch bounds how many records are read at once.
const followBatch = 1000

// keepRecent bounds how many applied events are remembered by id, for writers
// that ask after the fact.
const keepRecent = 4096

// followForever applies the log and renews this node's lease, both on one
// goroutine: a lease says that the head was applied, so the two belong together.
func (l *Log) followForever(ctx context.Context) {
	var renewed time.Duration
	for waitOrGather(ctx, l.follow, l.followSoon, l.poll()) {
		invalidated, err := l.catchUp(ctx)
		if err == nil && (invalidated || l.opts.Elapsed()-renewed >= renewEvery || l.Live() != nil) {
			renewed = l.opts.Elapsed()
			err = l.renewLease(ctx)
		}
		var other *otherPast
		if errors.As(err, &other) {
			err = l.failover(ctx, other)
		}
		l.complain(ctx, "following the log", err)
	}
}

// catchUp applies everything up to the head and reports whether any of it
// invalidated something. Only the follower's goroutine calls it.
func (l *Log) catchUp(ctx context.Context) (invalidated bool, err error) {
	return l.catchUpTo(ctx, nil)
}

// catchUpTo also compares the chain when it comes by a head that was read before.
func (l *Log) catchUpTo(ctx context.Context, known *head) (invalidated bool, err error) {
	for {
		from := l.Applied()
		var records []stored
		err := l.ctl.SystemView(ctx, func(tx *db.Tx) (err error) {
			records, err = recordsAfter(tx, from, followBatch)
			return err
		})
		if err != nil {
			return invalidated, err
		}
		for _, s := range records {
			next := Position{from.Epoch, from.Seq + 1}
			if s.position != next {
				return invalidated, &otherPast{fmt.Sprintf("after %s comes %s", from, s.position)}
			}
			r, err := decode(s.body)
			if err != nil {
				return invalidated, err
			}
			r.Position, r.Leaf = s.position, s.leaf
			chain := link(l.chain, leafHash(s.body))
			if known != nil && next == known.Position && !bytes.Equal(chain, known.chain) {
				return invalidated, &otherPast{fmt.Sprintf("its hash at %s differs", next)}
			}
			l.chain = chain
			l.apply(r)
			from = next
			invalidated = invalidated || r.Invalidates
		}
		if len(records) < followBatch {
			return invalidated, nil
		}
	}
}

// apply tells the followers, then those who wait.
func (l *Log) apply(r Record) {
	for _, f := range l.followers {
		f.apply(r)
	}
	l.deaths.note(r, l.db.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	p := r.Position
	l.applied.Store(&p)
	if c := l.waiters[r.ID]; c != nil {
		c <- p
		delete(l.waiters, r.ID)
	}
	if len(l.ring) == keepRecent {
		delete(l.recent, l.ring[0])
		l.ring = append(l.ring[:0], l.ring[1:]...)
	}
	l.recent[r.ID] = p
	l.ring = append(l.ring, r.ID)
	close(l.changed)
	l.changed = make(chan struct{})
}

// recentDeaths remembers what was invalidated lately, to tell its deaths again
// after a failover.
type recentDeaths struct {
	list []pastDeath
}

type pastDeath struct {
	at time.Time
	r  Record
}

// keepDeaths bounds what is remembered of the last ten minutes.
const keepDeaths = 20_000

func (d *recentDeaths) note(r Record, now time.Time) {
	old := max(0, len(d.list)-keepDeaths)
	for old < len(d.list) && now.Sub(d.list[old].at) > reassert {
		old++
	}
	d.list = d.list[old:]
	if r.Invalidates || len(r.Deaths) > 0 || r.Cut != nil || r.JTI != nil {
		d.list = append(d.list, pastDeath{now, r})
	}
}

// records are what is remembered, oldest first.
func (d *recentDeaths) records() (all []Record) {
	for _, p := range d.list {
		all = append(all, p.r)
	}
	return all
}
