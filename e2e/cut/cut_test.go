// Package cut cuts real edges off from a real server: processes in network
// namespaces, between which packets are lost without a word, as in a network that
// failed, and not as where a process ended. Time is real here, since it is the
// network's; so scripts/long.sh runs it, and nothing else.
package cut

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/e2e/live"
	"github.com/cardea-id/cardea/edge"
	"github.com/cardea-id/cardea/verify"
)

const (
	howLong = "CARDEA_TEST_CUT"        // how long the way is cut
	inside  = "CARDEA_TEST_CUT_INSIDE" // set in the namespace of the server: the names of the network

	payments = 300                   // each changes every
	pace     = 40 * time.Millisecond // × payments
	most     = 5 * time.Second       // what the edges are told: how old facts may be
	rounding = time.Second           // what they may be wrong by: a sign of life on its way, a busy machine
	healed   = 30 * time.Second      // after which all must agree
	handedIn = 90 * time.Second      // after which nothing may wait any more
)

// Facts change all the time, and the way between server and edges is cut. An edge
// answers as it was within max_staleness; beyond, it denies or marks the answer,
// also when it was killed and started meanwhile. When the way is healed, server and
// edges hold the same, by hash, and no decision is lost.
func TestCutOff(t *testing.T) {
	long := os.Getenv(howLong)
	if long == "" {
		t.Skip("scripts/long.sh cutoff runs this")
	}
	minute, err := time.ParseDuration(long)
	if err != nil || minute < 2*most {
		t.Fatalf("%s: %q is no time of at least %s", howLong, long, 2*most)
	}
	if name := os.Getenv(inside); name != "" {
		campaign(t, &network{name + "-server", name + "-router", name + "-edges"}, minute)
		return
	}
	n, err := lay(fmt.Sprintf("cardea-%d", os.Getpid()))
	if err != nil {
		t.Skipf("not cut, since there are no network namespaces here: %v", err)
	}
	defer n.remove()
	dir := t.TempDir()
	cert, key, err := certificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	within(t, n, cert, key)
}

func campaign(t *testing.T, n *network, minute time.Duration) {
	w := begin(t, n)
	stop := w.load()
	defer stop()
	w.during("joined", 3*time.Second, nil)
	w.cut("both ways", minute, serverAt, edgesAt)
	w.cut("from the server", 3*most, edgesAt)
	w.cut("to the server", 3*most, serverAt)
	stop()
	w.agree()
	w.uploaded()
	t.Logf("%d changes; %d answers on fresh facts, %d refused, %d marked", w.changes.Load(), w.fresh.Load(), w.refused.Load(), w.marked.Load())
	if w.fresh.Load() == 0 || w.refused.Load() == 0 || w.marked.Load() == 0 {
		t.Error("the load was too light to show anything")
	}
}

type world struct {
	*testing.T
	n      *network
	server *live.Server
	secret string
	edges  []*sidecar
	model  *model

	changes, fresh, refused, marked atomic.Int64
	cutAt                           atomic.Int64 // since when edges hear nothing, nanoseconds; 0: they may
	busy                            sync.RWMutex // held for writing while no facts are to change
}

// sidecar is an edge that may be away for a moment.
type sidecar struct {
	*live.Edge
	away sync.RWMutex
}

func begin(t *testing.T, n *network) *world {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	binary, err := live.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, n: n}
	w.server, err = live.Install(ctx, live.Options{Binary: binary, Dir: dir, Address: serverAt + ":8443", Env: []string{"CARDEA_RATES_ADMIN_WRITE=600000/1m",
		"CARDEA_MASTER_KEY=" + base64.StdEncoding.EncodeToString(make([]byte, 32))}})
	if err == nil {
		err = w.server.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.server.Kill)
	if w.secret, err = w.server.NewEdgeClient(ctx, "edge"); err != nil {
		t.Fatal(err)
	}
	_, err = w.server.Admin.Policies.Apply(ctx, api.PolicyApply{Message: "test", Files: []api.PolicyFile{
		{Path: "schema.cedarschema", Text: "entity user;\nentity payment { status?: String };\naction refund, read appliesTo { principal: user, resource: payment };\n"},
		{Path: "policies/all.cedar", Text: "@id(\"active\") permit (principal, action, resource) when { resource has status && resource.status == \"active\" };\n"}}})
	if err != nil {
		t.Fatal(err)
	}
	for p := range payments {
		if err := w.set(p, true); err != nil {
			t.Fatal(err)
		}
	}
	w.model = newModel(payments, time.Now())
	for range 3 {
		dir, err := os.MkdirTemp("", "edge") // the path of a socket must be short
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		e, err := w.server.NewEdge(dir, "edge", w.secret, []string{"ip", "netns", "exec", n.edges}, "--max-staleness", most.String(),
			"--stale", "read=allow:"+most.String(), "--log-decisions")
		if err == nil {
			err = e.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Kill)
		w.edges = append(w.edges, &sidecar{Edge: e})
	}
	w.agree()
	return w
}

func (w *world) set(p int, active bool) error {
	status := `"canceled"`
	if active {
		status = `"active"`
	}
	_, err := w.server.Admin.Facts.Write(w.Context(), "", api.AccessChanges{Set: []api.Attribute{{Entity: api.Entity{Type: "payment", ID: fmt.Sprint("p", p)}, Name: "status", Value: json.RawMessage(status)}}})
	return err
}

// load changes facts and asks every edge until it is stopped.
func (w *world) load() (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	var all sync.WaitGroup
	every := func(pace time.Duration, do func(i int)) {
		all.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for i := 0; !w.Failed(); i++ {
				select {
				case <-tick.C:
					do(i)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	every(pace, func(i int) {
		w.busy.RLock()
		defer w.busy.RUnlock()
		p := i % payments
		active := w.model.ask(p, time.Now())
		if err := w.set(p, active); err != nil {
			w.Errorf("writing: %v\n%s", err, w.server.Log(2000))
			return
		}
		w.model.acknowledge(p, time.Now())
		w.changes.Add(1)
	})
	for i, e := range w.edges {
		every(pace/2, func(int) { w.question(i, e, rand.IntN(payments), []string{"refund", "read"}[rand.IntN(2)]) })
	}
	return func() { cancel(); all.Wait() }
}

// question asks an edge and holds its answer to the model.
func (w *world) question(i int, e *sidecar, p int, action string) {
	e.away.RLock()
	defer e.away.RUnlock()
	asked := time.Now()
	a, err := e.Ask(w.Context(), fmt.Sprintf(`{"subject":{"type":"user","id":"ann"},"action":{"name":"%s"},"resource":{"type":"payment","id":"p%d"}}`, action, p), "")
	answered := time.Now()
	cut := w.cutAt.Load()
	old := cut != 0 && asked.Sub(time.Unix(0, cut)) > most+rounding
	refused := a.Context.Error.Message != ""
	switch {
	case err != nil:
		w.Errorf("edge %d: %v\n%s", i, err, e.Log())
	case refused && (a.Decision || action == "read"):
		w.Errorf("edge %d, %s: %+v", i, action, a)
	case a.Context.Stale && action != "read":
		w.Errorf("edge %d marks an action that is to be denied: %+v", i, a)
	case old && !refused && !a.Context.Stale:
		w.Errorf("edge %d was cut off %s ago, and answers as if it were not: %+v", i, asked.Sub(time.Unix(0, cut)), a)
	case refused:
		w.refused.Add(1)
	case a.Context.Stale:
		w.marked.Add(1)
		if !w.model.could(p, a.Decision, time.Time{}, answered) {
			w.Errorf("edge %d: p%d was never so: %+v", i, p, a)
		}
	default:
		w.fresh.Add(1)
		if !w.model.could(p, a.Decision, asked.Add(-most-rounding), answered) {
			h, _ := e.Health(w.Context())
			w.Errorf("edge %d: p%d was not so within %s: %+v, asked for %s; the edge: %+v; the payment:%s", i, p, most, a, answered.Sub(asked), h, w.model.told(p, asked))
		}
	}
}

// during lets time pass, the real one, and something be done in its middle.
func (w *world) during(what string, long time.Duration, middle func()) {
	w.Helper()
	before := w.fresh.Load()
	for half := range 2 {
		select {
		case <-time.After(long / 2):
		case <-w.Context().Done():
		}
		if half == 0 && middle != nil {
			middle()
		}
	}
	if w.fresh.Load() == before {
		w.Errorf("%s: no edge went on", what)
	}
	if w.Failed() {
		w.FailNow()
	}
}

// cut loses what is sent to some addresses for a while, and has one edge start
// while it is cut off.
func (w *world) cut(what string, long time.Duration, to ...string) {
	w.Helper()
	for _, address := range to {
		if err := w.n.lose(address); err != nil {
			w.Fatal(err)
		}
	}
	if slices.Contains(to, edgesAt) { // else signs of life still come for a while
		w.cutAt.Store(time.Now().UnixNano())
	}
	w.during(what, long, func() { w.restart(w.edges[0]) })
	w.cutAt.Store(0)
	for _, address := range to {
		if err := w.n.heal(address); err != nil {
			w.Fatal(err)
		}
	}
	began := time.Now()
	w.agree()
	w.Logf("%s: after %s of it, all agreed within %s", what, long, time.Since(began).Round(100*time.Millisecond))
}

func (w *world) restart(e *sidecar) {
	e.away.Lock()
	defer e.away.Unlock()
	e.Kill()
	if err := e.Start(); err != nil {
		w.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	if h, err := e.Health(ctx); err != nil || h.Connected || h.Revision == "0.0" {
		w.Errorf("an edge that starts while it is cut off: %+v %v", h, err)
	}
}

// agree holds every edge to what the server tells a newcomer beside it, by hash.
func (w *world) agree() {
	w.Helper()
	w.busy.Lock()
	defer w.busy.Unlock()
	ctx, cancel := context.WithTimeout(w.Context(), healed)
	defer cancel()
	newcomer, err := edge.Open(ctx, edge.Config{Issuer: w.server.Issuer, Credentials: verify.ClientSecret("edge", w.secret)})
	if err != nil {
		w.Fatal(err)
	}
	defer newcomer.Close()
	if err := newcomer.Wait(ctx); err != nil {
		w.Fatal(err)
	}
	for i, e := range w.edges {
		for {
			revision, digest, err := newcomer.Digest()
			if err != nil {
				w.Fatal(err)
			}
			got, err := e.Digest(ctx)
			if err == nil && got.Revision == revision {
				if got.Digest != digest {
					w.Fatalf("edge %d holds something else than the server at %s", i, revision)
				}
				break
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				h, _ := e.Health(w.Context())
				w.Fatalf("edge %d does not agree within %s: the server is at %s, it at %+v: %v\n%s", i, healed, revision, h, err, e.Log())
			}
		}
	}
}

// uploaded waits until every decision is at the server, and none was left out.
func (w *world) uploaded() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), handedIn)
	defer cancel()
	for i, e := range w.edges {
		for {
			h, err := e.Health(ctx)
			if err != nil || h.Lost > 0 {
				w.Fatalf("edge %d: %+v %v", i, h, err)
			}
			if h.Waiting == 0 {
				break
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}
