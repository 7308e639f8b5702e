package audit

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// within is what is done in transactions that append events of some actions.
type within struct {
	actions []string
	do      func(tx *db.Tx, happened []Record) error
}

// Within registers do to run in every transaction of a realm in which one of the
// actions happens, after the transaction's own function, with all of its events.
// What it does is committed with them, and its error rolls them back. Register
// before Start.
func (l *Log) Within(do func(tx *db.Tx, happened []Record) error, actions ...string) {
	if l.started {
		panic("audit: Within after Start")
	}
	l.within = append(l.within, within{actions, do})
}

// Noted implements db.Journal: it runs what was registered by Within.
func (l *Log) Noted(tx *db.Tx, entries []any) error {
	if tx.Realm == "" {
		return nil
	}
	for _, w := range l.within {
		if !slices.ContainsFunc(entries, func(v any) bool { return slices.Contains(w.actions, v.(*entry).Action) }) {
			continue
		}
		var happened []Record
		for _, v := range entries {
			if e := v.(*entry); !e.barrier {
				happened = append(happened, e.Record)
			}
		}
		if err := w.do(tx, happened); err != nil {
			return err
		}
	}
	return nil
}

// Flush implements db.Journal: it writes a transaction's events as its last
// statements, so that the order key is drawn after everything it read.
func (l *Log) Flush(tx *db.Tx, entries []any) error {
	records := writes(entries)
	if len(records) == 0 {
		return nil
	}
	if tx.Engine() == db.SQLite {
		return l.flushPlaced(tx, records)
	}
	for _, r := range records {
		text, err := r.encode()
		if err != nil {
			return err
		}
		if err := insertEvent(tx, r, text); err != nil {
			return err
		}
	}
	return nil
}

// Committed implements db.Journal: it wakes the sequencer, and for what
// invalidates it waits until no node can say yes on older knowledge.
func (l *Log) Committed(ctx context.Context, _ string, entries []any) error {
	var last *entry
	barrier := false
	for _, v := range entries {
		if e := v.(*entry); e.barrier {
			barrier = true
		} else if e.Invalidates {
			last = e
		}
	}
	l.tell(last != nil || barrier)
	if last == nil && !barrier || l.cancel == nil {
		return nil // nothing to wait for, or no node runs yet
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmLimit)
	defer cancel()
	defer l.giveUpStale(ctx, cancel)()
	var p Position
	var err error
	if barrier {
		p, err = l.everythingSoFar(ctx)
	} else {
		p, err = l.positionOf(ctx, last.ID)
	}
	if err == nil {
		err = l.confirm(ctx, p)
	}
	for _, v := range entries {
		if e := v.(*entry); e.barrier || e.Invalidates && e.Position == (Position{}) {
			e.Position = p
		}
	}
	if err != nil {
		l.log.Warn("a change is made but not yet confirmed on every node", "err", err)
		return fault.New(fault.Unavailable, "unconfirmed", "the change is made but not yet confirmed everywhere; try again, which is safe").WithRetry(time.Second)
	}
	return nil
}

// tell wakes whoever goes on with a commit: the sequencer, or on SQLite, where
// the commit was placed already, the follower. Where nobody waits for that, some
// more may come together first.
func (l *Log) tell(now bool) {
	switch placed := l.db.Engine() == db.SQLite; {
	case placed && now:
		poke(l.follow)
	case placed:
		poke(l.followSoon)
	case now:
		poke(l.sequence)
	default:
		poke(l.sequenceSoon)
	}
}

// giveUpStale cancels when, after a silence, this node has no lease: then the
// database is away, and waiting on would only delay the 503 (P-16).
func (l *Log) giveUpStale(ctx context.Context, cancel func()) (stop func() bool) {
	return time.AfterFunc(silence, func() {
		for l.Live() == nil && wait(ctx, nil, renewEvery) {
		}
		cancel()
	}).Stop
}

// positionOf waits until this node has applied the event and returns where it stands.
func (l *Log) positionOf(ctx context.Context, event string) (Position, error) {
	l.mu.Lock()
	if p, ok := l.recent[event]; ok {
		l.mu.Unlock()
		return p, nil
	}
	c := l.waiters[event]
	if c == nil {
		c = make(chan Position, 1)
		l.waiters[event] = c
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiters, event)
		l.mu.Unlock()
	}()
	step := time.NewTimer(ownStep)
	defer step.Stop()
	for {
		select {
		case p := <-c:
			return p, nil
		case <-step.C:
			// Whoever holds up the sequencer does not hold up this change.
			if _, err := l.sequenceOnce(ctx); err != nil && !errors.Is(err, errRaced) {
				return Position{}, err
			}
			poke(l.follow)
			step.Reset(ownStep * 5)
		case <-ctx.Done():
			return Position{}, ctx.Err()
		}
	}
}

// everythingSoFar returns a position that covers all that was committed before
// the call, once this node has applied it.
func (l *Log) everythingSoFar(ctx context.Context) (Position, error) {
	if err := l.drain(ctx); err != nil {
		return Position{}, err
	}
	h, err := l.readHead(ctx)
	if err != nil {
		return Position{}, err
	}
	return h.Position, l.waitApplied(ctx, h.Position)
}

// WaitApplied blocks until this node has applied p.
func (l *Log) WaitApplied(ctx context.Context, p Position) error { return l.waitApplied(ctx, p) }

// Settled returns a position that covers all that was committed before the call,
// once this node has applied it.
func (l *Log) Settled(ctx context.Context) (Position, error) { return l.everythingSoFar(ctx) }

// waitApplied blocks until this node has applied p.
func (l *Log) waitApplied(ctx context.Context, p Position) error {
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if !l.Applied().Before(p) {
			return nil
		}
		poke(l.follow)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
