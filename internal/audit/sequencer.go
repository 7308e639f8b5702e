package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// batch bounds how many events get their position in one transaction.
const batch = 500

// errRaced says that another node moved the head first.
var errRaced = errors.New("audit: another node moved the head")

// sequenceForever gives positions to whatever is committed, when poked by a
// commit of this node and now and then for those of nodes that died.
func (l *Log) sequenceForever(ctx context.Context) {
	for waitOrGather(ctx, l.sequence, l.sequenceSoon, l.poll()) {
		for ctx.Err() == nil {
			n, err := l.sequenceOnce(ctx)
			if errors.Is(err, errRaced) {
				continue
			}
			l.complain(ctx, "sequencing the log", err)
			if err != nil || n < batch {
				break
			}
		}
	}
}

// sequenceOnce gives the next events their positions. Any node may do it: the
// compare-and-set on the head row decides whose batch counts, and its row lock
// makes batches commit in the order of their positions. It runs at READ
// COMMITTED: the compare-and-set alone carries the guarantee, and a serializable
// reader of pending events would conflict with every writer.
func (l *Log) sequenceOnce(ctx context.Context) (n int, err error) {
	if some, err := l.somethingPending(ctx); err != nil || !some {
		return 0, err
	}
	err = l.ctl.SystemRC(ctx, func(tx *db.Tx) error {
		n = 0
		head, err := loadHead(tx, "")
		if err != nil {
			return err
		}
		events, err := pending(tx, batch)
		if err != nil || len(events) == 0 {
			return err
		}
		next := head
		trees := map[string]*tree{}
		for i := range events {
			e := &events[i]
			tr := trees[e.realm]
			if tr == nil {
				if tr, err = loadTree(tx, e.realm); err != nil {
					return err
				}
				trees[e.realm] = tr
			}
			leaf := leafHash(e.body)
			e.leaf = tr.append(leaf)
			next.Seq++
			next.chain = link(next.chain, leaf)
			e.position = next.Position
		}
		moved, err := moveHead(tx, head, next)
		if err != nil {
			return err
		}
		if !moved {
			return errRaced
		}
		if err := place(tx, events); err != nil {
			return err
		}
		for _, tr := range trees {
			if err := tr.save(tx); err != nil {
				return err
			}
		}
		n = len(events)
		return nil
	})
	if err == nil && n > 0 {
		l.db.Wake(wakeHead)
		poke(l.follow)
	}
	return n, err
}

// link extends the chain over the whole log, by which a node notices that the
// database came back with a different past.
func link(chain []byte, leaf [sha256.Size]byte) []byte {
	sum := sha256.Sum256(append(bytes.Clone(chain), leaf[:]...))
	return sum[:]
}

// head is the row of realm ” in log_heads.
type head struct {
	Position
	chain []byte
	began time.Time // of the epoch; zero in the first one
}

func (l *Log) readHead(ctx context.Context) (h head, err error) {
	err = l.ctl.SystemView(ctx, func(tx *db.Tx) error {
		h, err = loadHead(tx, "")
		return err
	})
	return h, err
}

// somethingPending is the cheap question asked every time before the dear one.
func (l *Log) somethingPending(ctx context.Context) (some bool, err error) {
	err = l.ctl.SystemView(ctx, func(tx *db.Tx) error {
		some, err = anyPending(tx)
		return err
	})
	return some, err
}

// drain sequences everything that was committed before the call: a batch that
// was not full held all there was when it began.
func (l *Log) drain(ctx context.Context) error {
	for {
		n, err := l.sequenceOnce(ctx)
		switch {
		case errors.Is(err, errRaced):
			if !wait(ctx, nil, time.Millisecond) {
				return ctx.Err()
			}
		case err != nil:
			return err
		case n < batch:
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// ownStep is how long a writer waits for a position before it sequences itself.
const ownStep = 20 * time.Millisecond
