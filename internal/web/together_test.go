package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// countingListener counts the pieces that its connections send alone. Two that are
// sent in one call of the system go past it, by a method that net keeps to itself.
type countingListener struct {
	net.Listener
	alone *atomic.Int32
}

type countingConn struct {
	*net.TCPConn
	alone *atomic.Int32
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c.(*net.TCPConn), l.alone}, nil
}

func (c countingConn) Write(b []byte) (int, error) {
	c.alone.Add(1)
	return c.TCPConn.Write(b)
}

// Call w.ResponseWriter.Write in place of together and the long ones leave in two.
func TestALongAnswerLeavesAtOnce(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789abcdef"), 1<<13)
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("bytes"))
		if r.URL.Query().Has("sized") {
			Sized(w.Header(), n)
		}
		if m, err := w.Write(text[:n]); err != nil || m != n {
			t.Errorf("wrote %d of %d: %v", m, n, err)
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var alone atomic.Int32
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	server := NewServer(Front(Options{Now: time.Now}, site), nil, slog.New(slog.DiscardHandler))
	go func() { served <- server.Serve(ctx, countingListener{ln, &alone}) }()
	defer func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		method, query string
		bytes         int
		alone         int32 // pieces
	}{
		{"GET", "", 0, 1},
		{"GET", "", 2000, 1},
		{"GET", "&sized", 3000, 1},
		{"GET", "&sized", 3500, 1},
		{"GET", "&sized", 4000, 0},
		{"GET", "&sized", 4096, 0},
		{"GET", "&sized", 5000, 0},
		{"GET", "&sized", 8000, 0},
		{"GET", "&sized", 10000, 0},
		{"GET", "&sized", 1 << 17, 0},
		{"HEAD", "&sized", 10000, 1},
		{"HEAD", "", 10000, 1},
		// Without a length more may come: the end goes with the last chunk.
		{"GET", "", 5000, 1},
		{"GET", "", 10000, 1},
	} {
		t.Run(fmt.Sprintf("%s %d%s", c.method, c.bytes, c.query), func(t *testing.T) {
			alone.Store(0)
			req, err := http.NewRequestWithContext(t.Context(), c.method, fmt.Sprintf("http://%s/?bytes=%d%s", ln.Addr(), c.bytes, c.query), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			want := text[:c.bytes]
			if c.method == "HEAD" {
				want = nil
			}
			if !bytes.Equal(body, want) {
				t.Errorf("%d bytes came, not the %d that were written", len(body), len(want))
			}
			if n := alone.Load(); n != c.alone {
				t.Errorf("%d pieces were sent alone, not %d", n, c.alone)
			}
		})
	}
}

// What a client did not take in time leaves a hole, also where net/http believes it
// sent: nothing may follow it, whatever a handler does then.
func TestNothingFollowsAHeldPieceThatWasLost(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.Flush(); err != nil {
			t.Error(err)
		}
		_ = rc.SetWriteDeadline(past)
		if _, err := w.Write(make([]byte, pieceSize+4)); err == nil {
			t.Error("what was held was sent too late")
		}
		_ = rc.SetWriteDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(w, "goodbye")
		if rc.Flush() == nil {
			t.Error("something follows a hole")
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	server := NewServer(Front(Options{Now: time.Now}, site), nil, slog.New(slog.DiscardHandler))
	go func() { served <- server.Serve(ctx, ln) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	resp, err := http.Get("http://" + ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil || len(body) > 0 {
		t.Errorf("%d bytes came: %v", len(body), err)
	}
}

// A client that goes away meanwhile is an error of the writer, and the connection
// holds nothing afterwards.
func TestALongAnswerToNobody(t *testing.T) {
	_, c, peer := watched(t)
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
	h := &held{}
	c.held = h
	if n, err := c.Write([]byte("first")); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	var err error
	for range 100 { // the reset may take a moment
		var n int
		if n, err = c.Write(make([]byte, 1<<20)); err != nil {
			if n >= 1<<20 {
				t.Errorf("%d bytes were written to nobody", n)
			}
			break
		}
	}
	if err == nil {
		t.Error("no error")
	}
	if len(h.first) != 0 {
		t.Error("something is still held")
	}
}
