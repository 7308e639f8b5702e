package edge_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/edge"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/local"
	"github.com/cardea-id/cardea/internal/web"
)

// TestSpeed measures what an edge promises, and prints it, where
// CARDEA_BENCH_EDGES says how many edges follow.
func TestSpeed(t *testing.T) {
	var n int
	if _, err := fmt.Sscan(os.Getenv("CARDEA_BENCH_EDGES"), &n); err != nil {
		t.Skip("skipped: CARDEA_BENCH_EDGES is not set")
	}
	w := begin(t)
	t.Run("one question over a Unix socket", func(t *testing.T) { socketSpeed(t, w) })
	t.Run("changes to many edges", func(t *testing.T) { propagation(t, w, n) })
	t.Run("catching up", func(t *testing.T) { catchUp(t, w) })
}

func quantiles(all []time.Duration) string {
	slices.Sort(all)
	return fmt.Sprintf("p50 %s p99 %s max %s", all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
}

func socketSpeed(t *testing.T, w *world) {
	w.mustWrite(graph.Change{Set: status("p1", "active").Set, Add: []graph.Tuple{{Subject: user("ann"), Relation: "clerk", Object: payment("p1")}}})
	c := w.config()
	c.Audience = ""
	e := w.joined(w.open(c))
	w.reach(e)
	handler, err := local.Handler(local.Options{Edge: e, Base: "http://localhost", Detail: "reasons", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = web.NewServer(handler, nil, w.Logger()).Serve(ctx, ln) })
	defer wg.Wait()
	defer cancel()
	carrier := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", ln.Addr().String())
	}}
	defer carrier.CloseIdleConnections()
	var took []time.Duration
	buf := make([]byte, 4096)
	for range 20_000 {
		r, err := http.NewRequest("POST", "http://localhost/access/v1/evaluation", strings.NewReader(`{"subject":{"type":"user","id":"ann"},"action":{"name":"refund"},"resource":{"type":"payment","id":"p1"}}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		began := time.Now()
		res, err := carrier.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := res.Body.Read(buf)
		res.Body.Close()
		took = append(took, time.Since(began))
		if !strings.Contains(string(buf[:n]), `"decision":true`) {
			t.Fatalf("%s", buf[:n])
		}
	}
	t.Logf("edge, Unix socket, one caller: %s (want p99 <= 1 ms)", quantiles(took))
}

// propagation measures from the acknowledgement of a write until each edge decides
// by it.
func propagation(t *testing.T, w *world, n int) {
	c := w.config()
	c.Audience = ""
	edges := make([]*edge.Edge, n)
	for i := range edges {
		edges[i] = w.open(c)
	}
	for _, e := range edges {
		w.joined(e)
		w.reach(e)
	}
	runtime.GC()
	var took []time.Duration
	knew := make([]time.Time, n)
	for round := range 20 {
		var wg sync.WaitGroup
		change := status("p1", fmt.Sprint("r", round))
		before := w.at.Revision()
		for i, e := range edges {
			wg.Go(func() {
				if _, _, err := e.At(t.Context(), before+1); err != nil {
					t.Error(err)
				}
				knew[i] = time.Now()
			})
		}
		w.mustWrite(change)
		acknowledged := time.Now()
		wg.Wait()
		for i := range knew {
			took = append(took, max(0, knew[i].Sub(acknowledged)))
		}
		for _, e := range edges {
			w.reach(e)
		}
	}
	t.Logf("%d edges in one process with the server, from acknowledged to decided by: %s (want p99 <= 100 ms)", n, quantiles(took))
	for _, e := range edges {
		e.Close()
	}
}

func catchUp(t *testing.T, w *world) {
	c := w.config()
	c.Audience, c.Dir = "", t.TempDir()
	e := w.joined(w.open(c))
	w.reach(e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	const changes, batch = 100_000, 1000
	for i := 0; i < changes; i += batch {
		var change graph.Change
		for k := range batch {
			change.Add = append(change.Add, graph.Tuple{Subject: user(fmt.Sprint("x", i+k)), Relation: "viewer", Object: payment(fmt.Sprint("p", k))})
		}
		w.mustWrite(change)
	}
	began := time.Now()
	e = w.open(c)
	w.reach(e)
	t.Logf("catching up with %d changes: %s (want <= 2 s)", changes, time.Since(began))
	w.same(e)
	fresh := w.config()
	fresh.Audience = ""
	began = time.Now()
	e = w.open(fresh)
	w.joined(e)
	w.reach(e)
	t.Logf("a newcomer's snapshot of %d facts: %s", changes, time.Since(began))
}
