package db

import "context"

// What a transaction wants without waiting for it travels to PostgreSQL
// together with the next thing that it waits for, since a round trip costs more
// than most statements. On SQLite, where a statement is a function call, it
// happens at once. Either way statements take effect in the order of the calls.

// asked is a statement that was sent, or will be. After it was, err says how it
// ended.
type asked struct {
	query string
	args  []any
	read  func(rows) error // nil for statements without rows
	count int64            // rows changed, where read is nil
	sent  bool
	err   error
}

// Later runs a statement whose outcome the transaction does not look at. Its
// error may be told now, by any later call, or by the commit, and fails the
// transaction; so a caller that handles an error uses Exec.
func (tx *Tx) Later(query string, args ...any) error {
	a := tx.conn.ask(tx.ctx, query, args, nil)
	return a.err
}

// AskExec is Exec whose count is wanted a little later.
func (tx *Tx) AskExec(query string, args ...any) (changed func() (int64, error)) {
	a := tx.conn.ask(tx.ctx, query, args, nil)
	return func() (int64, error) {
		if !a.sent {
			tx.conn.settle(tx.ctx)
		}
		return a.count, a.err
	}
}

// Answer is what a query that was asked ahead will tell.
type Answer[T any] struct {
	tx    *Tx
	asked *asked
	value T
}

// Ask asks a query whose answer is wanted a little later, so that several can
// be asked before the first is waited for.
func Ask[T any](tx *Tx, scan func(Row) (T, error), query string, args ...any) *Answer[T] {
	a := &Answer[T]{tx: tx}
	a.asked = tx.conn.ask(tx.ctx, query, args, func(rs rows) (err error) {
		a.value, err = only(rs, scan)
		return err
	})
	return a
}

// AskAll asks a query all of whose rows are wanted a little later.
func AskAll[T any](tx *Tx, scan func(Row) (T, error), query string, args ...any) (answer func() ([]T, error)) {
	var all []T
	a := tx.conn.ask(tx.ctx, query, args, func(rs rows) (err error) {
		all, err = every(rs, scan)
		return err
	})
	return func() ([]T, error) {
		if !a.sent {
			tx.conn.settle(tx.ctx)
		}
		return all, a.err
	}
}

// One waits for the answer's single row, or returns fault.NotFound.
func (a *Answer[T]) One() (T, error) {
	if !a.asked.sent {
		a.tx.conn.settle(a.tx.ctx)
	}
	return a.value, a.asked.err
}

// ask on SQLite has the answer at once.
func (c *liteConn) ask(ctx context.Context, query string, args []any, read func(rows) error) *asked {
	a := &asked{sent: true}
	if read == nil {
		a.count, a.err = c.exec(ctx, query, args)
		return a
	}
	rs, err := c.query(ctx, query, args)
	if err != nil {
		a.err = err
		return a
	}
	defer rs.Close()
	a.err = read(rs)
	return a
}

func (c *liteConn) settle(context.Context) {}

func (c *liteConn) asking() bool { return false }
