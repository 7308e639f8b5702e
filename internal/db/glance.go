package db

import (
	"context"
	"errors"
	"fmt"
)

var (
	errGlanced = errors.New("db: a glance asks everything before it looks at an answer")
	errWrites  = errors.New("db: a glance only reads")
)

// glanced is a connection that sends all that is asked of it at once, without a
// transaction: each question is its own snapshot.
type glanced struct {
	run   func(ctx context.Context, queue []*asked)
	queue []*asked
	over  bool
}

func (g *glanced) exec(context.Context, string, []any) (int64, error) { return 0, errWrites }

func (g *glanced) query(context.Context, string, []any) (rows, error) { return nil, errGlanced }

func (g *glanced) asking() bool { return true }

func (g *glanced) ask(_ context.Context, query string, args []any, read func(rows) error) *asked {
	switch {
	case read == nil:
		return &asked{sent: true, err: errWrites}
	case g.over:
		return &asked{sent: true, err: errGlanced}
	}
	a := &asked{query: query, args: args, read: read}
	g.queue = append(g.queue, a)
	return a
}

func (g *glanced) settle(ctx context.Context) {
	if !g.over {
		g.over = true
		g.run(ctx, g.queue)
	}
}

func (p *postgres) glance(ctx context.Context, realm string, fn func(*Tx) error) error {
	if _, known := p.db.clock.known(); !known {
		return p.view(ctx, realm, fn)
	}
	ctx, cancel := context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	w, stop := p.watched(ctx, 1)
	defer stop()
	var err error
	for range p.size + 1 {
		if err = p.look(w, realm, fn); !errors.Is(err, errUnbegun) {
			break
		}
	}
	return orSilent(w, repanic(err))
}

// look glances over one connection, which may turn out to be broken.
func (p *postgres) look(ctx *waiting, realm string, fn func(*Tx) error) error {
	acquire, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	c, err := p.pool.Acquire(acquire)
	if err != nil {
		return err
	}
	defer p.giveBack(ctx, c)
	ctx.hold(c)
	conn := p.conn(c)
	g := &glanced{run: func(ctx context.Context, queue []*asked) {
		conn.queue = queue
		conn.settle(ctx)
	}}
	err = guarded(fn, &Tx{Realm: realm, Now: p.db.clock.now(), ctx: ctx, conn: g, kind: Postgres})
	if c.Conn().IsClosed() && err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", errUnbegun, err)
	}
	if c.Conn().PgConn().TxStatus() != idle {
		p.end(ctx, conn, rollback)
	}
	return err
}

func (l *lite) glance(ctx context.Context, realm string, fn func(*Tx) error) error {
	c, giveBack, err := l.reader(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	g := &glanced{run: func(ctx context.Context, queue []*asked) {
		for _, a := range queue {
			*a = *c.ask(ctx, a.query, a.args, a.read)
		}
	}}
	return fn(&Tx{Realm: realm, Now: l.db.clock.local(), ctx: ctx, conn: g, kind: SQLite})
}
