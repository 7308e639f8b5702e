package db

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// pgConn is a connection inside a transaction, with what was asked of it and
// not yet sent.
type pgConn struct {
	*pgx.Conn
	queue []*asked
	sent  func(ctx context.Context, texts ...string)
}

// tell tells whoever counts what travels together.
func (c *pgConn) tell(ctx context.Context, texts ...string) {
	if c.sent != nil {
		c.sent(ctx, texts...)
	}
}

func (c *pgConn) exec(ctx context.Context, query string, args []any) (int64, error) {
	if c.asking() {
		a := c.ask(ctx, query, args, nil)
		c.settle(ctx)
		return a.count, a.err
	}
	c.tell(ctx, query)
	tag, err := c.Conn.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

func (c *pgConn) query(ctx context.Context, query string, args []any) (rows, error) {
	c.tell(ctx, query)
	return c.Conn.Query(ctx, query, args...)
}

func (c *pgConn) ask(_ context.Context, query string, args []any, read func(rows) error) *asked {
	a := &asked{query: query, args: args, read: read}
	c.queue = append(c.queue, a)
	return a
}

func (c *pgConn) asking() bool { return len(c.queue) > 0 }

// settle sends what was asked and reads every answer.
func (c *pgConn) settle(ctx context.Context) { _, _ = c.send(ctx, "") }

// commit sends what was asked and the commit behind it, and returns the tag of
// the latter. PostgreSQL skips what follows a failed statement, the commit
// included.
func (c *pgConn) commit(ctx context.Context) (string, error) {
	if !c.asking() {
		c.tell(ctx, "COMMIT")
		tag, err := c.Conn.Exec(ctx, "COMMIT")
		return tag.String(), err
	}
	return c.send(ctx, "COMMIT")
}

// send sends the queue and one more statement, if there is one, whose tag it
// returns. The error is the first of a statement without rows, or the last
// statement's own; errors of queries are their askers'.
func (c *pgConn) send(ctx context.Context, last string) (tag string, err error) {
	queue := c.queue
	c.queue = nil
	batch := &pgx.Batch{}
	for _, a := range queue {
		batch.Queue(a.query, a.args...)
	}
	if last != "" {
		batch.Queue(last)
	}
	if c.sent != nil {
		texts := make([]string, len(batch.QueuedQueries))
		for i, q := range batch.QueuedQueries {
			texts[i] = q.SQL
		}
		c.sent(ctx, texts...)
	}
	results := c.SendBatch(ctx, batch)
	for _, a := range queue {
		a.sent = true
		if a.err = a.receive(results); a.err != nil && a.read == nil && err == nil {
			err = a.err
		}
	}
	if last != "" {
		t, e := results.Exec()
		tag = t.String()
		if err == nil {
			err = e
		}
	}
	if e := results.Close(); err == nil && !told(queue, e) {
		err = e
	}
	return tag, err
}

func (a *asked) receive(results pgx.BatchResults) error {
	if a.read == nil {
		tag, err := results.Exec()
		a.count = tag.RowsAffected()
		return err
	}
	rs, err := results.Query()
	if err != nil {
		return err
	}
	defer rs.Close()
	return a.read(rs)
}

// told reports whether somebody who asked has got the error already.
func told(queue []*asked, err error) bool {
	for _, a := range queue {
		if a.err != nil && errors.Is(err, a.err) {
			return true
		}
	}
	return err == nil
}
