package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// lite is one file, one writing connection and a few reading ones. The file
// belongs to this process alone.
type lite struct {
	db      *DB
	lock    *os.File
	pools   []*sql.DB
	readers chan *liteConn
	queue   chan *liteCall
	done    chan struct{}
	fatal   chan error
	broken  error // set by the writer's goroutine: nothing more is committed
	closing sync.Once
	stop    chan struct{}
}

const (
	litePragmas   = "?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=temp_store(memory)&_pragma=cache_size(-4000)"
	liteMinimum   = "3.51.3" // before it, a WAL reset could corrupt the file
	defaultReader = 4
)

func openSQLite(ctx context.Context, d *DB, o Options) (engine, error) {
	if dir := filepath.Dir(o.URL); dir != "." {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of the database: %w", err)
		}
	}
	if err := privateFile(o.URL); err != nil {
		return nil, err
	}
	lock, err := lockFile(o.URL)
	if err != nil {
		return nil, err
	}
	n := o.MaxConns
	if n <= 0 {
		n = defaultReader
	}
	l := &lite{db: d, lock: lock, readers: make(chan *liteConn, n), queue: make(chan *liteCall, 1024),
		done: make(chan struct{}), fatal: make(chan error, 1), stop: make(chan struct{})}
	writer, err := l.connect(ctx, o.URL)
	if err != nil {
		l.release()
		return nil, fmt.Errorf("open %s: %w", o.URL, err)
	}
	for range n {
		r, err := l.connect(ctx, o.URL)
		if err != nil {
			l.release()
			return nil, fmt.Errorf("open %s: %w", o.URL, err)
		}
		l.readers <- r
	}
	if err := l.safe(ctx, writer); err != nil {
		l.release()
		return nil, err
	}
	go l.write(writer)
	return l, nil
}

// privateFile makes the file with mode 0600 and refuses one that others may read.
func privateFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%w (is another cardea running as a different user?)", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Mode().Perm()&0o077 != 0 && !anyMode {
		return fmt.Errorf("%s has mode %04o, so others can read it: chmod 600 %s", path, st.Mode().Perm(), path)
	}
	return nil
}

// connect opens one connection with a statement cache of its own. Each has its
// own pool of one, so that database/sql never hands it to anyone else.
func (l *lite) connect(ctx context.Context, path string) (*liteConn, error) {
	pool, err := sql.Open("sqlite", "file:"+(strings.NewReplacer("?", "%3f", "#", "%23", "%", "%25")).Replace(path)+litePragmas)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	l.pools = append(l.pools, pool)
	c, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &liteConn{sql: c, stmts: map[string]*sql.Stmt{}, sent: l.db.sent}, nil
}

// safe refuses a library or a file that cannot keep what a commit promises.
func (l *lite) safe(ctx context.Context, c *liteConn) error {
	var version, journal string
	var sync int
	if err := c.sql.QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&version); err != nil {
		return err
	}
	if err := c.sql.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&journal); err != nil {
		return err
	}
	if err := c.sql.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&sync); err != nil {
		return err
	}
	switch {
	case versionLess(version, liteMinimum):
		return fmt.Errorf("this build holds SQLite %s; at least %s is needed", version, liteMinimum)
	case journal != "wal":
		return fmt.Errorf("the file system does not allow a write-ahead log (journal mode %s): use a local disk", journal)
	case sync < 2:
		return fmt.Errorf("synchronous is %d, want 2 (full)", sync)
	}
	return nil
}

func versionLess(a, b string) bool {
	var x, y [3]int
	fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

func (l *lite) view(ctx context.Context, realm string, fn func(*Tx) error) error {
	c, giveBack, err := l.reader(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	return c.snapshot(ctx, func() error {
		return fn(&Tx{Realm: realm, Now: l.db.clock.local(), ctx: ctx, conn: c, kind: SQLite})
	})
}

// reader waits for a connection to read on.
func (l *lite) reader(ctx context.Context) (c *liteConn, giveBack func(), err error) {
	select {
	case c = <-l.readers:
		return c, func() { l.readers <- c }, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-l.stop:
		return nil, nil, errClosed
	}
}

// snapshot runs fn in a transaction that reads.
func (c *liteConn) snapshot(ctx context.Context, fn func() error) (err error) {
	// The driver reports the caller's end even where BEGIN took effect, so
	// neither it nor the ROLLBACK runs under the caller's context: a reader that
	// stayed inside a transaction would fail everyone after.
	whole := context.WithoutCancel(ctx)
	defer func() {
		if e := c.leave(whole); err == nil {
			err = e
		}
	}()
	if _, err := c.exec(whole, "BEGIN DEFERRED", nil); err != nil {
		return err
	}
	return fn()
}

// leave ends a reading transaction, whether or not it was begun.
func (c *liteConn) leave(ctx context.Context) error {
	_, err := c.exec(ctx, "ROLLBACK", nil)
	if err != nil && strings.Contains(err.Error(), "no transaction is active") {
		return nil
	}
	return err
}

func (l *lite) check(ctx context.Context) error {
	return l.view(ctx, "", func(tx *Tx) error {
		_, err := One(tx, Scalar[int], `SELECT 1`)
		return err
	})
}

// notify on SQLite has no one to tell but this process.
func (l *lite) notify(payload string) { l.db.wakers.wake(payload) }

func (l *lite) failed() <-chan error { return l.fatal }

func (l *lite) close() {
	l.closing.Do(func() {
		close(l.stop)
		<-l.done
		l.release()
	})
}

func (l *lite) release() {
	for _, p := range l.pools {
		p.Close()
	}
	l.lock.Close()
}

var errClosed = errors.New("db: closed")

// liteConn is a connection that keeps its prepared statements.
type liteConn struct {
	sql   *sql.Conn
	stmts map[string]*sql.Stmt
	sent  func(ctx context.Context, texts ...string)
}

// maxStatements bounds the cache; only texts built at run time can reach it.
const maxStatements = 512

func (c *liteConn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if c.sent != nil {
		c.sent(ctx, query)
	}
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	if len(c.stmts) >= maxStatements {
		for q, s := range c.stmts {
			s.Close()
			delete(c.stmts, q)
		}
	}
	s, err := c.sql.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

func (c *liteConn) exec(ctx context.Context, query string, args []any) (int64, error) {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c *liteConn) query(ctx context.Context, query string, args []any) (rows, error) {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	rs, err := s.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	return liteRows{rs}, nil
}

type liteRows struct{ *sql.Rows }

func (r liteRows) Close() { _ = r.Rows.Close() } // its error is in Err
