package dbtest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// A Link is the network between a node and its PostgreSQL, to be taken away
// and given back.
type Link struct {
	ln     net.Listener
	server string

	mu    sync.Mutex
	state LinkState
	pipes map[*pipe]bool
}

// LinkState says what becomes of what is sent.
type LinkState int

// The states of a link.
const (
	Whole LinkState = iota
	Cut             // connections are reset, new ones too
	Hole            // connections stand, new ones are accepted, and nobody ever answers
	Deaf            // open connections go on, new ones are accepted, and nobody answers those
)

// A pipe is one connection through the link. What was in a hole stays there.
type pipe struct {
	near, far net.Conn
	mu        sync.Mutex
	swallows  bool
}

// NewLink puts a link before the PostgreSQL server of a database address, and
// gives the address that leads through it.
func NewLink(t testing.TB, address string) (*Link, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{ln: ln, server: u.Host, pipes: map[*pipe]bool{}}
	go l.accept()
	t.Cleanup(func() { ln.Close(); l.Set(Cut) })
	u.Host = ln.Addr().String()
	return l, u.String()
}

// Set changes the network, for the connections that are open too.
func (l *Link) Set(s LinkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = s
	for p := range l.pipes {
		switch s {
		case Cut:
			p.close()
		case Hole:
			p.swallow()
		}
	}
}

func (l *Link) accept() {
	for {
		near, err := l.ln.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		switch l.state {
		case Cut:
			near.Close()
		case Hole, Deaf:
			p := &pipe{near: near, swallows: true}
			l.pipes[p] = true
			go l.copy(p, near, nil)
		case Whole:
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

func (l *Link) copy(p *pipe, from, to net.Conn) {
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
