package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A network or a server that goes silent leaves every open connection waiting
// for an answer, and looks like a statement that takes long. So whoever has
// waited for a while asks on a connection of its own: a server that answers
// there may take its time, one that does not is away (P-16).
const (
	askAfter    = 800 * time.Millisecond // waiting within a transaction before asking, and between two questions
	answerLimit = 800 * time.Millisecond
)

var errSilent = errors.New("db: the database has gone silent")

// canary asks the server for a sign of life, once for all who want to know.
type canary struct {
	config *pgx.ConnConfig
	mu     sync.Mutex
	asked  *question // under way
}

type question struct {
	answered chan struct{}
	silent   bool
}

// silent reports whether the server gave no sign of life when asked now. It is
// false when ctx ends first.
func (c *canary) silent(ctx context.Context) bool {
	c.mu.Lock()
	q := c.asked
	if q == nil {
		q = &question{answered: make(chan struct{})}
		c.asked = q
		go c.ask(q)
	}
	c.mu.Unlock()
	select {
	case <-q.answered:
		return q.silent
	case <-ctx.Done():
		return false
	}
}

func (c *canary) ask(q *question) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, c.config)
	var refused *pgconn.PgError // such as too many connections: an answer all the same
	q.silent = err != nil && !errors.As(err, &refused)
	c.mu.Lock()
	c.asked = nil
	c.mu.Unlock()
	close(q.answered)
	if err == nil {
		_ = conn.Close(ctx)
	}
}

// watched returns a context that ends with errSilent when the server falls
// silent. Call stop when the transaction has ended.
func (p *postgres) watched(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	first := time.AfterFunc(askAfter, func() {
		for ctx.Err() == nil {
			if p.canary.silent(ctx) {
				// What else is open leads to the same silence, also when the server is back.
				p.pool.Reset()
				cancel(errSilent)
				return
			}
			select {
			case <-time.After(askAfter):
			case <-ctx.Done():
			}
		}
	})
	return ctx, func() {
		first.Stop()
		cancel(nil)
	}
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
// its place in the pool for as long.
func giveBack(c *pgxpool.Conn) {
	if c.Conn().IsClosed() {
		c.Hijack()
		return
	}
	c.Release() // one left inside a transaction is destroyed by the pool
}
