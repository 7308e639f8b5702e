package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/e2e/live"
)

// flooding is the name of what measureFlood measures.
const flooding = "flood of sign-ins"

const (
	tenfold       = 10               // as many try to sign in as can
	floodBrowsers = 256              // more than the queue for hashes takes
	floodLasts    = 10 * time.Second // calm and flood each
	besideEvery   = 5 * time.Millisecond
)

var passwordForm = regexp.MustCompile(`name="form" value="([^"]*)"`)

// A crowd signs in with right passwords, each browser with its cookies and form.
type crowd struct {
	f        *fixture
	people   []string
	password string
	browsers []struct{ cookies, form string }
}

func gatherCrowd(ctx context.Context, f *fixture) (*crowd, error) {
	cr := &crowd{f: f, password: "turquoise walrus on a bicycle"}
	for i := range 8 * runtime.NumCPU() {
		name := fmt.Sprintf("flood%d@example.com", i)
		if err := f.server.NewPerson(ctx, name, cr.password); err != nil {
			return nil, err
		}
		cr.people = append(cr.people, name)
	}
	for i := range floodBrowsers {
		b := live.NewBrowser()
		b.Address = fmt.Sprintf("10.200.%d.1", i)
		page, err := b.Open(ctx, f.server.Issuer+"/signin")
		if err != nil {
			return nil, err
		}
		form := passwordForm.FindStringSubmatch(page.Text)
		if form == nil {
			return nil, fmt.Errorf("the sign-in page has no form: %d %.300s", page.Status, page.Text)
		}
		cr.browsers = append(cr.browsers, struct{ cookies, form string }{b.Cookies(), form[1]})
	}
	return cr, nil
}

// attempt signs in once, and reports whether that got in or was sent away to come
// again later.
func (cr *crowd) attempt(c *conn, i, n int) (in bool, err error) {
	b := cr.browsers[i]
	headers := cr.f.headers("Cookie", b.cookies)
	headers["Sec-Fetch-Site"], headers["Origin"] = "same-origin", cr.f.server.Issuer
	headers["X-Forwarded-For"] = fmt.Sprintf("10.%d.%d.%d", i%256, rand.N(256), rand.N(256)) // a network is held to a rate
	form := url.Values{"form": {b.form}, "identifier": {cr.people[(i+n)%len(cr.people)]}, "password": {cr.password}}
	status, _, body, err := c.send(request(http.MethodPost, "/signin", headers, form.Encode()))
	if err == nil && status != http.StatusSeeOther && status != http.StatusTooManyRequests {
		err = fmt.Errorf("a sign-in answered %d %.300s", status, body)
	}
	return status == http.StatusSeeOther, err
}

// A rush is what became of a crowd.
type rush struct {
	in, away       atomic.Int64
	lasted, waited time.Duration // waited: longest for any answer
}

func (r *rush) perSecond() float64 { return float64(r.in.Load()) / r.lasted.Seconds() }
func (r *rush) offered() float64 {
	return float64(r.in.Load()+r.away.Load()) / r.lasted.Seconds()
}

// rush lets so many browsers try for a while: so often a second in all, or, if that
// is 0, each as soon as it was answered.
func (cr *crowd) rush(browsers int, while time.Duration, rate float64) (*rush, error) {
	r, turns, began := &rush{}, make(chan int, browsers), time.Now()
	waited, failed := make([]time.Duration, browsers), make([]error, browsers)
	var all sync.WaitGroup
	for i := range browsers {
		all.Go(func() {
			c, err := dial(cr.f.server.Listen)
			if err != nil {
				failed[i] = err
				return
			}
			defer c.Close()
			for n := range turns {
				at := time.Now()
				in, err := cr.attempt(c, i, n)
				if err != nil {
					failed[i] = err
					return
				}
				if waited[i] = max(waited[i], time.Since(at)); in {
					r.in.Add(1)
				} else {
					r.away.Add(1)
				}
			}
		})
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for n := 0; time.Since(began) < while; <-tick.C {
		for len(turns) < cap(turns) && (rate == 0 || float64(n) < rate*time.Since(began).Seconds()) {
			turns <- n
			n++
		}
	}
	close(turns)
	for range turns { // what nobody began
	}
	all.Wait()
	r.lasted, r.waited = time.Since(began), slices.Max(waited)
	for _, err := range failed {
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// every sends a request again and again until ctx ends, and gives how long each took.
func every(ctx context.Context, address string, req []byte) (took []time.Duration, err error) {
	c, err := dial(address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	do := repeat(req, http.StatusOK)(0)
	tick := time.NewTicker(besideEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		began := time.Now()
		if err := do(c); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
		<-tick.C
	}
	slices.Sort(took)
	return took, nil
}

// measureFlood prints what ten times as many sign-ins with passwords as the machine
// can do to those who get in, and to those who ask for something else (P-20).
func measureFlood(ctx context.Context, w io.Writer, f *fixture) error {
	cr, err := gatherCrowd(ctx, f)
	if err != nil {
		return err
	}
	calm, err := cr.rush(4*runtime.NumCPU(), floodLasts, 0)
	if err != nil {
		return fmt.Errorf("calm: %w", err)
	}
	if err := f.renew(ctx); err != nil {
		return err
	}
	besides := []struct {
		name string
		req  []byte
		took []time.Duration
		err  error
	}{
		{name: "introspection", req: request(http.MethodPost, "/oauth2/introspect", f.headers("Authorization", basic(f.api.id, f.api.secret)), "token="+f.accessToken)},
		{name: "key sets", req: request(http.MethodGet, "/oauth2/jwks", f.headers("Accept", "*/*"), "")},
	}
	during, stop := context.WithCancel(ctx)
	defer stop()
	var watching sync.WaitGroup
	for i := range besides {
		b := &besides[i]
		watching.Go(func() { b.took, b.err = every(during, f.server.Listen, b.req) })
	}
	flood, err := cr.rush(floodBrowsers, floodLasts, tenfold*calm.perSecond())
	ended := time.Now()
	stop()
	watching.Wait()
	if err != nil {
		return fmt.Errorf("flood: %w", err)
	}
	memory, err := resident(f.server.PID())
	if err != nil {
		return err
	}
	c, err := dial(f.server.Listen)
	if err != nil {
		return err
	}
	defer c.Close()
	for n := 0; ; n++ {
		in, err := cr.attempt(c, 0, n)
		if err != nil {
			return err
		}
		if in {
			break
		}
	}
	back := time.Since(ended)

	ratio := flood.perSecond() / calm.perSecond()
	fmt.Fprintf(w, "\n| %s with passwords, %d times what the machine can | measured | to reach | |\n|---|--:|--:|---|\n", flooding, tenfold)
	line := func(what, measured, target string, reached bool) {
		verdict := ""
		if target != "" {
			if verdict = "yes"; !reached {
				verdict = "**no**"
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", what, measured, target, verdict)
	}
	line("sign-ins a second, calm", fmt.Sprintf("%.1f", calm.perSecond()), "", true)
	line("tried a second, in the flood", fmt.Sprintf("%.0f", flood.offered()), "", true)
	line("got in a second, in the flood", fmt.Sprintf("%.1f, **%.2f** of calm", flood.perSecond(), ratio), "0.80", ratio >= 0.80)
	for _, b := range besides {
		if b.err != nil {
			return fmt.Errorf("%s beside the flood: %w", b.name, b.err)
		}
		p99 := b.took[len(b.took)*99/100]
		line(fmt.Sprintf("%s beside it, %d times: p50 %s, p99", b.name, len(b.took), ms(b.took[len(b.took)/2])), ms(p99), "50 ms", p99 <= 50*time.Millisecond)
	}
	line("longest wait for an answer, yes or no", ms(flood.waited), "", true)
	line("memory held", fmt.Sprintf("%.0f MiB", float64(memory)/(1<<20)), "512 MiB", memory <= 512<<20)
	line("until somebody got in again afterwards", ms(back), "5 s", back <= 5*time.Second)
	return nil
}
