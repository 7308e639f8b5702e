package web

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// watched is a watched connection and its peer.
func watched(t *testing.T) (*watchedListener, *watchedConn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := watchDeadlines(ln).(*watchedListener)
	t.Cleanup(func() { l.Close() })
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return l, c.(*watchedConn), peer
}

func TestADeadlineEndsAReadAndAWrite(t *testing.T) {
	_, c, _ := watched(t)
	if err := c.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	for {
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("write: %v", err)
			}
			break
		}
	}
}

// net/http takes a pending read back with a deadline long past, and must not
// wait for the sweep.
func TestADeadlineLongPastEndsAPendingReadAtOnce(t *testing.T) {
	l, c, peer := watched(t)
	l.mu.Lock() // no sweep
	ended := make(chan error)
	go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(peer, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("after the deadline was lifted: %v", err)
	}
	l.mu.Unlock()
}

// A read that begins after it was taken back ends at once too, takes nothing out of
// the connection, and costs it nothing. Let enter return true to see it fail.
func TestAReadTakenBackBeforeItBegan(t *testing.T) {
	_, c, peer := watched(t)
	if _, err := io.WriteString(peer, "x"); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v", n, err)
	}
	if c.read.cut.Load() {
		t.Error("the connection beneath was given a deadline")
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("after the deadline was lifted: %d, %v", n, err)
	}
}

// The sweep may find a deadline over just before it is moved: neither a read
// nor the rest of a write may be lost to that. Take revive out of Read and
// Write and this fails.
func TestADeadlineMovedInTimeLosesNothing(t *testing.T) {
	_, c, peer := watched(t)
	if err := c.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	late := func(d *deadline) { // what a sweep does that read the old deadline
		d.mu.Lock()
		defer d.mu.Unlock()
		d.cut.Store(true)
		_ = d.end(past)
	}
	read := make(chan error)
	go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
	late(&c.read)
	if _, err := io.WriteString(peer, "x"); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Errorf("read: %v", err)
	}

	const size = 32 << 20
	wrote := make(chan error)
	go func() { _, err := c.Write(make([]byte, size)); wrote <- err }()
	late(&c.write)
	if n, err := io.CopyN(io.Discard, peer, size/2); err != nil {
		t.Fatal(n, err)
	}
	late(&c.write)
	if n, err := io.CopyN(io.Discard, peer, size/2); err != nil {
		t.Fatal(n, err)
	}
	if err := <-wrote; err != nil {
		t.Errorf("write: %v", err)
	}
}

func TestTheSweepEndsAndForgets(t *testing.T) {
	l, c, _ := watched(t)
	if n := l.look(time.Now()); n != 1 {
		t.Errorf("%d connections are watched", n)
	}
	c.Close()
	if n := l.look(time.Now()); n != 0 {
		t.Errorf("%d connections are watched after the last was closed", n)
	}
}
