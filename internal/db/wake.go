package db

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// wakers are told when something was announced, by this node or another.
type wakers struct {
	mu  sync.RWMutex
	fns []func(payload string)
}

func (w *wakers) wake(payload string) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, fn := range w.fns {
		fn(payload)
	}
}

// OnWake registers fn to be called when any node announces something. It must
// not block. News may be lost: whoever listens also polls.
func (d *DB) OnWake(fn func(payload string)) {
	d.wakers.mu.Lock()
	defer d.wakers.mu.Unlock()
	d.wakers.fns = append(d.wakers.fns, fn)
}

// Wake announces to all nodes, this one included, soon and outside of any
// transaction: NOTIFY inside transactions takes a lock that all commits share.
// Equal announcements in quick succession are told once.
func (d *DB) Wake(payload string) { d.engine.notify(payload) }

// channel is the one LISTEN channel.
const channel = "cardea"

// listenSilence is how long nothing may be heard before asking whether the
// connection still stands.
const listenSilence = 5 * time.Second

// listener holds one connection that listens and one that notifies.
type listener struct {
	db      *DB
	config  *pgx.ConnConfig
	mu      sync.Mutex
	pending map[string]bool
	poke    chan struct{}
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

func startListener(d *DB, config *pgx.ConnConfig) *listener {
	ctx, cancel := context.WithCancel(context.Background())
	l := &listener{db: d, config: config, pending: map[string]bool{}, poke: make(chan struct{}, 1), cancel: cancel}
	l.wg.Go(func() { l.forever(ctx, l.hear) })
	l.wg.Go(func() { l.forever(ctx, l.speak) })
	return l
}

func (l *listener) close() {
	l.cancel()
	l.wg.Wait()
}

func (l *listener) tell(payload string) {
	l.db.wakers.wake(payload) // this node need not wait for the round trip
	l.mu.Lock()
	l.pending[payload] = true
	l.mu.Unlock()
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// forever connects, runs fn, and begins anew when the connection breaks.
func (l *listener) forever(ctx context.Context, fn func(context.Context, *pgx.Conn) error) {
	for ctx.Err() == nil {
		c, err := pgx.ConnectConfig(ctx, l.config)
		if err == nil {
			err = fn(ctx, c)
			c.Close(context.WithoutCancel(ctx))
		}
		if ctx.Err() != nil {
			return
		}
		l.db.log.Warn("the listening connection broke; polling until it is back", "err", err)
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (l *listener) hear(ctx context.Context, c *pgx.Conn) error {
	if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	l.db.wakers.wake("") // whatever was announced meanwhile was missed
	for {
		n, err := l.next(ctx, c)
		if err != nil {
			return err
		}
		if n != nil {
			l.db.wakers.wake(n.Payload)
		}
	}
}

// next waits for a notification. After a long silence it asks whether anybody
// is still there, and returns nil if so: a dead connection does not say it is.
func (l *listener) next(ctx context.Context, c *pgx.Conn) (*pgconn.Notification, error) {
	patience, cancel := context.WithTimeout(ctx, listenSilence)
	defer cancel()
	n, err := c.WaitForNotification(patience)
	if err == nil || ctx.Err() != nil || patience.Err() == nil {
		return n, err
	}
	ping, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	return nil, c.Ping(ping)
}

func (l *listener) speak(ctx context.Context, c *pgx.Conn) error {
	for {
		select {
		case <-l.poke:
		case <-ctx.Done():
			return nil
		}
		l.mu.Lock()
		told := l.pending
		l.pending = map[string]bool{}
		l.mu.Unlock()
		for payload := range told {
			if err := l.announce(ctx, c, payload); err != nil {
				return err
			}
		}
	}
}

func (l *listener) announce(ctx context.Context, c *pgx.Conn, payload string) error {
	ctx, cancel := context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	_, err := c.Exec(ctx, `SELECT pg_notify($1, $2)`, channel, payload)
	return err
}
