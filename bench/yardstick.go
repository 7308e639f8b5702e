package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cardea-id/cardea/e2e/live"
)

// checkYardstick holds the limit server's processor time to what net/http and
// an ES256 signature cost by themselves.
func checkYardstick(w io.Writer, o options, limit *process) error {
	while := time.Duration(o.seconds * float64(time.Second))
	conns := o.conns[len(o.conns)-1]
	best := func(method, path, body string) (result, error) {
		least := result{}
		for range o.rounds {
			r, err := run(limit.address, limit.pid, conns, while, repeat(request(method, path, map[string]string{"Authorization": basic("limit", "limit")}, body), 200))
			if err != nil {
				return result{}, err
			}
			if least.cpu == 0 || r.cpu < least.cpu {
				least = r
			}
		}
		return least, nil
	}
	sign, err := signingTime()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe yardstick beside what it is made of (processor time per request, %d connections; one ES256 signature takes %s):\n\n", conns, us(sign))
	fmt.Fprintln(w, "| answer | net/http and signing alone | limit server | reaches |")
	fmt.Fprintln(w, "|---|--:|--:|--:|")
	slow := false
	for _, c := range []struct {
		name, method, path, body string
		more                     time.Duration
	}{
		{"discovery", http.MethodGet, "/discovery", "", 0},
		{"client_credentials, JWT ES256", http.MethodPost, "/jwt", "grant_type=client_credentials&scope=bench%3Aread", sign},
	} {
		raw, err := best(c.method, "/raw", c.body)
		if err != nil {
			return err
		}
		got, err := best(c.method, c.path, c.body)
		if err != nil {
			return err
		}
		reach := float64(raw.cpu+c.more) / float64(got.cpu)
		slow = slow || reach < 0.9
		fmt.Fprintf(w, "| %s | %s | %s | %.0f %% |\n", c.name, us(raw.cpu+c.more), us(got.cpu), 100*reach)
	}
	if slow {
		return errSlowYardstick
	}
	return nil
}

// signingTime is the processor time of one ES256 signature over a token while
// every processor signs, as under load.
func signingTime() (time.Duration, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, err
	}
	const n = 10000
	text, failed := make([]byte, 600), make([]error, runtime.GOMAXPROCS(0))
	began := time.Now()
	var all sync.WaitGroup
	for i := range failed {
		all.Go(func() {
			for range n {
				digest := sha256.Sum256(text)
				if _, _, err := ecdsa.Sign(rand.Reader, key, digest[:]); err != nil {
					failed[i] = err
				}
			}
		})
	}
	all.Wait()
	return time.Since(began) / n, errors.Join(failed...)
}

// logPerRequest measures how many bytes Cardea logs for a request.
func logPerRequest(ctx context.Context, s *live.Server) (int, error) {
	size := func() (int64, error) {
		last := int64(-1)
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for {
			info, err := os.Stat(s.LogFile())
			if err != nil || info.Size() == last {
				return last, err
			}
			last = info.Size()
			<-tick.C
		}
	}
	before, err := size()
	if err != nil {
		return 0, err
	}
	const n = 500
	for range n {
		if _, err := ready(ctx, s.Issuer+"/oauth2/jwks"); err != nil {
			return 0, err
		}
	}
	after, err := size()
	return max(1, int((after-before)/n)), err
}

// printSize says how big the binary is, how fast it starts and what it holds
// when it has nothing to do.
func printSize(ctx context.Context, w io.Writer, o options) error {
	info, err := os.Stat(o.binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cardea-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := live.Install(ctx, live.Options{Binary: o.binary, Dir: dir})
	if err != nil {
		return err
	}
	var took []time.Duration
	for range 5 {
		began := time.Now()
		if err := s.Start(ctx); err != nil {
			return err
		}
		took = append(took, time.Since(began))
		s.Stop()
	}
	fresh, err := firstStart(ctx, o.binary, dir)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer s.Stop()
	<-time.After(5 * time.Second)
	rss, err := resident(s.PID())
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n| | measured | to reach |\n|---|--:|--:|\n")
	fmt.Fprintf(w, "| binary, stripped | %.1f MiB | 40 MiB |\n", float64(info.Size())/(1<<20))
	fmt.Fprintf(w, "| start to ready (median of 5) | %d ms | 500 ms |\n", median5(took).Milliseconds())
	fmt.Fprintf(w, "| `cardea dev` on an empty folder to answering discovery | %d ms | 500 ms |\n", fresh.Milliseconds())
	fmt.Fprintf(w, "| memory held when idle | %.1f MiB | 50 MiB |\n", float64(rss)/(1<<20))
	return nil
}

func median5(all []time.Duration) time.Duration {
	for i := range all {
		for j := i; j > 0 && all[j] < all[j-1]; j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
	return all[len(all)/2]
}

// firstStart times what a newcomer waits for.
func firstStart(ctx context.Context, binary, dir string) (time.Duration, error) {
	var ports [3]int
	for i := range ports {
		var err error
		if ports[i], err = freePort(); err != nil {
			return 0, err
		}
	}
	issuer := fmt.Sprintf("http://localhost:%d", ports[0])
	cmd := exec.CommandContext(ctx, binary, "dev")
	cmd.Env = append(os.Environ(), "CARDEA_ISSUER="+issuer, fmt.Sprintf("CARDEA_LISTEN=127.0.0.1:%d", ports[0]),
		fmt.Sprintf("CARDEA_DEMO_APP_LISTEN=127.0.0.1:%d", ports[1]), fmt.Sprintf("CARDEA_DEMO_API_LISTEN=127.0.0.1:%d", ports[2]),
		"CARDEA_DATA="+filepath.Join(dir, "fresh"))
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if _, err := ready(ctx, issuer+"/.well-known/openid-configuration"); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// newDatabase makes an empty PostgreSQL database and gives its URL.
func newDatabase(ctx context.Context, admin, name string) (string, error) {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	name = fmt.Sprintf("bench_%s_%d", name, time.Now().UnixNano())
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", err
	}
	u := conn.Config().Copy()
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", u.User, u.Password, u.Host, u.Port, name), nil
}
