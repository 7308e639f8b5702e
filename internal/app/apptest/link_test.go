package apptest

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// A link is the network between a node and its PostgreSQL, to be taken away
// and given back.
type link struct {
	ln     net.Listener
	server string

	mu    sync.Mutex
	state linkState
	pipes map[*pipe]bool
}

type linkState int

const (
	whole linkState = iota
	cut             // connections are reset, new ones too
	hole            // connections stand, new ones are accepted, and nobody ever answers
)

// A pipe is one connection through the link. What was in a hole stays there.
type pipe struct {
	near, far net.Conn
	mu        sync.Mutex
	swallows  bool
}

// newLink puts a link before the PostgreSQL server of a database address, and
// gives the address that leads through it.
func newLink(t testing.TB, address string) (*link, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{ln: ln, server: u.Host, pipes: map[*pipe]bool{}}
	go l.accept()
	t.Cleanup(func() { ln.Close(); l.set(cut) })
	u.Host = ln.Addr().String()
	return l, u.String()
}

// startBehind starts a program whose PostgreSQL is behind a link.
func startBehind(t testing.TB) (*Env, *link) {
	t.Helper()
	l, address := newLink(t, dbtest.URL(t, db.Postgres))
	e := &Env{Clock: dbtest.NewClock(), url: address, key: bytes.Repeat([]byte{7}, 32), Outside: newOutside(t), more: map[string]string{"CARDEA_RATES_ADMIN_WRITE": "600000/1m"}}
	e.App = e.start(t)
	t.Cleanup(func() { l.set(whole) }) // so that the program can take its leave
	return e, l
}

func (l *link) set(s linkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = s
	for p := range l.pipes {
		switch s {
		case cut:
			p.close()
		case hole:
			p.swallow()
		}
	}
}

func (l *link) accept() {
	for {
		near, err := l.ln.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		switch l.state {
		case cut:
			near.Close()
		case hole:
			p := &pipe{near: near, swallows: true}
			l.pipes[p] = true
			go l.copy(p, near, nil)
		case whole:
			far, err := net.Dial("tcp", l.server)
			if err != nil {
				near.Close()
				break
			}
			p := &pipe{near: near, far: far}
			l.pipes[p] = true
			go l.copy(p, near, far)
			go l.copy(p, far, near)
		}
		l.mu.Unlock()
	}
}

func (l *link) copy(p *pipe, from, to net.Conn) {
	defer func() {
		if p.gone() {
			from.Close() // the other end never hears of it
			return
		}
		p.close()
		l.mu.Lock()
		delete(l.pipes, p)
		l.mu.Unlock()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if p.gone() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil && err != io.EOF {
			return
		}
	}
}

func (p *pipe) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.swallows
}

func (p *pipe) swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swallows = true
}

func (p *pipe) close() {
	p.near.Close()
	if p.far != nil {
		p.far.Close()
	}
}
