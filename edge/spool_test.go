package edge

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/verify"
)

// inbox takes decisions, or says that there is no room.
type inbox struct {
	mu     sync.Mutex
	status int
	after  string // Retry-After
	tries  []time.Time
	taken  int
	lost   int
	says   string // the answer
}

func (b *inbox) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, _ := io.ReadAll(r.Body)
	b.tries = append(b.tries, time.Now())
	if b.status/100 == 2 {
		b.taken += strings.Count(string(text), "\n")
		n, _ := strconv.Atoi(r.URL.Query().Get("lost"))
		b.lost += n
	}
	return &http.Response{StatusCode: b.status, Header: http.Header{"Retry-After": {b.after}}, Body: io.NopCloser(strings.NewReader(b.says))}, nil
}

func (b *inbox) become(status int, after string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status, b.after, b.tries = status, after, nil
}

// pauses are the times between the tries since the inbox became what it is.
func (b *inbox) pauses() (all []time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := 1; i < len(b.tries); i++ {
		all = append(all, b.tries[i].Sub(b.tries[i-1]))
	}
	return all
}

// While the server has no room, the edge asks no sooner than it is told to, and ever
// less often; what waits is bounded on the disk; to note a decision takes no time;
// and whatever is left out is counted at the edge and at the server.
func TestAServerWithoutRoomSlowsTheEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 128 << 10
		p, err := openSpool(t.TempDir(), most)
		if err != nil {
			t.Fatal(err)
		}
		b := &inbox{}
		e := &Edge{c: Config{Credentials: verify.ClientSecret("edge", "s")}, issuer: "https://id.example", client: &http.Client{Transport: b}, log: p}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.write(ctx) })
		running.Go(func() { e.upload(ctx) })
		noted := 0
		note := func(n int) {
			began := time.Now()
			for range n {
				p.note(&replica.Decision{ID: "dec_1", Question: policy.Question{Context: policy.Properties{"text": strings.Repeat("x", 900)}}})
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("noting took %s", took)
			}
			noted += n
		}
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }

		b.become(http.StatusServiceUnavailable, "")
		note(1)
		pass(10 * time.Minute)
		for i, got := range b.pauses() {
			if least, longest := min(handIn<<(i+1), longPause), longPause*5/4; got < least || got > longest {
				t.Errorf("pause %d: %s, want %s to %s", i, got, least, longest)
			}
		}
		b.become(http.StatusTooManyRequests, "120")
		pass(20 * time.Minute)
		if got := b.pauses(); len(got) < 6 || got[0] < 2*time.Minute || got[len(got)-1] < 2*time.Minute {
			t.Errorf("the server said 120 s: %v", got)
		}
		for range 20 {
			note(100)
			synctest.Wait()
			sizes := int64(0)
			names, _ := filepath.Glob(filepath.Join(p.dir, "*.ndjson"))
			for _, f := range p.files {
				sizes += f.size
			}
			if waiting, _ := p.state(); waiting > most || waiting != sizes || len(names) != len(p.files) {
				t.Fatalf("%d bytes wait, of %d, in %d files", waiting, most, len(names))
			}
		}
		note(2 * mostQueued) // more than memory takes before the disk has it
		synctest.Wait()
		if waiting, lost := p.state(); waiting > most || waiting < most/2 || lost == 0 {
			t.Errorf("%d bytes wait, %d decisions are lost", waiting, lost)
		}

		b.become(http.StatusNoContent, "")
		pass(4 * time.Minute)
		waiting, lost := p.state()
		if waiting != 0 || b.taken == 0 || int64(b.taken)+lost != int64(noted) || int64(b.lost) != lost {
			t.Errorf("%d bytes wait; of %d decisions the server has %d and knows that %d are lost; the edge knows of %d", waiting, noted, b.taken, b.lost, lost)
		}
		cancel()
		running.Wait()
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
}

// keep notes a decision and puts it into a file.
func keep(p *spool, d *replica.Decision) {
	p.note(d)
	p.put(<-p.queue)
}

func TestALineBeyondTheBoundIsNotKept(t *testing.T) {
	p, err := openSpool(t.TempDir(), leastLog)
	if err != nil {
		t.Fatal(err)
	}
	keep(p, &replica.Decision{ID: "dec_1", Request: strings.Repeat("x", leastLog)})
	if waiting, lost := p.state(); waiting != 0 || lost != 1 {
		t.Errorf("%d bytes wait, %d decisions are lost", waiting, lost)
	}
	keep(p, &replica.Decision{ID: "dec_2"})
	if waiting, lost := p.state(); waiting == 0 || lost != 1 {
		t.Errorf("and then: %d bytes wait, %d decisions are lost", waiting, lost)
	}
}

// What is in memory until it is in a file is bounded by its bytes, too.
func TestLongDecisionsThatWaitForTheDiskAreBounded(t *testing.T) {
	p, err := openSpool(t.TempDir(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	const noted, long = 64, 1 << 20
	for range noted {
		p.note(&replica.Decision{ID: "dec_1", Request: strings.Repeat("x", long)})
	}
	if _, lost := p.state(); len(p.queue) > queueSize/long || len(p.queue)+int(lost) != noted {
		t.Errorf("%d decisions of a megabyte wait, %d are lost", len(p.queue), lost)
	}
	for len(p.queue) > 0 {
		p.put(<-p.queue)
	}
	if p.note(&replica.Decision{ID: "dec_2"}); p.held.Load() == 0 || len(p.queue) != 1 {
		t.Errorf("and then: %d bytes are held of %d decisions", p.held.Load(), len(p.queue))
	}
}

// Decisions that the server refuses are lost, and both sides know of it; the others
// are not sent again.
func TestRefusedDecisionsAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := openSpool(t.TempDir(), leastLog)
		if err != nil {
			t.Fatal(err)
		}
		b := &inbox{status: http.StatusOK, says: `{"taken":2,"refused":1,"why":"decision 1 is too old"}`}
		var troubles []string
		e := &Edge{c: Config{Credentials: verify.ClientSecret("edge", "s"), OnError: func(err error) { troubles = append(troubles, err.Error()) }},
			issuer: "https://id.example", client: &http.Client{Transport: b}, log: p}
		for range 3 {
			keep(p, &replica.Decision{ID: "dec_1"})
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { e.upload(ctx) })
		<-time.After(time.Minute)
		cancel()
		running.Wait()
		waiting, lost := p.state()
		if waiting != 0 || lost != 1 || p.untold() != 0 || len(b.tries) != 1 || len(troubles) != 1 || !strings.Contains(troubles[0], "1 of 3: decision 1 is too old") {
			t.Errorf("%d bytes wait, %d lost, %d untold after %d tries: %q", waiting, lost, p.untold(), len(b.tries), troubles)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
}

// Whatever the disk does, whoever decides does not wait for it, also where there is no room.
func TestNobodyWaitsForTheDiskWhereThereIsNoRoom(t *testing.T) {
	p, err := openSpool(t.TempDir(), leastLog)
	if err != nil {
		t.Fatal(err)
	}
	for range mostQueued {
		p.note(&replica.Decision{ID: "dec_1"})
	}
	p.mu.Lock() // as put does while the disk takes its time
	noted := make(chan bool)
	go func() { p.note(&replica.Decision{ID: "dec_2"}); close(noted) }()
	select {
	case <-noted:
	case <-time.After(time.Second):
		t.Error("who decides waits for the disk")
	}
	p.mu.Unlock()
	<-noted
}
