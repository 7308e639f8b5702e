package audit

import (
	"context"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/id"
)

func newNode(d *db.DB) string { return id.New("nod", d.Now()) }

// acks is what the other nodes are known to have applied, as read by one
// goroutine for all writers that wait.
type acks struct {
	mu      sync.Mutex
	reads   int64 // how many reads of the nodes have begun
	done    int64 // the newest read that has ended
	behind  []node
	waiting int
	changed chan struct{}
}

// node is a row of nodes.
type node struct {
	id       string
	renewals int64
	at       Position
}

// confirm blocks until every other node that may say yes has applied p, or
// cannot hold a lease any more that is older than p. This node has applied p.
func (l *Log) confirm(ctx context.Context, p Position) error {
	if l.ctl.Engine() == db.SQLite {
		return nil
	}
	began := l.opts.Elapsed()
	l.acks.mu.Lock()
	l.acks.waiting++
	asked := l.acks.reads // only a read that begins after this counts
	l.acks.mu.Unlock()
	defer func() {
		l.acks.mu.Lock()
		l.acks.waiting--
		l.acks.mu.Unlock()
	}()
	poke(l.ack)
	first := map[string]int64{}
	for {
		l.acks.mu.Lock()
		changed := l.acks.changed
		var late []node
		known := l.acks.done > asked
		if known {
			for _, n := range l.acks.behind {
				if n.at.Before(p) {
					late = append(late, n)
				}
			}
		}
		l.acks.mu.Unlock()
		if known && len(late) == 0 {
			return nil
		}
		for _, n := range late {
			if _, seen := first[n.id]; !seen {
				first[n.id] = n.renewals
			}
		}
		if known && l.opts.Elapsed()-began >= silence {
			l.giveUp(ctx, late, first)
			return nil
		}
		t := time.NewTimer(ackEvery)
		select {
		case <-changed:
		case <-t.C:
			poke(l.ack)
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		t.Stop()
	}
}

// ackEvery is how often a waiting writer has the nodes read.
const ackEvery = 20 * time.Millisecond

// giveUp marks nodes that have not renewed during a whole silence, so that the
// next writer need not wait for them. A node that comes back joins anew.
func (l *Log) giveUp(ctx context.Context, late []node, first map[string]int64) {
	for _, n := range late {
		if n.renewals != first[n.id] {
			continue
		}
		err := l.ctl.SystemRC(ctx, func(tx *db.Tx) error { return lapseNode(tx, n.id, n.renewals) })
		if err != nil {
			l.log.Warn("giving up a silent node", "node", n.id, "err", err)
			continue
		}
		l.log.Warn("a node has not renewed its lease and is no longer waited for", "node", n.id)
	}
}

// ackForever reads what the other nodes have applied, for those who wait.
func (l *Log) ackForever(ctx context.Context) {
	for wait(ctx, l.ack, time.Second) {
		l.acks.mu.Lock()
		idle := l.acks.waiting == 0
		l.acks.reads++
		read := l.acks.reads
		l.acks.mu.Unlock()
		if idle {
			continue
		}
		var nodes []node
		err := l.ctl.SystemView(ctx, func(tx *db.Tx) (err error) {
			nodes, err = otherNodes(tx, l.node)
			return err
		})
		if err != nil {
			l.complain(ctx, "reading the nodes", err)
			continue
		}
		l.acks.mu.Lock()
		l.acks.behind, l.acks.done = nodes, read
		close(l.acks.changed)
		l.acks.changed = make(chan struct{})
		l.acks.mu.Unlock()
	}
}
