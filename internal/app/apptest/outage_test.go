package apptest

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// startBehind starts a program whose PostgreSQL is behind a link.
func startBehind(t testing.TB) (*Env, *dbtest.Link) {
	t.Helper()
	l, address := dbtest.NewLink(t, dbtest.URL(t, db.Postgres))
	e := &Env{Clock: dbtest.NewClock(), url: address, key: bytes.Repeat([]byte{7}, 32), Outside: newOutside(t), more: map[string]string{"CARDEA_RATES_ADMIN_WRITE": "600000/1m"}}
	e.App = e.start(t)
	t.Cleanup(func() { l.Set(dbtest.Whole) }) // so that the program can take its leave
	return e, l
}

// The bounds of P-16, and how far a busy machine may stretch them in a test.
const (
	failWithin   = 2 * time.Second
	returnWithin = 5 * time.Second
)

func stretched(d time.Duration) time.Duration { return d * 3 / 2 }

// P-16: PostgreSQL goes away, by a refusing and by a silent network. The
// program says so at once, goes on telling its keys, gathers nothing, and comes
// back by itself.
func TestTheDatabaseMayBeAway(t *testing.T) {
	for _, s := range []struct {
		name  string
		state dbtest.LinkState
	}{{"cut", dbtest.Cut}, {"silent", dbtest.Hole}} {
		t.Run(s.name, func(t *testing.T) {
			e, l := startBehind(t)
			w := settle(t, e)
			w.Person(t, "default", "ada@example.com")
			ada, stranger := w.visitor(), w.visitor()
			ada.mustSignIn(t, "ada@example.com")
			_, refresh := ada.tokens(t)
			form := stranger.formToken(t, "/signin")
			calls := map[string]func() call{
				"refresh":    func() call { return w.refresh(refresh) },
				"sign in":    func() call { return stranger.signIn(form, "ada@example.com", Password) },
				"admin read": func() call { return w.adminCall("GET", "/users", w.admin, nil) },
				"admin write": func() call {
					return w.adminCall("POST", "/users", w.admin, map[string]any{"display_name": "Bob", "username": "bob"})
				},
			}
			openDocuments(t, w) // they are kept in memory from the first time on
			var wave sync.WaitGroup
			caughtInTheAct(t, w, ada, &wave)
			l.Set(s.state)
			began := time.Now()
			for name, do := range calls {
				wave.Go(func() { refusedInTime(t, name, do()) })
			}
			for ready := 200; ready != http.StatusServiceUnavailable; {
				c := w.ask("GET", "/readyz", nil, nil)
				ready = c.Code
				if took := time.Since(began); took > stretched(failWithin) {
					t.Fatalf("after %v /readyz says %d", took, ready)
				}
				openDocuments(t, w)
			}
			wave.Wait()
			before := runtime.NumGoroutine()
			failMany(t, calls)
			goroutinesStay(t, before)
			openDocuments(t, w)

			l.Set(dbtest.Whole)
			healed := time.Now()
			for w.ask("GET", "/readyz", nil, nil).Code != http.StatusOK {
				if time.Since(healed) > stretched(returnWithin) {
					buf := make([]byte, 1<<20)
					t.Fatalf("the program is not ready again: %s\n%s", w.ask("GET", "/readyz", nil, nil).Body, buf[:runtime.Stack(buf, true)])
				}
				<-time.After(20 * time.Millisecond)
			}
			for name, do := range calls {
				for {
					c := do()
					if c.Code < 400 {
						break
					}
					if time.Since(healed) > stretched(returnWithin) {
						t.Fatalf("%v after the database came back, %s is answered %d %.300s", time.Since(healed), name, c.Code, c.Body)
					}
				}
			}
			t.Logf("full service after %v", time.Since(healed))
		})
	}
}

// A network that comes back before anybody noticed has forgotten the connections
// that were open: the server is there, and they are dead all the same.
func TestTheNetworkMayBeShortlyAway(t *testing.T) {
	e, l := startBehind(t)
	w := settle(t, e)
	w.Person(t, "default", "ada@example.com")
	ada := w.visitor()
	ada.mustSignIn(t, "ada@example.com")
	var wave sync.WaitGroup
	workers := make([]func() (string, call), 12)
	for i := range workers {
		workers[i] = w.worker(t, ada, i)
		wave.Go(func() { workers[i]() }) // so that as many connections are open
	}
	wave.Wait()
	l.Set(dbtest.Hole)
	for i := range workers {
		wave.Go(func() {
			name, c := workers[i]()
			if c.took > stretched(failWithin) {
				t.Errorf("%s was answered %d after %v", name, c.Code, c.took)
			}
		})
	}
	<-time.After(200 * time.Millisecond)
	l.Set(dbtest.Whole)
	healed := time.Now()
	wave.Wait()
	for {
		busy := 0
		for i := range workers {
			if _, c := workers[i](); c.Code >= 400 {
				busy++
			}
		}
		if busy == 0 && w.ask("GET", "/readyz", nil, nil).Code == http.StatusOK {
			break
		}
		if time.Since(healed) > stretched(returnWithin) {
			t.Fatalf("%v after the network came back %d of %d are refused: %s", time.Since(healed), busy, len(workers), w.ask("GET", "/readyz", nil, nil).Body)
		}
	}
	t.Logf("full service after %v", time.Since(healed))
}

// caughtInTheAct has requests that change things in flight at any time, so that
// the outage finds transactions in every state. Each worker ends with the first
// request that began in the outage.
func caughtInTheAct(t *testing.T, w *town, ada *visitor, all *sync.WaitGroup) {
	t.Helper()
	var warm sync.WaitGroup
	for i := range 12 {
		step := w.worker(t, ada, i)
		warm.Add(1)
		all.Go(func() {
			for n := 0; ; n++ {
				if n == 2 {
					warm.Done()
				}
				name, c := step()
				if c.Code < 400 {
					continue
				}
				refusedInTime(t, name+" under way", c)
				if n < 2 {
					warm.Done()
				}
				return
			}
		})
	}
	warm.Wait()
}

// worker gives something that changes the state each time it is called.
func (w *town) worker(t *testing.T, ada *visitor, i int) func() (string, call) {
	_, token := ada.tokens(t)
	n := 0
	return func() (string, call) {
		n++
		switch i % 3 {
		case 0:
			return "creation", w.adminCall("POST", "/users", w.admin, map[string]any{"username": fmt.Sprintf("busy-%d-%d", i, n)})
		case 1:
			c, code := ada.authorization()
			if code == "" {
				return "authorization", c
			}
			if c = w.redeem(code); c.Code != http.StatusOK {
				return "code", c
			}
			return "revocation", w.revoke(c.text("refresh_token"))
		}
		c := w.refresh(token)
		if next := c.text("refresh_token"); next != "" {
			token = next
		}
		return "refresh", c
	}
}

func refusedInTime(t *testing.T, name string, c call) {
	if c.Code != http.StatusServiceUnavailable || c.Header().Get("Retry-After") == "" {
		t.Errorf("%s: %d, Retry-After %q, after %v, want 503: %.300s", name, c.Code, c.Header().Get("Retry-After"), c.took, c.Body)
	}
	if c.took > stretched(failWithin) {
		t.Errorf("%s took %v to fail", name, c.took)
	}
}

// failMany has 200 requests fail, 20 at a time.
func failMany(t *testing.T, calls map[string]func() call) {
	var wg sync.WaitGroup
	for range 5 {
		for name, do := range calls {
			if name == "sign in" {
				continue // it has a rate per address
			}
			for range 20 / len(calls) {
				wg.Go(func() {
					for range 3 {
						refusedInTime(t, name, do())
					}
				})
			}
		}
		wg.Wait()
	}
}

func goroutinesStay(t *testing.T, before int) {
	t.Helper()
	const slack = 40 // connections being tried or given up, never as many as requests
	deadline := time.Now().Add(20 * time.Second)
	for runtime.NumGoroutine() > before+slack {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, before it were %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		<-time.After(20 * time.Millisecond)
	}
}

// openDocuments reads what everybody may read at any time.
func openDocuments(t *testing.T, w *town) {
	t.Helper()
	for _, path := range []string{"/oauth2/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/healthz"} {
		c := w.ask("GET", path, nil, nil)
		if c.Code != http.StatusOK || c.took > time.Second {
			t.Fatalf("%s: %d after %v", path, c.Code, c.took)
		}
	}
}
