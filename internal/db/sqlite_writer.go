package db

import (
	"context"
	"errors"
	"fmt"
)

// The writer commits in groups: while one commit waits for the disk, callers
// queue up, and the next commit takes them all. Each caller's closure runs under
// a savepoint of its own, so that one refusal leaves the others alone, and no
// caller hears anything before the commit.

// liteCall is one caller's closure on its way through the writer.
type liteCall struct {
	ctx   context.Context
	realm string
	fn    func(*Tx) error
	// entries are what fn journalled.
	entries []any
	err     error
	done    chan struct{}
}

// maxGroup bounds how many callers wait for one commit.
const maxGroup = 128

func (l *lite) update(ctx context.Context, _ mode, realm string, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	call := &liteCall{ctx: ctx, realm: realm, fn: fn, done: make(chan struct{})}
	select {
	case l.queue <- call:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.stop:
		return errClosed
	}
	select {
	case <-call.done: // a caller that gives up early must still learn the outcome, or a 2xx and a loss could both be told
	case <-l.done:
		select {
		case <-call.done:
		default:
			return errClosed
		}
	}
	return repanic(call.err)
}

func (l *lite) write(c *liteConn) {
	defer close(l.done)
	for {
		select {
		case call := <-l.queue:
			l.group(c, call)
		case <-l.stop:
			for {
				select {
				case call := <-l.queue:
					l.group(c, call)
				default:
					return
				}
			}
		}
	}
}

// group runs the first call and all that wait behind it, and commits once.
func (l *lite) group(c *liteConn, first *liteCall) {
	ctx := context.Background()
	var calls []*liteCall
	defer func() {
		for _, call := range calls {
			close(call.done)
		}
	}()
	calls = append(calls, first)
	if l.broken != nil {
		first.err = l.broken
		return
	}
	if _, err := c.exec(ctx, "BEGIN IMMEDIATE", nil); err != nil {
		first.err = err
		return
	}
	broken := l.one(c, first)
	for len(calls) < maxGroup && !broken {
		select {
		case next := <-l.queue:
			calls = append(calls, next)
			broken = l.one(c, next)
			continue
		default:
		}
		break
	}
	broken = broken || l.flush(c, calls) != nil
	if !broken {
		_, err := c.exec(ctx, "COMMIT", nil)
		if err == nil {
			return
		}
		l.rollback(c)
		if uncertain(err) {
			// The log may or may not hold these changes. Going on could
			// acknowledge what the next start does not find.
			l.die(fmt.Errorf("commit: %w", err))
		}
		for _, call := range calls {
			call.err = err
		}
		return
	}
	l.rollback(c)
	if len(calls) == 1 && first.err != nil {
		return
	}
	// The engine gave up the whole transaction for one call's sake: each gets
	// a transaction of its own.
	for _, call := range calls {
		if call.err = l.broken; call.err != nil {
			continue
		}
		if _, err := c.exec(ctx, "BEGIN IMMEDIATE", nil); err != nil {
			call.err = err
			continue
		}
		if l.one(c, call) {
			l.rollback(c)
			continue
		}
		if err := l.flush(c, []*liteCall{call}); err != nil {
			call.err = err
			l.rollback(c)
			continue
		}
		if _, err := c.exec(ctx, "COMMIT", nil); err != nil {
			call.err = err
			l.rollback(c)
			if uncertain(err) {
				l.die(fmt.Errorf("commit: %w", err))
			}
		}
	}
}

// one runs a call under its savepoint. It reports whether the transaction
// around it is lost.
func (l *lite) one(c *liteConn, call *liteCall) (broken bool) {
	if err := call.ctx.Err(); err != nil {
		call.err = err
		return false
	}
	// Interrupting a write would roll back the whole group, so the caller's
	// cancellation is looked at between calls, not within.
	ctx := context.WithoutCancel(call.ctx)
	if _, err := c.exec(ctx, "SAVEPOINT call", nil); err != nil {
		call.err = err
		return true
	}
	tx := &Tx{Realm: call.realm, Now: l.db.clock.local(), ctx: ctx, conn: c, kind: SQLite}
	call.entries, call.err = nil, guarded(call.fn, tx)
	if call.err == nil {
		call.entries = tx.entries
	} else {
		if lost(call.err) {
			return true
		}
		if _, err := c.exec(ctx, "ROLLBACK TO call", nil); err != nil {
			return true
		}
	}
	if _, err := c.exec(ctx, "RELEASE call", nil); err != nil {
		if call.err == nil {
			call.err = err
		}
		return true
	}
	return false
}

// flush writes what all these callers have journalled.
func (l *lite) flush(c *liteConn, calls []*liteCall) error {
	var all []any
	for _, call := range calls {
		all = append(all, call.entries...)
	}
	if len(all) == 0 || l.db.journal == nil {
		return nil
	}
	tx := &Tx{Now: l.db.clock.local(), ctx: context.Background(), conn: c, kind: SQLite}
	return guarded(func(tx *Tx) error { return l.db.journal.Flush(tx, all) }, tx)
}

// guarded runs fn and turns a panic into an error, to be raised again on the
// caller's goroutine.
func guarded(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &recovered{v}
		}
	}()
	return fn(tx)
}

func (l *lite) rollback(c *liteConn) {
	// An error here means that the engine has rolled back already.
	_, _ = c.exec(context.Background(), "ROLLBACK", nil)
}

// die refuses whatever comes from now on, and has the process ended.
func (l *lite) die(err error) {
	l.broken = fmt.Errorf("%w: %w", errCommit, err)
	select {
	case l.fatal <- err:
	default:
	}
}

// lost reports whether the engine may have rolled back the whole transaction.
func lost(err error) bool {
	var r *recovered
	return !errors.As(err, &r) && liteFatal(err)
}
