package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A network or a server that goes silent leaves every open connection waiting
// for an answer, and looks like a statement that takes long. So whoever has
// waited for a while asks on a connection of its own: a server that does not
// answer there is away (P-16). One that answers may take its time, or wait for us
// as we wait for it: then what one of us said was lost, and the connection with it.
const (
	askAfter    = 800 * time.Millisecond // waiting within a transaction before asking, and between two questions
	answerLimit = 800 * time.Millisecond
	lostAfter   = 1200 * time.Millisecond // waiting on both ends
)

var (
	errSilent = errors.New("db: the database has gone silent")
	errLost   = fmt.Errorf("%w on this connection", errSilent)
)

// canary asks the server for a sign of life, once for all who want to know.
type canary struct {
	config *pgx.ConnConfig
	pooled bool // backends are not ours to know
	mu     sync.Mutex
	asked  *question               // under way
	left   map[*pgconn.PgConn]bool // broke by our doing, and may not know it
}

type question struct {
	answered chan struct{}
	silent   bool
	idle     map[uint32]time.Duration // our backends that wait for us, and for how long they have
}

// closing is for how long pgx tries to call off what a connection that broke was
// doing. Where that ends sooner, the server has heard of it.
const closing = 14 * time.Second

// leave remembers a connection that was given up while it was doing something. Its
// backend may wait for a lock, and will keep that when it gets it, if the request
// to call it off was lost.
func (c *canary) leave(conn *pgconn.PgConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == nil {
		c.left = map[*pgconn.PgConn]bool{}
	}
	c.left[conn] = true
	began := time.Now()
	go func() {
		<-conn.CleanupDone()
		if time.Since(began) < closing {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.left, conn)
		}
	}()
}

// callOff has the server, which is back, cancel what it still does for
// connections that are no more. Else each would wait its turn for a lock and then
// hold it until the idle limit.
func (c *canary) callOff() {
	c.mu.Lock()
	left := c.left
	c.left = nil
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), txTimeout)
	defer cancel()
	for conn := range left {
		_ = conn.CancelRequest(ctx) // one that is gone by now is none of the server's business
	}
}

// ask returns the answer to a question asked now, or nil when ctx ends first.
func (c *canary) ask(ctx context.Context) *question {
	c.mu.Lock()
	q := c.asked
	if q == nil {
		q = &question{answered: make(chan struct{})}
		c.asked = q
		go c.answer(q)
	}
	c.mu.Unlock()
	select {
	case <-q.answered:
		return q
	case <-ctx.Done():
		return nil
	}
}

func (c *canary) answer(q *question) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, c.config)
	var refused *pgconn.PgError // such as too many connections: an answer all the same
	q.silent = err != nil && !errors.As(err, &refused)
	if err == nil && !c.pooled {
		q.idle, _ = idleBackends(ctx, conn)
	}
	c.mu.Lock()
	c.asked = nil
	c.mu.Unlock()
	close(q.answered)
	if err == nil {
		_ = conn.Close(ctx)
		c.callOff()
	}
}

// idleBackends are those that wait for their client.
func idleBackends(ctx context.Context, conn *pgx.Conn) (map[uint32]time.Duration, error) {
	rows, err := conn.Query(ctx, `SELECT pid, (EXTRACT(EPOCH FROM clock_timestamp() - state_change) * 1000)::bigint FROM pg_stat_activity
		WHERE usename = current_user AND datname = current_database() AND wait_event = 'ClientRead' AND state_change IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	idle := map[uint32]time.Duration{}
	var pid uint32
	var ms int64
	_, err = pgx.ForEachRow(rows, []any{&pid, &ms}, func() error {
		idle[pid] = time.Duration(ms) * time.Millisecond
		return nil
	})
	return idle, err
}

// waiting is the context of a transaction, with the connection that it waits on.
type waiting struct {
	context.Context
	on atomic.Pointer[holding]
}

type holding struct {
	pid   uint32
	since time.Time
}

// hold says which connection is waited on from now on.
func (w *waiting) hold(c *pgxpool.Conn) {
	w.on.Store(&holding{c.Conn().PgConn().PID(), time.Now()})
}

// lost reports whether both ends of the connection wait for each other.
func (w *waiting) lost(q *question) bool {
	h := w.on.Load()
	return h != nil && time.Since(h.since) >= lostAfter && q.idle[h.pid] >= lostAfter
}

// watched returns a context that ends with errSilent when the server falls
// silent, altogether or on the connection that is held: when it does not answer so
// many questions in a row. Call stop when the transaction has ended.
func (p *postgres) watched(ctx context.Context, patience int) (_ *waiting, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &waiting{Context: ctx}
	first := time.AfterFunc(askAfter, func() {
		for missed := 0; ctx.Err() == nil; {
			q := p.canary.ask(ctx)
			if q == nil {
				return
			}
			if missed++; !q.silent {
				missed = 0
			}
			switch {
			case missed >= patience:
				p.silence(cancel, errSilent)
				return
			case w.lost(q):
				p.silence(cancel, errLost)
				return
			}
			select {
			case <-time.After(askAfter):
			case <-ctx.Done():
			}
		}
	})
	return w, func() {
		first.Stop()
		cancel(nil)
	}
}

// silence ends a transaction. What else is open leads to the same silence, also
// when the server is back.
func (p *postgres) silence(cancel context.CancelCauseFunc, cause error) {
	p.pool.Reset()
	cancel(cause)
}

// orSilent names the silence where it is why a transaction failed.
func orSilent(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	return err
}

// giveBack returns a connection to the pool, or gives it up if it broke. To
// close it takes a round trip to a server that may not answer, and would keep
// its place in the pool for as long. It is ours that broke it where ctx has ended.
func (p *postgres) giveBack(ctx context.Context, c *pgxpool.Conn) {
	if c.Conn().IsClosed() {
		if conn := c.Hijack(); ctx.Err() != nil {
			p.canary.leave(conn.PgConn())
		}
		return
	}
	c.Release() // one left inside a transaction is destroyed by the pool
}
