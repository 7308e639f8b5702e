package opa

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/internal/access/agent"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// What many agents hand over at once is bounded together, and an agent that finds no
// room keeps its decisions and comes again.
func TestDecisionLogsAreBoundedTogether(t *testing.T) {
	s := New(Options{Plane: new(agent.Plane), Authenticate: func(http.ResponseWriter, *http.Request, *realm.Realm) (*Caller, error) {
		return &Caller{Client: "agent"}, nil
	}})
	m := web.NewMux(web.MuxOptions{})
	s.Mount(m)
	send := func(name string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", Path+"/logs", strings.NewReader("not packed"))
		r.Header.Set("Content-Encoding", "gzip")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r.WithContext(realm.With(r.Context(), &realm.Realm{Name: name, Settings: realm.Settings{DecisionLog: time.Hour}})))
		return w
	}
	for range maxUnpacking {
		s.unpacking.Take("a")
	}
	if w := send("a"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("no room: %d %s", w.Code, w.Body)
	}
	s.unpacking.Leave("a")
	for range 2 { // and what was unpacked leaves its place
		if w := send("a"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "body_invalid") {
			t.Errorf("room, but nothing that can be unpacked: %d %s", w.Code, w.Body)
		}
	}
}

// slow is a body of which no more comes after some bytes, until its end is allowed.
type slow struct {
	left int
	end  chan struct{}
}

func (b *slow) Read(p []byte) (int, error) {
	if b.left == 0 {
		<-b.end
		return 0, io.ErrUnexpectedEOF // its deadline
	}
	n := min(len(p), b.left)
	b.left -= n
	return n, nil
}

// Whoever sends much and does not end it has a node hold a bounded part of it, of one
// client and realm a part of that, and the others are turned away for a moment.
func TestSlowSendersAreBoundedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Plane: new(agent.Plane), Authenticate: func(_ http.ResponseWriter, r *http.Request, _ *realm.Realm) (*Caller, error) {
			return &Caller{Client: r.Header.Get("Client")}, nil
		}})
		m := web.NewMux(web.MuxOptions{})
		s.Mount(m)
		send := func(path, name, client string, body io.Reader) *httptest.ResponseRecorder {
			r := httptest.NewRequest("POST", Path+path, body)
			if path == "/logs" {
				r.Header.Set("Content-Encoding", "gzip")
			}
			r.Header.Set("Client", client)
			w := httptest.NewRecorder()
			m.ServeHTTP(w, r.WithContext(realm.With(r.Context(), &realm.Realm{Name: name, Settings: realm.Settings{DecisionLog: time.Hour}})))
			return w
		}
		held := func() int {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int(m.HeapAlloc)
		}
		before, end := held(), make(chan struct{})
		var senders sync.WaitGroup
		var mu sync.Mutex
		answers := map[int]int{}
		flood := func(path, name, client string, n, size int) {
			for range n {
				senders.Go(func() {
					w := send(path, name, client, &slow{left: size, end: end})
					mu.Lock()
					defer mu.Unlock()
					if answers[w.Code]++; w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
						t.Error("an agent is not told when to come again")
					}
				})
			}
			synctest.Wait()
		}
		free := func(name, client string) bool {
			return send("/logs", name, client, strings.NewReader("not packed")).Code == http.StatusBadRequest
		}
		flood("/logs", "a", "one", 100, agent.MaxLogPacked)
		if answers[http.StatusServiceUnavailable] < 80 || !free("a", "two") || !free("b", "three") {
			t.Errorf("one client sends slowly: %v", answers)
		}
		flood("/logs", "a", "two", 100, agent.MaxLogPacked)
		flood("/status", "a", "four", 100, agent.MaxStatus)
		for _, client := range []string{"one", "two"} { // what room is left
			flood("/status", "a", client, maxArrived/2, 1)
		}
		if free("a", "five") || !free("b", "three") {
			t.Errorf("all of a realm send slowly: %v", answers)
		}
		flood("/logs", "b", "three", 100, agent.MaxLogPacked)
		flood("/logs", "c", "six", 5000, 1)
		if took := held() - before; took > 80<<20 {
			t.Errorf("%d MiB are held", took>>20)
		}
		if free("c", "six") || answers[http.StatusServiceUnavailable] < 5000-maxArrived/4 { // a quarter is left by the realm
			t.Errorf("everybody sends slowly: %v", answers)
		}
		close(end)
		senders.Wait()
		if answers[http.StatusBadRequest] == 0 || !free("a", "one") || !free("c", "six") {
			t.Errorf("and afterwards: %v", answers)
		}
	})
}

// Reports, which are small while they are packed, are read a few at a time, whatever
// decision logs are unpacked meanwhile: an agent does not send its report again.
func TestReportsAreReadAFewAtATime(t *testing.T) {
	s := New(Options{Plane: new(agent.Plane), Authenticate: func(http.ResponseWriter, *http.Request, *realm.Realm) (*Caller, error) {
		return &Caller{Client: "agent"}, nil
	}})
	m := web.NewMux(web.MuxOptions{})
	s.Mount(m)
	send := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", Path+"/status", strings.NewReader("{}"))
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r.WithContext(realm.With(r.Context(), &realm.Realm{Name: "a"})))
		return w
	}
	for range maxUnpacking {
		s.unpacking.Take("a")
	}
	for range 2 {
		if w := send(); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "status_invalid") {
			t.Errorf("room: %d %s", w.Code, w.Body)
		}
	}
	for range maxReading {
		s.reading.Take("a")
	}
	if w := send(); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("no room: %d %s", w.Code, w.Body)
	}
}

// What a realm does not keep is not read.
func TestWhereNoDecisionsAreKeptNoneAreRead(t *testing.T) {
	s := New(Options{Authenticate: func(http.ResponseWriter, *http.Request, *realm.Realm) (*Caller, error) {
		return &Caller{Client: "agent"}, nil
	}})
	m := web.NewMux(web.MuxOptions{})
	s.Mount(m)
	b := &slow{left: 1 << 10, end: make(chan struct{})}
	close(b.end)
	r := httptest.NewRequest("POST", Path+"/logs", b)
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r.WithContext(realm.With(r.Context(), &realm.Realm{Name: "a"})))
	if w.Code != http.StatusNoContent || b.left != 1<<10 {
		t.Errorf("%d, and %d bytes are left", w.Code, b.left)
	}
}
