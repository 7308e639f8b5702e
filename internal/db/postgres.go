package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cardea-id/cardea/internal/fault"
)

// postgres is a pool of connections, and one that listens.
type postgres struct {
	db     *DB
	pool   *pgxpool.Pool
	size   int32  // most connections in it
	clock  string // what reads the clock as a transaction begins
	canary *canary
	listen *listener
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

const (
	pgMinimum      = 150000
	startTimeout   = 10 * time.Second // a start has the patience that a request has not
	acquireTimeout = 1500 * time.Millisecond
	txTimeout      = 10 * time.Second
	migrateTimeout = time.Hour
	viewTimeout    = 2 * time.Second // a server that went silent must not hold a reader
	maxAttempts    = 24
)

var errCommit = errors.New("db: the connection broke during a commit, so its outcome is unknown")

func openPostgres(ctx context.Context, d *DB, o Options) (engine, error) {
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("database address: %w", err)
	}
	cfg.MaxConns = 20
	if o.MaxConns > 0 {
		cfg.MaxConns = int32(o.MaxConns)
	}
	cfg.ConnConfig.ConnectTimeout = acquireTimeout
	cfg.ConnConfig.RuntimeParams["application_name"] = "cardea"
	clock := readClock
	if o.DirectURL == "" {
		cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = idleLimit
		for name, value := range planning {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	} else {
		clock = readClockPooled
	}
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.HealthCheckPeriod = time.Minute
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // see open
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	p := &postgres{db: d, pool: pool, size: cfg.MaxConns, clock: clock, canary: &canary{config: cfg.ConnConfig.Copy(), pooled: o.DirectURL != ""}}
	if err := p.safe(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	direct := cfg.ConnConfig.Copy()
	if o.DirectURL != "" {
		if direct, err = pgx.ParseConfig(o.DirectURL); err != nil {
			pool.Close()
			return nil, fmt.Errorf("direct database address: %w", err)
		}
		direct.ConnectTimeout = acquireTimeout
	}
	p.listen = startListener(d, direct)
	studying, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel = cancel
	p.wg.Go(func() { p.studyForever(studying) })
	return p, nil
}

// safe refuses a server that cannot keep what a commit promises, and takes the
// time from one that can.
func (p *postgres) safe(ctx context.Context) error {
	var version int
	var fsync, commit, recovering string
	var now time.Time
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	const ask = `SELECT current_setting('server_version_num')::int, current_setting('fsync'), current_setting('synchronous_commit'), pg_is_in_recovery()::text, clock_timestamp()`
	var err error
	for again := true; again; again = pgconn.Timeout(err) && ctx.Err() == nil {
		err = p.pool.QueryRow(ctx, ask).Scan(&version, &fsync, &commit, &recovering, &now)
	}
	switch {
	case err != nil:
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	case version < pgMinimum:
		return fmt.Errorf("PostgreSQL %d is too old: at least 15 is needed", version/10000)
	case fsync != "on":
		return errors.New("PostgreSQL runs with fsync off: what it confirms can be lost; set fsync = on")
	case commit == "off":
		return errors.New("PostgreSQL runs with synchronous_commit off: what it confirms can be lost; set synchronous_commit = on")
	case recovering == "true":
		return errors.New("this PostgreSQL server is a standby: give the address of the primary (target_session_attrs=read-write with several hosts)")
	}
	p.db.clock.begin(now)
	return nil
}

// A node that loses its network leaves its transactions behind, and PostgreSQL
// keeps their locks for as long as TCP takes to notice, which is hours. Nothing
// here waits for anything within a transaction, so one that idles is such a one.
// It is a setting of the connection, or behind a pooler, where connections
// change hands, of each transaction.
const (
	idleLimit          = "3000"
	beginSerializable  = `BEGIN ISOLATION LEVEL SERIALIZABLE`
	beginReadCommitted = `BEGIN ISOLATION LEVEL READ COMMITTED`
	beginReadOnly      = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`
	rollback           = `ROLLBACK`
	readClock          = `SELECT clock_timestamp()`
	readClockPooled    = `SELECT clock_timestamp() FROM set_config('idle_in_transaction_session_timeout', '` + idleLimit + `', TRUE)`
)

func (p *postgres) update(ctx context.Context, m mode, realm string, fn func(*Tx) error) error {
	limit, begin, patience := txTimeout, beginSerializable, 1
	switch m {
	case migrating: // what took long is not begun anew because a busy server was slow to greet
		limit, begin, patience = migrateTimeout, beginReadCommitted, 40
	case readCommitted, hot:
		begin = beginReadCommitted
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w, stop := p.watched(ctx, patience)
	defer stop()
	for attempt := 1; ; attempt++ {
		err := p.try(w, begin, realm, fn, m >= hot && attempt == 1, true)
		if errors.Is(err, errUnbegun) && attempt < maxAttempts {
			continue
		}
		if !conflict(err) || attempt == maxAttempts {
			return orSilent(w, repanic(err))
		}
		if err := pause(w, attempt); err != nil {
			return err
		}
	}
}

// pause waits a random while that grows with each conflict.
func pause(ctx context.Context, attempt int) error {
	limit := time.Millisecond << min(attempt, 6)
	t := time.NewTimer(rand.N(limit))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *postgres) view(ctx context.Context, realm string, fn func(*Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	w, stop := p.watched(ctx, 1)
	defer stop()
	return orSilent(w, repanic(p.try(w, beginReadOnly, realm, fn, false, false)))
}

// errUnbegun says that a connection turned out to be broken before anything was
// to be committed on it.
var errUnbegun = errors.New("db: the connection was broken")

// try runs fn once. A transaction that is put off begins with its first
// statement.
func (p *postgres) try(ctx *waiting, begin, realm string, fn func(*Tx) error, putOff, commit bool) error {
	c, conn, now, err := p.start(ctx, begin, putOff)
	if err != nil {
		return err
	}
	defer p.giveBack(ctx, c)
	tx := &Tx{Realm: realm, Now: now, ctx: ctx, conn: conn, kind: Postgres, fresh: begin == beginReadCommitted}
	err = guarded(fn, tx)
	if err != nil && putOff && c.Conn().IsClosed() && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", errUnbegun, err)
	}
	if err != nil || !commit {
		if c.Conn().PgConn().TxStatus() != idle {
			p.end(ctx, conn, rollback)
		}
		return err
	}
	tag, err := conn.commit(ctx)
	switch {
	case err == nil && tag == "COMMIT":
		return nil
	case err == nil:
		return fault.New(fault.Unavailable, "rolled_back", "the change was not made; try again")
	case c.Conn().IsClosed():
		return fmt.Errorf("%w: %w", errCommit, err)
	}
	if c.Conn().PgConn().TxStatus() != idle {
		p.end(ctx, conn, rollback)
	}
	return err
}

// idle is PostgreSQL's word for a connection outside of any transaction.
const idle = 'I'

// start begins a transaction, or puts that off where the database's time is
// known without asking.
func (p *postgres) start(ctx *waiting, begin string, putOff bool) (*pgxpool.Conn, *pgConn, time.Time, error) {
	now, known := p.db.clock.known()
	if !putOff || !known {
		c, now, err := p.open(ctx, begin)
		if err != nil {
			return nil, nil, now, err
		}
		return c, p.conn(c), now, nil
	}
	acquire, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	c, err := p.pool.Acquire(acquire)
	if err != nil {
		return nil, nil, now, err
	}
	ctx.hold(c)
	conn := p.conn(c)
	conn.ask(ctx, begin, nil, nil)
	return c, conn, now, nil
}

func (p *postgres) conn(c *pgxpool.Conn) *pgConn { return &pgConn{Conn: c.Conn(), sent: p.db.sent} }

// open begins a transaction. A connection that turns out to be broken is no
// failure while there are others: a server that restarted breaks them all.
func (p *postgres) open(ctx *waiting, begin string) (c *pgxpool.Conn, now time.Time, err error) {
	acquire, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	for range p.size + 1 {
		if c, err = p.pool.Acquire(acquire); err != nil {
			return nil, now, err
		}
		ctx.hold(c)
		if now, err = p.begin(ctx, p.conn(c), begin); err == nil {
			return c, now, nil
		}
		broken := c.Conn().IsClosed()
		p.giveBack(ctx, c)
		if !broken || ctx.Err() != nil {
			break
		}
	}
	return nil, now, err
}

// begin also reads the database's clock, in the same round trip.
func (p *postgres) begin(ctx context.Context, c *pgConn, begin string) (now time.Time, err error) {
	c.tell(ctx, begin, p.clock)
	batch := &pgx.Batch{}
	batch.Queue(begin)
	batch.Queue(p.clock)
	results := c.SendBatch(ctx, batch)
	if _, err = results.Exec(); err == nil {
		err = results.QueryRow().Scan(&now)
	}
	if err = errors.Join(err, results.Close()); err != nil {
		return time.Time{}, err
	}
	return p.db.clock.remote(now.UnixMilli()), nil
}

// end leaves a transaction whose outcome no longer matters.
func (p *postgres) end(ctx context.Context, c *pgConn, how string) {
	c.tell(ctx, how)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = c.Conn.Exec(ctx, how) // on failure the pool destroys the connection
}

func (p *postgres) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	return p.view(ctx, "", func(*Tx) error { return nil })
}

func (p *postgres) notify(payload string) { p.listen.tell(payload) }

func (p *postgres) failed() <-chan error { return nil }

func (p *postgres) close() {
	p.cancel()
	p.wg.Wait()
	p.listen.close()
	p.pool.Close()
}
