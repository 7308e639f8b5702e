package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cardea-id/cardea/e2e/live"
	"github.com/cardea-id/cardea/verify"
)

// A fleet is many verifiers, each with its own connection to the stream.
type fleet struct {
	verifiers []*verify.Verifier
	killed    []atomic.Int64 // revocations that each has applied
	at        []atomic.Int64 // when it applied the last, in nanoseconds
}

func gather(ctx context.Context, f *fixture, n int) (*fleet, error) {
	fl := &fleet{make([]*verify.Verifier, n), make([]atomic.Int64, n), make([]atomic.Int64, n)}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	for i := range n {
		v, err := verify.New(ctx, verify.Config{
			Issuer: f.server.Issuer, Audience: audience, HTTPClient: client,
			Credentials: verify.ClientSecret(f.api.id, f.api.secret), MaxStaleness: 30 * time.Second,
			OnChange: func(c verify.Change) {
				if c.Revoked > 0 && !c.Snapshot {
					fl.at[i].Store(c.At.UnixNano())
					fl.killed[i].Add(int64(c.Revoked))
				}
			},
		})
		if err != nil {
			return fl, err
		}
		fl.verifiers[i] = v
	}
	for _, v := range fl.verifiers {
		if err := v.Wait(ctx); err != nil {
			return fl, err
		}
	}
	return fl, nil
}

func (fl *fleet) close() {
	var all sync.WaitGroup
	for _, v := range fl.verifiers {
		if v != nil {
			all.Go(v.Close)
		}
	}
	all.Wait()
}

// revoke kills one grant and waits until every verifier has applied it. It
// gives the time to the acknowledgement, and each verifier's time, both from
// the moment before the call.
func (fl *fleet) revoke(ctx context.Context, f *fixture, t live.Tokens) (acknowledged time.Duration, seen []time.Duration, err error) {
	before := make([]int64, len(fl.verifiers))
	for i := range before {
		before[i] = fl.killed[i].Load()
	}
	began := time.Now()
	status, body, err := f.server.Post(ctx, "/oauth2/revoke", f.web.id, f.web.secret, url.Values{"token": {t.Refresh}})
	if err != nil || status != http.StatusOK {
		return 0, nil, fmt.Errorf("revocation answered %d %s %w", status, body, errors.Join(err))
	}
	acknowledged = time.Since(began)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := range fl.verifiers {
		for fl.killed[i].Load() == before[i] {
			if time.Since(began) > 20*time.Second {
				return 0, nil, fmt.Errorf("verifier %d heard nothing for 20 s", i)
			}
			<-tick.C
		}
		seen = append(seen, time.Duration(fl.at[i].Load()-began.UnixNano()))
	}
	// What was measured is news; that it means refusal is asked of a sample.
	for i := 0; i < len(fl.verifiers); i += max(1, len(fl.verifiers)/10) {
		if _, err := fl.verifiers[i].Verify(ctx, t.Access); !errors.Is(err, verify.ErrRevoked) {
			return 0, nil, fmt.Errorf("verifier %d says %v of a revoked token", i, err)
		}
	}
	return acknowledged, seen, nil
}

// measureRevocation prints how long a revocation takes to reach n verifiers.
// With a twin, that node is silent (stopped) whenever a grant is revoked.
func measureRevocation(ctx context.Context, w io.Writer, f *fixture, n int, twin *live.Server) error {
	fl, err := gather(ctx, f, n)
	defer fl.close()
	if err != nil {
		return err
	}
	times, limit, p99Limit := 100, time.Second, 250*time.Millisecond
	name := "all nodes healthy"
	if twin != nil {
		times, limit, p99Limit, name = 10, 2500*time.Millisecond, 2500*time.Millisecond, "one of two nodes silent"
	}
	var acks, all []time.Duration
	for range times {
		t, err := f.signIn(ctx)
		if err != nil {
			return err
		}
		if twin != nil {
			if err := silence(ctx, twin); err != nil {
				return err
			}
		}
		ack, seen, err := fl.revoke(ctx, f, t)
		if err != nil {
			return err
		}
		acks, all = append(acks, ack), append(all, seen...)
		if twin != nil {
			if err := syscall.Kill(twin.PID(), syscall.SIGCONT); err != nil {
				return err
			}
		}
	}
	slices.Sort(acks)
	slices.Sort(all)
	p99, most := all[len(all)*99/100], all[len(all)-1]
	verdict := "yes"
	if p99 > p99Limit || most > limit {
		verdict = "**no**"
	}
	fmt.Fprintf(w, "\n| revocation call → %d connected verifiers refuse, %s | p50 | p99 | max |\n|---|--:|--:|--:|\n", n, name)
	fmt.Fprintf(w, "| acknowledged | %s | %s | %s |\n", ms(acks[len(acks)/2]), ms(acks[len(acks)*99/100]), ms(acks[len(acks)-1]))
	fmt.Fprintf(w, "| refused by verifiers (p99 ≤ %s, max ≤ %s: %s) | %s | %s | %s |\n", ms(p99Limit), ms(limit), verdict, ms(all[len(all)/2]), ms(p99), ms(most))
	return nil
}

// silence stops a node right after it showed that it holds a lease.
func silence(ctx context.Context, twin *live.Server) error {
	if _, err := ready(ctx, "http://"+twin.Listen+"/readyz"); err != nil {
		return err
	}
	return syscall.Kill(twin.PID(), syscall.SIGSTOP)
}
