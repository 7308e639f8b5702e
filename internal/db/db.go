// Package db opens SQLite or PostgreSQL and runs transactions. Every package
// that owns tables keeps its queries in its own store files and reaches the
// database only through a [Tx].
//
// A transaction belongs to one realm. What a transaction journals (package
// audit journals events) is written before it commits, and announced, and where
// need be waited for, before Update returns.
package db

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

// Engine names the database that runs underneath.
type Engine int

// The engines.
const (
	SQLite Engine = iota
	Postgres
)

func (e Engine) String() string {
	if e == Postgres {
		return "postgres"
	}
	return "sqlite"
}

// Options say which database to open and how.
type Options struct {
	// URL is postgres://… or the path of a SQLite file.
	URL string
	// DirectURL reaches PostgreSQL without a pooler, for LISTEN. Empty: the
	// address in URL is tried, and polling is the backstop.
	DirectURL string
	// MaxConns bounds the pool of PostgreSQL connections, or of SQLite readers.
	// Zero: 20 and 4.
	MaxConns int
	// Now replaces the database's clock in tests.
	Now func() time.Time
	// Log receives what operators should know. Nil: the default logger.
	Log *slog.Logger
	// Sent is told what a caller's context has sent to the database, by tests that
	// count: the texts of a round trip to PostgreSQL, or one statement of SQLite.
	Sent func(ctx context.Context, texts ...string)
}

// Journal receives what transactions note down with [Tx.Journal].
type Journal interface {
	// Noted runs in the transaction, when its function has returned, with what
	// that has journalled. What it writes commits with it, or not at all.
	Noted(tx *Tx, entries []any) error
	// Flush writes the entries, as the transaction's last statements. On SQLite
	// they may be those of several callers whose changes are committed together.
	Flush(tx *Tx, entries []any) error
	// Committed runs after the commit on the caller's goroutine. An error means
	// that the change is durable but not yet known to hold everywhere.
	Committed(ctx context.Context, realm string, entries []any) error
}

// DB is an open database.
type DB struct {
	engine  engine
	kind    Engine
	clock   *clock
	journal Journal
	log     *slog.Logger
	sent    func(ctx context.Context, texts ...string)
	wakers  wakers
}

// engine is what SQLite and PostgreSQL each do in their own way.
type engine interface {
	update(ctx context.Context, mode mode, realm string, fn func(*Tx) error) error
	view(ctx context.Context, realm string, fn func(*Tx) error) error
	glance(ctx context.Context, realm string, fn func(*Tx) error) error
	notify(payload string)
	check(ctx context.Context) error
	failed() <-chan error
	close()
}

// mode is how much isolation a writing transaction asks for.
type mode int

const (
	serializable mode = iota
	readCommitted
	migrating // readCommitted, with the time for a large table
	hot
	hotSerializable
)

// Open connects. It does not migrate; see [DB.Migrate].
func Open(ctx context.Context, o Options) (*DB, error) {
	d := &DB{clock: newClock(o.Now), log: o.Log, sent: o.Sent}
	if d.log == nil {
		d.log = slog.Default()
	}
	var err error
	if strings.HasPrefix(o.URL, "postgres://") || strings.HasPrefix(o.URL, "postgresql://") {
		d.kind = Postgres
		d.engine, err = openPostgres(ctx, d, o)
	} else {
		d.engine, err = openSQLite(ctx, d, o)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Close waits for running transactions and closes the database.
func (d *DB) Close() { d.engine.close() }

// Engine says what runs underneath.
func (d *DB) Engine() Engine { return d.kind }

// SetJournal sets where transactions note what they change. Call it once,
// before the first Update.
func (d *DB) SetJournal(j Journal) { d.journal = j }

// Now is the database's time as well as it is known without asking: the time
// read by the last transaction plus what has elapsed since. It never goes
// backwards. Inside a transaction use Tx.Now.
func (d *DB) Now() time.Time { return d.clock.now() }

// Check asks the database for a sign of life.
func (d *DB) Check(ctx context.Context) error { return d.engine.check(ctx) }

// Failed delivers an error after which the process must end, because the
// database can no longer promise that a commit is durable.
func (d *DB) Failed() <-chan error { return d.engine.failed() }

// Update runs fn in a serializable transaction of one realm and commits if fn
// returns nil. After a conflict fn runs again, so it must have no effect but on
// tx and on variables it sets anew. On SQLite there is one writer: fn must not
// open another transaction, nor wait for anything.
func (d *DB) Update(ctx context.Context, realm string, fn func(*Tx) error) error {
	return d.run(ctx, serializable, realm, fn)
}

// UpdateRC is Update at READ COMMITTED on PostgreSQL: for hot paths whose
// guarantee is carried by single conditional statements or unique constraints.
func (d *DB) UpdateRC(ctx context.Context, realm string, fn func(*Tx) error) error {
	return d.run(ctx, readCommitted, realm, fn)
}

// UpdateHot is UpdateRC without the round trip that begins the transaction and
// reads the clock: Tx.Now is what Now tells, as long as the database's clock was
// read within the last second. It never lies ahead, but may lie a round trip
// behind that of a transaction that another node has committed. So it is for
// transactions in which no instant of another one matters to that precision.
func (d *DB) UpdateHot(ctx context.Context, realm string, fn func(*Tx) error) error {
	return d.run(ctx, hot, realm, fn)
}

// UpdateHotSerializable is Update without that round trip, in the same way.
func (d *DB) UpdateHotSerializable(ctx context.Context, realm string, fn func(*Tx) error) error {
	return d.run(ctx, hotSerializable, realm, fn)
}

// View runs fn in a transaction of one realm that only reads one snapshot.
func (d *DB) View(ctx context.Context, realm string, fn func(*Tx) error) error {
	return outcome(d.engine.view(ctx, realm, fn))
}

// Glance is View in a single round trip, with the time that UpdateHot takes: fn
// asks everything with [Ask] and [AskAll] before it looks at the first answer.
// What it asks after that fails. fn may run again. There is no transaction, so a
// commit may fall between two questions: what must fit together is one question.
func (d *DB) Glance(ctx context.Context, realm string, fn func(*Tx) error) error {
	return outcome(d.engine.glance(ctx, realm, fn))
}

// System is Update across realms. The architecture test lists who may call it.
func (d *DB) System(ctx context.Context, fn func(*Tx) error) error {
	return d.run(ctx, serializable, "", fn)
}

// SystemRC is System at READ COMMITTED on PostgreSQL.
func (d *DB) SystemRC(ctx context.Context, fn func(*Tx) error) error {
	return d.run(ctx, readCommitted, "", fn)
}

// SystemView is View across realms.
func (d *DB) SystemView(ctx context.Context, fn func(*Tx) error) error {
	return outcome(d.engine.view(ctx, "", fn))
}

func (d *DB) run(ctx context.Context, m mode, realm string, fn func(*Tx) error) error {
	var entries []any
	var wakes []string
	err := d.engine.update(ctx, m, realm, func(tx *Tx) error {
		entries, wakes = nil, nil
		if err := fn(tx); err != nil {
			return err
		}
		if d.journal != nil && len(tx.entries) > 0 {
			if err := d.journal.Noted(tx, tx.entries); err != nil {
				return err
			}
		}
		wakes = tx.wakes
		if d.journal == nil {
			return nil
		}
		entries = tx.entries
		if len(entries) == 0 || d.kind == SQLite {
			return nil // SQLite's writer flushes once for a whole group
		}
		return d.journal.Flush(tx, entries)
	})
	if err != nil {
		return outcome(err)
	}
	for _, payload := range wakes {
		d.Wake(payload)
	}
	if len(entries) > 0 {
		return d.journal.Committed(ctx, realm, entries)
	}
	return nil
}

// outcome turns the database being away into a failure that callers may be
// told: 503, try again. Anything else stays as it is.
func outcome(err error) error {
	var f *fault.Error
	if err == nil || errors.As(err, &f) || !away(err) {
		return err
	}
	return &unavailable{
		fault: fault.New(fault.Unavailable, "database_unavailable", "the database does not answer; try again").WithRetry(time.Second),
		cause: err,
	}
}

// unavailable is fit for the caller and keeps its cause for the log.
type unavailable struct {
	fault *fault.Error
	cause error
}

func (u *unavailable) Error() string   { return u.fault.Code + ": " + u.cause.Error() }
func (u *unavailable) Unwrap() []error { return []error{u.fault, u.cause} }
