package db

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

// Tx is one transaction in one realm. Now is fixed when it begins, so
// everything written in it carries the same instant of the database's clock.
type Tx struct {
	Realm string    // "" in System
	Now   time.Time // UTC, whole milliseconds

	ctx     context.Context
	conn    conn
	kind    Engine
	fresh   bool
	entries []any
	wakes   []string
}

// conn is a connection inside a transaction.
type conn interface {
	exec(ctx context.Context, query string, args []any) (int64, error)
	query(ctx context.Context, query string, args []any) (rows, error)
	// ask queues a statement, settle sends the queue, and asking reports
	// whether there is one, which query must not be called with.
	ask(ctx context.Context, query string, args []any, read func(rows) error) *asked
	settle(ctx context.Context)
	asking() bool
}

// rows is what pgx.Rows and sql.Rows have in common, wrapped.
type rows interface {
	Row
	Next() bool
	Err() error
	Close()
}

// Context is the context the transaction runs under.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Engine says what runs underneath, for the few queries whose plan must differ.
func (tx *Tx) Engine() Engine { return tx.kind }

// ForEach goes behind FROM … CROSS JOIN, at the end of a SELECT's conditions: for each
// row on its left, what a condition finds in a table, "name alias", by an index. In
// this order only: of tables that nobody has looked at yet PostgreSQL takes reading
// all there is for as cheap as looking one row up. SQLite keeps to the order of a
// CROSS JOIN; PostgreSQL to that of what it cannot merge, as what has an OFFSET. For
// that, too, an EXISTS in a condition ends in LIMIT 1 OFFSET 0.
func (tx *Tx) ForEach(table, columns, condition string) string {
	if tx.kind == SQLite {
		return table + " WHERE " + condition
	}
	_, alias, _ := strings.Cut(table, " ")
	return "LATERAL (SELECT " + columns + " FROM " + table + " WHERE " + condition + " OFFSET 0) " + alias
}

// ReadCommitted reports whether each statement sees what was committed before
// it began, so that what is read under a lock is as new as the lock. On SQLite,
// with its one writer, that is always so.
func (tx *Tx) ReadCommitted() bool { return tx.kind == SQLite || tx.fresh }

// Journal notes an entry for the journal; it is written when fn has returned.
func (tx *Tx) Journal(entry any) { tx.entries = append(tx.entries, entry) }

// Wake has something announced to all nodes when the transaction has committed.
// See [DB.Wake].
func (tx *Tx) Wake(payload string) { tx.wakes = append(tx.wakes, payload) }

// Exec runs a statement and reports how many rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	return tx.conn.exec(tx.ctx, query, args)
}

// Row is what a scan function reads from.
type Row interface{ Scan(dest ...any) error }

// One reads the single row of a query, or returns fault.NotFound.
func One[T any](tx *Tx, scan func(Row) (T, error), query string, args ...any) (T, error) {
	if tx.conn.asking() {
		return Ask(tx, scan, query, args...).One()
	}
	rs, err := tx.conn.query(tx.ctx, query, args)
	if err != nil {
		var zero T
		return zero, err
	}
	defer rs.Close()
	return only(rs, scan)
}

// only reads the first row and closes.
func only[T any](rs rows, scan func(Row) (T, error)) (T, error) {
	var zero T
	if !rs.Next() {
		if err := rs.Err(); err != nil {
			return zero, err
		}
		return zero, fault.New(fault.NotFound, "not_found", "no such record")
	}
	v, err := scan(rs)
	if err != nil {
		return zero, err
	}
	rs.Close()
	return v, rs.Err()
}

// All reads every row of a query.
func All[T any](tx *Tx, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	if tx.conn.asking() {
		return AskAll(tx, scan, query, args...)()
	}
	rs, err := tx.conn.query(tx.ctx, query, args)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	return every(rs, scan)
}

func every[T any](rs rows, scan func(Row) (T, error)) ([]T, error) {
	var all []T
	for rs.Next() {
		v, err := scan(rs)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rs.Err()
}

// Scalar scans a row of one column, such as a count.
func Scalar[T any](r Row) (v T, err error) { return v, r.Scan(&v) }

// Missing reports whether err is the NotFound of [One].
func Missing(err error) bool { return fault.Is(err, fault.NotFound) }

// recovered carries a panic of fn from the goroutine it ran on to the caller's.
type recovered struct{ value any }

func (r *recovered) Error() string { return "panic in a transaction" }

func repanic(err error) error {
	var r *recovered
	if errors.As(err, &r) {
		panic(r.value)
	}
	return err
}
