package apptest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
)

// Overload is the variable that says how long too many people sign in; make long
// sets it, and then looks at how fast what is beside them is answered, too.
const Overload = "CARDEA_TEST_OVERLOAD"

// P-20: ten times as many people sign in a second as can. They get in or are told
// to come back, within the second that the queue may last; beside them tokens are
// checked and keys are told; and afterwards all is as before. Give queuePerSlot of
// package credential another nought, and its patience a minute, to see it fail.
func TestOverloadSheds(t *testing.T) {
	for name, engine := range map[string]db.Engine{"sqlite": db.SQLite, "postgres": db.Postgres} {
		t.Run(name, func(t *testing.T) { overload(t, engine) })
	}
}

func overload(t *testing.T, engine db.Engine) {
	lasting, strict := 2*time.Second, false
	if text := os.Getenv(Overload); text != "" {
		var err error
		if lasting, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
		strict = true
	}
	w := settle(t, StartCostly(t, engine))
	people := 8 * runtime.GOMAXPROCS(0)
	for i := range people {
		w.Person(t, realm.Default, fmt.Sprintf("person%d@example.com", i))
	}
	token := w.ask("POST", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"cardea:admin"}, "resource": {Issuer + "/api/v1"}}, w.owner).text("access_token")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	calm := w.rush(t, runtime.GOMAXPROCS(0), people, lasting/2, 0)
	during, stop := context.WithCancel(t.Context())
	var beside []time.Duration
	var watching sync.WaitGroup
	watching.Go(func() { beside = w.besides(during, t, token) })
	rush := w.rush(t, 100*runtime.GOMAXPROCS(0), people, lasting, 10*calm.perSecond())
	runtime.ReadMemStats(&after)
	stop()
	watching.Wait()
	slices.Sort(beside)
	p99 := beside[len(beside)*99/100]
	t.Logf("calm: %s; rush: %s; beside it %d requests, 99 in 100 within %v; memory grew by %d MiB", calm, rush, len(beside), p99, (int64(after.Sys)-int64(before.Sys))>>20)
	if rush.shed.Load() == 0 || rush.in.Load() == 0 {
		t.Errorf("of so many, %d got in and %d were sent away", rush.in.Load(), rush.shed.Load())
	}
	if grown := int64(after.Sys) - int64(before.Sys); grown > 512<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	// The queue's second, and what a machine that does other things adds to it.
	if most, limit := time.Duration(rush.slowest.Load()), 5*time.Second; most > limit {
		t.Errorf("somebody waited %v to be told", most)
	}
	if strict {
		if p99 > 250*time.Millisecond {
			t.Errorf("99 in 100 requests beside the rush take %v", p99)
		}
		if rush.perSecond() < calm.perSecond()/2 {
			t.Errorf("%.1f get in a second, %.1f when it is calm", rush.perSecond(), calm.perSecond())
		}
	}
	v := w.visitor()
	form := v.formToken(t, "/signin")
	if c := v.signIn(form, "person0@example.com", Password); c.Code != http.StatusSeeOther || c.took > 5*time.Second {
		t.Errorf("afterwards: %d after %v", c.Code, c.took)
	}
}

// A rush is what became of people who signed in at once.
type rushed struct {
	in, shed atomic.Int64
	slowest  atomic.Int64 // nanoseconds
	lasted   time.Duration
}

func (r *rushed) perSecond() float64 { return float64(r.in.Load()) / r.lasted.Seconds() }

func (r *rushed) String() string {
	return fmt.Sprintf("%.1f sign-ins a second, %d sent away, at most after %v", r.perSecond(), r.shed.Load(), time.Duration(r.slowest.Load()))
}

// rush has so many browsers sign in over and over, each from another network: as
// often a second as rate says, or, if that is 0, as soon as they are answered.
func (w *town) rush(t *testing.T, browsers, people int, lasting time.Duration, rate float64) *rushed {
	t.Helper()
	r := &rushed{}
	turns := make(chan bool, browsers)
	type browser struct {
		*visitor
		form string
	}
	all := make([]browser, browsers)
	for i := range all {
		v := w.visitor()
		all[i] = browser{v, v.formToken(t, "/signin")}
	}
	began := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(turns)
		for n := 0.0; time.Since(began) < lasting; <-time.After(5 * time.Millisecond) {
			for ; rate == 0 && len(turns) < browsers || rate > 0 && n < rate*time.Since(began).Seconds(); n++ {
				select {
				case turns <- true:
				default: // all are being answered
				}
			}
		}
	})
	for i, b := range all {
		wg.Go(func() {
			for n := 0; <-turns; n++ {
				c := b.ask("POST", "/signin", url.Values{"form": {b.form}, "identifier": {fmt.Sprintf("person%d@example.com", (i+n)%people)}, "password": {Password}}, func(q *http.Request) {
					q.RemoteAddr = "10.9.9.9:1" // a trusted proxy
					q.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", i/250, i%250, n%250))
					q.Header.Set("Sec-Fetch-Site", "same-origin")
					for _, cookie := range b.jar.Cookies(q.URL) {
						q.AddCookie(cookie)
					}
				})
				switch {
				case c.Code == http.StatusSeeOther:
					r.in.Add(1)
				case c.Code == http.StatusTooManyRequests && c.Header().Get("Retry-After") != "":
					r.shed.Add(1)
					for was := r.slowest.Load(); int64(c.took) > was && !r.slowest.CompareAndSwap(was, int64(c.took)); was = r.slowest.Load() {
					}
				default:
					t.Errorf("in the rush: %d %.300s", c.Code, c.Body)
					return
				}
			}
		})
	}
	wg.Wait()
	r.lasted = time.Since(began)
	return r
}

// besides checks a token and asks for the keys until ctx ends, and gives how long
// each took.
func (w *town) besides(ctx context.Context, t *testing.T, token string) (took []time.Duration) {
	for i := 0; ctx.Err() == nil; i++ {
		var c call
		if i%2 == 0 {
			c = w.ask("GET", "/oauth2/jwks", nil, nil)
		} else {
			c = w.adminCall("GET", "/me", token, nil)
		}
		if c.Code != http.StatusOK {
			t.Errorf("beside the rush: %d %.300s", c.Code, c.Body)
			return append(took, c.took)
		}
		took = append(took, c.took)
		<-time.After(5 * time.Millisecond)
	}
	return took
}
