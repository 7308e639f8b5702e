package web

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// counted counts what is written to its connections, call by call.
type counted struct {
	net.Listener
	writes *atomic.Int64
}

type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l.writes}, err
}

func (c countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// An answer that is larger than the buffer of net/http leaves in one piece, and
// whole: with and without a length, and when the connection is closed after it. One that is flushed
// does not wait. Remove the call of gather from response.Write to see it fail.
func TestAnswersLeaveInOnePiece(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 500)
	goOn := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", strconv.Itoa(len(large)))
		case "/close":
			w.Header().Set("Connection", "close")
		case "/huge":
			for range 40 {
				_, _ = w.Write(large)
			}
		case "/flushed":
			_, _ = w.Write(large)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-goOn
		}
		_, _ = w.Write(large)
	})
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var writes atomic.Int64
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	s := NewServer(Front(Options{Now: time.Now}, handler), nil, slog.New(slog.DiscardHandler))
	go func() { served <- s.Serve(ctx, counted{inner, &writes}) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for _, c := range []struct {
		path        string
		bodies, max int
	}{{"/length", 1, 1}, {"/none", 1, 1}, {"/length", 1, 1}, {"/close", 1, 1}, {"/huge", 41, 41}, {"/none", 1, 1}} {
		before := writes.Load()
		res, err := transport.RoundTrip(requestFor(t, inner, c.path))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Equal(got, bytes.Repeat(large, c.bodies)) {
			t.Errorf("%s: %d bytes, %v", c.path, len(got), err)
		}
		if n := writes.Load() - before; n > int64(c.max) {
			t.Errorf("%s left in %d pieces", c.path, n)
		}
	}
	res, err := transport.RoundTrip(requestFor(t, inner, "/flushed"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, len(large))); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if rest, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(rest, large) {
		t.Errorf("after the flush: %d bytes, %v", len(rest), err)
	}
}

func requestFor(t *testing.T, ln net.Listener, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+ln.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
