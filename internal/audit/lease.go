package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// A lease is the proof that a node has applied the log's head. Renewing it
// reads the head, applies it, and only then tells the database; it lasts from
// before the head was read. So once silence has passed since a position was
// given, no lease can be older than that position.

// join makes this node known, so that every writer waits for it. On SQLite there
// is no other node.
func (l *Log) join(ctx context.Context) error {
	if l.ctl.Engine() == db.SQLite {
		return nil
	}
	return l.ctl.SystemRC(ctx, func(tx *db.Tx) error { return insertNode(tx, l.node, l.opts.Name) })
}

func (l *Log) leave(ctx context.Context) error {
	if l.ctl.Engine() == db.SQLite {
		return nil
	}
	err := l.ctl.SystemRC(ctx, func(tx *db.Tx) error { return deleteNode(tx, l.node) })
	l.db.Wake(wakeAck)
	return err
}

// renewLease proves that this node has applied the head, or fails and leaves
// the lease to run out.
func (l *Log) renewLease(ctx context.Context) error {
	if l.reseated.Load() {
		return nil // the hooks of a new epoch are still at work
	}
	sent := l.opts.Elapsed()
	h, err := l.readHead(ctx)
	if err != nil {
		return err
	}
	if err := l.agrees(h); err != nil {
		return err
	}
	if l.Applied().Before(h.Position) {
		if _, err := l.catchUpTo(ctx, &h); err != nil {
			return err
		}
		if l.Applied().Before(h.Position) {
			return fmt.Errorf("the head is %s, applied is %s", h.Position, l.Applied())
		}
	}
	if l.ctl.Engine() == db.SQLite {
		// The only node is this one, and it acknowledges after applying.
		l.lease.Store(forever)
		return nil
	}
	at := l.Applied()
	write, cancel := context.WithTimeout(ctx, 2*leaseLife) // later it is worth nothing
	defer cancel()
	err = l.ctl.SystemRC(write, func(tx *db.Tx) error {
		ok, err := renewNode(tx, l.node, at)
		if err == nil && !ok {
			err = errLapsed
		}
		return err
	})
	if errors.Is(err, errLapsed) {
		// Writers no longer wait for this node. It makes itself known again and
		// then reads the head anew: whatever it missed is before that head.
		if err := l.join(ctx); err != nil {
			return err
		}
		poke(l.follow)
		return nil
	}
	if err != nil {
		return err
	}
	l.lease.Store(int64(sent + leaseLife))
	l.db.Wake(wakeAck)
	return nil
}

var errLapsed = errors.New("audit: this node was given up")

// otherPast says that the database no longer holds what this node has applied:
// a failover to a standby that lagged, or a restore.
type otherPast struct{ why string }

func (o *otherPast) Error() string { return "the log has another past: " + o.why }

// agrees reports whether the head continues what this node has applied.
func (l *Log) agrees(h head) error {
	at := l.Applied()
	switch {
	case h.Epoch != at.Epoch:
		return &otherPast{fmt.Sprintf("it is at epoch %d, this node at %d", h.Epoch, at.Epoch)}
	case h.Seq < at.Seq:
		return &otherPast{fmt.Sprintf("it ends at %s, this node has applied %s", h.Position, at)}
	case h.Seq == at.Seq && !bytes.Equal(h.chain, l.chain):
		return &otherPast{fmt.Sprintf("its hash at %s differs", at)}
	}
	return nil
}

// failover stops saying yes, raises the epoch if no other node has, tells again
// what died in the last ten minutes, and starts over from the head.
func (l *Log) failover(ctx context.Context, why *otherPast) error {
	l.lease.Store(0)
	l.log.Error("the database came back with another past; raising the epoch", "why", why.why)
	old := l.Applied()
	var h head
	err := l.ctl.System(ctx, func(tx *db.Tx) (err error) {
		if h, err = loadHead(tx, ""); err != nil {
			return err
		}
		if h.Epoch <= old.Epoch {
			next := h
			next.Epoch, next.began = old.Epoch+1, latest(tx.Now, l.db.Now())
			moved, err := moveHead(tx, h, next)
			if err == nil && !moved {
				err = errRaced
			}
			if err != nil {
				return err
			}
			h = next
		}
		return l.deaths.tellAgain(tx, l.db.Now())
	})
	if err != nil {
		return fmt.Errorf("raise the epoch: %w", err)
	}
	for _, f := range l.followers {
		f.reset()
	}
	l.mu.Lock()
	l.began.Store(&h.began)
	l.applied.Store(&h.Position)
	l.chain = h.chain
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	poke(l.sequence)
	l.reseated.Store(true)
	recent := l.deaths.records()
	l.wg.Go(func() {
		for _, fn := range l.onEpoch {
			fn(ctx, h.Epoch, recent)
		}
		l.reseated.Store(false)
		poke(l.follow)
	})
	return nil
}

// latest keeps an epoch from beginning before what this node has told already:
// the clock of the database that took over may be behind.
func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tellAgain appends the deaths of the last ten minutes anew. A cut-off told
// again falls later than the first time, which refuses more, never less.
func (d *recentDeaths) tellAgain(tx *db.Tx, now time.Time) error {
	for _, p := range d.list {
		if now.Sub(p.at) > reassert || len(p.r.Deaths) == 0 && p.r.Cut == nil && p.r.JTI == nil {
			continue
		}
		e := p.r.Event
		e.Action, e.Invalidates = "log.reassert", true
		e.Data = map[string]any{"event": p.r.ID, "action": p.r.Action}
		r := newRecord(p.r.Realm, tx.Now, System, e)
		text, err := r.encode()
		if err != nil {
			return err
		}
		if err := insertEvent(tx, &r, text); err != nil {
			return err
		}
	}
	return nil
}
