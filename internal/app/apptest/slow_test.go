package apptest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/web"
)

// SlowClients is the variable that says how many slow clients of each kind
// there are; make long sets it to what P-21 names.
const SlowClients = "CARDEA_TEST_SLOW"

// P-21: clients that send or read as slowly as they can hold up nobody, are cut
// off in time, and cost little.
func TestSlowClientsStarveNobody(t *testing.T) {
	many := 200
	if text := os.Getenv(SlowClients); text != "" {
		var err error
		if many, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && uint64(6*many+500) > files.Cur {
		many = int(files.Cur-500) / 6
		t.Logf("%d open files are allowed: %d clients of each kind", files.Cur, many)
	}
	w := settle(t, Start(t, db.SQLite))
	addr := serve(t, w)
	host := strings.TrimPrefix(Issuer, "https://")
	alone := normal(t, addr, 100)
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	page := fmt.Sprintf("GET /oauth2/jwks HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	kinds := []struct {
		name, sends string
		limit       time.Duration // 0: not waited for
	}{
		{"header", "GET /oauth2/jwks HTTP/1.1\r\nHost: " + host + "\r\nX-Slow: ", 5 * time.Second},
		{"body", "POST /oauth2/token HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ngrant_type=", 10 * time.Second},
		{"read", strings.Repeat(page, 40), 0}, // asks and asks, and never reads
	}
	var all sync.WaitGroup
	began := time.Now()
	for _, k := range kinds {
		for range many {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			if k.limit == 0 {
				_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
			}
			if _, err := io.WriteString(c, k.sends); err != nil {
				t.Fatal(err)
			}
			if k.limit > 0 {
				all.Go(func() { trickle(t, k.name, c, k.limit) })
			}
		}
	}
	t.Logf("%d slow clients after %v", 3*many, time.Since(began))
	beside := normal(t, addr, 400)
	runtime.GC()
	runtime.ReadMemStats(&during)
	grown := int64(during.HeapInuse+during.StackInuse) - int64(before.HeapInuse+before.StackInuse)
	t.Logf("a request takes %v alone, %v beside them; memory grew by %d KiB", alone, beside, grown>>10)
	if limit := max(2*alone, 100*time.Millisecond); beside > limit { // 100 ms: what a busy machine may cost
		t.Errorf("the slowest of a hundred requests takes %v beside slow clients, %v alone", beside, alone)
	}
	if each := grown / int64(3*many); each > 64<<10 {
		t.Errorf("a slow client costs %d KiB", each>>10)
	}
	all.Wait()
	normal(t, addr, 20)
}

// serve serves a program as Run does.
func serve(t *testing.T, w *town) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.NewServer(w.Handler, nil, slog.New(slog.DiscardHandler)).Serve(ctx, ln)
	}()
	t.Cleanup(func() { stop(); <-served })
	return ln.Addr().String()
}

// trickle sends a byte now and then until the server has had enough.
func trickle(t *testing.T, name string, c net.Conn, limit time.Duration) {
	began := time.Now()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = io.Copy(io.Discard, c)
	}()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-answered:
			if took := time.Since(began); took < limit/2 {
				t.Errorf("a slow %s was cut off after %v already", name, took)
			}
			return
		case <-tick.C:
			_, _ = io.WriteString(c, "x")
		}
		if time.Since(began) > stretched(limit)+time.Second {
			t.Errorf("a slow %s is still there after %v", name, time.Since(began))
			c.Close()
			<-answered
			return
		}
	}
}

// normal makes n ordinary requests and gives the time that 99 in 100 keep.
func normal(t *testing.T, addr string, n int) time.Duration {
	t.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+"/oauth2/jwks", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = strings.TrimPrefix(Issuer, "https://")
		began := time.Now()
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		took[i] = time.Since(began)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("an ordinary request: %d", resp.StatusCode)
		}
	}
	return slices.Sorted(slices.Values(took))[(n*99+99)/100-1]
}

// P-21: too long a header, a form of more than 64 KiB and an admin
// request of more than 1 MiB are refused, and a little less is read.
func TestLargeRequestsAreRefused(t *testing.T) {
	w := settle(t, Start(t, db.SQLite))
	addr := serve(t, w)
	for _, c := range []struct {
		name, method, path, kind string
		header, body, status     int
	}{
		{"a long header", "GET", "/oauth2/jwks", "", 8 << 10, 0, 200},
		{"too long a header", "GET", "/oauth2/jwks", "", 16 << 10, 0, 431},
		{"a large form", "POST", "/oauth2/token", "application/x-www-form-urlencoded", 0, 60 << 10, 401},
		{"too large a form", "POST", "/oauth2/token", "application/x-www-form-urlencoded", 0, 65 << 10, 413},
		{"a large admin request", "POST", wire.Path + "/users", "application/json", 0, 1000 << 10, 400},
		{"too large an admin request", "POST", wire.Path + "/users", "application/json", 0, 1025 << 10, 413},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+addr+c.path, strings.NewReader("x="+strings.Repeat("x", c.body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = strings.TrimPrefix(Issuer, "https://")
		if c.body == 0 {
			r.Body, r.ContentLength = http.NoBody, 0
		}
		r.Header.Set("Content-Type", c.kind)
		r.Header.Set("Authorization", "Bearer "+w.admin)
		r.Header.Set("X-Long", strings.Repeat("x", c.header))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d: %.200s", c.name, resp.StatusCode, c.status, text)
		}
	}
}
