package web

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// net/http moves the deadlines of a connection some six times per request, and
// each move is a timer of the runtime taken out and put in. Here a deadline is
// a number, and one goroutine looks through all of them several times a second:
// they end up to deadlineTick late, and cost nothing while nobody is slow.

// deadlineTick is how late a deadline may be kept.
const deadlineTick = 250 * time.Millisecond

// past is an instant that every reader and writer has missed.
var past = time.Unix(1, 0)

// watchedListener accepts connections whose deadlines a sweep keeps.
type watchedListener struct {
	net.Listener
	mu    sync.Mutex
	conns map[*watchedConn]struct{}
	now   atomic.Int64 // when the last sweep was, in nanoseconds since 1970
	done  chan struct{}
	once  sync.Once
}

// watchDeadlines wraps a listener. Its sweep ends with the last connection
// after the listener is closed.
func watchDeadlines(ln net.Listener) net.Listener {
	l := &watchedListener{Listener: ln, conns: map[*watchedConn]struct{}{}, done: make(chan struct{})}
	go l.sweep()
	return l
}

func (l *watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := &watchedConn{Conn: c, of: l}
	w.read.end, w.write.end = c.SetReadDeadline, c.SetWriteDeadline
	w.read.now, w.write.now = &l.now, &l.now
	l.mu.Lock()
	l.conns[w] = struct{}{}
	l.mu.Unlock()
	return w, nil
}

func (l *watchedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

func (l *watchedListener) sweep() {
	tick := time.NewTicker(deadlineTick)
	defer tick.Stop()
	for done := l.done; ; {
		select {
		case now := <-tick.C:
			if l.look(now) == 0 && done == nil {
				return
			}
		case <-done:
			done = nil
		}
	}
}

// look ends what is overdue and reports how many connections there are.
func (l *watchedListener) look(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Store(now.UnixNano())
	for c := range l.conns {
		c.read.expire()
		c.write.expire()
	}
	return len(l.conns)
}

// watchedConn is a connection whose deadlines the sweep of its listener keeps.
type watchedConn struct {
	net.Conn
	of          *watchedListener
	read, write deadline
	held        *held // by the one who writes, while a long body is written; nil: nothing waits
}

// deadline is one direction's. The connection beneath has either none or one
// that is long past.
type deadline struct {
	at   atomic.Int64 // nanoseconds since 1970; 0: none
	busy atomic.Int32 // how many are on their way into the connection beneath, or wait in it
	cut  atomic.Bool  // the connection beneath has been given one in the past
	mu   sync.Mutex   // held while cut changes
	now  *atomic.Int64
	end  func(time.Time) error
}

// set notes a new deadline. One that is long past takes effect before set
// returns: it is how net/http takes a pending read back, after each request.
// Nearly always that read has not begun yet, and then it need not begin.
func (d *deadline) set(t time.Time) error {
	if !t.IsZero() && t.Unix() <= past.Unix() {
		d.at.Store(past.UnixNano())
		if d.busy.Load() == 0 {
			return nil // whoever comes now sees it in enter
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.cut.Store(true)
		return d.end(past)
	}
	var at int64
	if !t.IsZero() {
		at = t.UnixNano()
	}
	d.at.Store(at)
	if d.cut.Load() {
		d.revive()
	}
	return nil
}

// enter announces a read or write, and reports whether it may begin. leave is
// called in either case.
func (d *deadline) enter() bool {
	d.busy.Add(1) // before the look at the deadline, which set moves before it looks at busy
	return d.at.Load() != past.UnixNano()
}

func (d *deadline) leave() { d.busy.Add(-1) }

// expire ends what waits in this direction when the deadline is over.
func (d *deadline) expire() {
	if !d.over() || d.cut.Load() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over() {
		d.cut.Store(true)
		_ = d.end(past)
	}
}

// over reports whether the deadline is long past, or was when the last sweep
// came.
func (d *deadline) over() bool {
	at := d.at.Load()
	return at != 0 && (at <= past.UnixNano() || at <= d.now.Load())
}

// revive lets the direction be used again, unless the deadline is over, and
// reports whether it did. The sweep may have ended it a moment after a new
// deadline was set.
func (d *deadline) revive() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over() {
		return false
	}
	if !d.cut.Load() {
		return true
	}
	d.cut.Store(false)
	return d.end(time.Time{}) == nil
}

func (c *watchedConn) Read(b []byte) (int, error) {
	defer c.read.leave()
	if !c.read.enter() {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		n, err := c.Conn.Read(b)
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !c.read.revive() {
			return n, err
		}
	}
}

func (c *watchedConn) Write(b []byte) (int, error) {
	if c.held != nil {
		return c.held.write(c, b)
	}
	defer c.write.leave()
	if !c.write.enter() {
		return 0, os.ErrDeadlineExceeded
	}
	written := 0
	for {
		n, err := c.Conn.Write(b[written:])
		written += n
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !c.write.revive() {
			return written, err
		}
	}
}

// writeBoth is Write for what lies in two places, in one call of the system. It
// takes from pieces what was written.
func (c *watchedConn) writeBoth(pieces *net.Buffers) error {
	defer c.write.leave()
	if !c.write.enter() {
		return os.ErrDeadlineExceeded
	}
	for {
		_, err := pieces.WriteTo(c.Conn)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !c.write.revive() {
			return err
		}
	}
}

func (c *watchedConn) SetReadDeadline(t time.Time) error  { return c.read.set(t) }
func (c *watchedConn) SetWriteDeadline(t time.Time) error { return c.write.set(t) }

func (c *watchedConn) SetDeadline(t time.Time) error {
	return errors.Join(c.read.set(t), c.write.set(t))
}

func (c *watchedConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite ends our half, so that a client still reads the error that ends
// its connection (net/http asks for it by this name).
func (c *watchedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
