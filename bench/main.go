// Command bench measures Cardea beside the least that the same answers can
// cost: the limit server in the folder limit, plain net/http without care. Both
// run on the same machine under the same closed-loop load, one after the other
// in alternating rounds. It prints Markdown tables, and ends with an error when
// the yardstick itself is slow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/e2e/live"
)

type options struct {
	binary, limit, postgres, only, engine string
	seconds                               float64
	rounds, principals, verifiers         int
	conns                                 []int
}

func main() {
	o := options{conns: []int{16, 64}}
	flag.StringVar(&o.binary, "cardea", "bin/cardea", "the binary to measure")
	flag.StringVar(&o.limit, "limit", "bin/limit", "the limit server's binary")
	flag.StringVar(&o.postgres, "postgres", os.Getenv("CARDEA_TEST_POSTGRES"), "a PostgreSQL superuser URL; empty leaves PostgreSQL out")
	flag.StringVar(&o.only, "only", "", "measure only works whose name contains this")
	flag.StringVar(&o.engine, "engine", "", "measure on sqlite or on postgres only; empty measures on both")
	flag.Float64Var(&o.seconds, "seconds", 3, "length of a round")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds per work; the median is printed")
	flag.IntVar(&o.principals, "principals", 0, "measure an installation with so many people and grants beside one without, instead of beside the limit server")
	flag.IntVar(&o.verifiers, "verifiers", 1000, "connected verifiers for the revocation latency; 0 leaves it out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	measured := bench
	if o.principals > 0 {
		measured = grown
	}
	if err := measured(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, o options, w io.Writer) error {
	printMachine(w)
	if err := printSize(ctx, w, o); err != nil {
		return err
	}
	var slow error
	if o.engine != "postgres" {
		slow = measure(ctx, w, o, "SQLite", "")
	}
	if slow != nil && !errors.Is(slow, errSlowYardstick) || o.engine == "sqlite" || o.postgres == "" {
		return slow
	}
	return errors.Join(measure(ctx, w, o, "PostgreSQL", o.postgres), slow)
}

// environment lets each unit of work come from a network of its own, and the works
// be prepared without waiting for the rate of operators.
var environment = []string{"CARDEA_TRUSTED_PROXIES=127.0.0.1", "CARDEA_RATES_ADMIN_WRITE=600000/1m"}

// measure runs all works on one database: everything on SQLite, and what
// writes on PostgreSQL.
func measure(ctx context.Context, w io.Writer, o options, engine, database string) error {
	dir, err := os.MkdirTemp("", "cardea-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	theirs := filepath.Join(dir, "limit.db")
	if database != "" {
		if theirs, err = newDatabase(ctx, database, "limit"); err != nil {
			return err
		}
	}
	server, _, err := installed(ctx, w, o, filepath.Join(dir, "cardea"), database, 0)
	if err != nil {
		return err
	}
	defer server.Stop()
	f, err := prepare(ctx, server, slices.Max(o.conns))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n## %s\n\n", engine)
	logBytes, err := logPerRequest(ctx, server)
	if err != nil {
		return err
	}
	if err := saveBodies(ctx, f, dir); err != nil {
		return err
	}
	limit, err := start(ctx, dir, "limit", "127.0.0.1:", nil, o.limit, "-database", theirs, "-bodies", dir, "-log-bytes", fmt.Sprint(logBytes))
	if err != nil {
		return err
	}
	defer limit.stop()
	limit.address = "127.0.0.1:" + limit.address
	var rows []row
	measured := func(beside *process, list func(*fixture) []work) error {
		for i, work := range list(f) {
			if !strings.Contains(work.name, o.only) || engine != "SQLite" && !work.durable {
				continue
			}
			if err := f.renew(ctx); err != nil {
				return err
			}
			work = list(f)[i] // with these tokens
			for _, conns := range o.conns {
				r, err := compare(o, server, beside, work, conns)
				if err != nil {
					return fmt.Errorf("%s with %d connections: %w", work.name, conns, err)
				}
				rows = append(rows, r)
			}
		}
		return nil
	}
	if err := measured(limit, works); err != nil {
		return err
	}
	if err := measured(&process{address: server.Listen, pid: server.PID()}, besides); err != nil {
		return err
	}
	for _, conns := range o.conns {
		if engine != "SQLite" || !strings.Contains(logged, o.only) {
			break
		}
		if err := f.renew(ctx); err != nil {
			return err
		}
		r, err := compareLog(ctx, o, f, conns)
		if err != nil {
			return fmt.Errorf("%s with %d connections: %w", logged, conns, err)
		}
		rows = append(rows, r)
	}
	printRows(w, rows, "Cardea", "limit")
	if strings.Contains(flooding, o.only) {
		if err := measureFlood(ctx, w, f); err != nil {
			return err
		}
	}
	var slow error // told at the end: the rest is worth knowing all the same
	if engine == "SQLite" {
		if slow = checkYardstick(w, o, limit); slow != nil && !errors.Is(slow, errSlowYardstick) {
			return slow
		}
	}
	if o.verifiers == 0 || !strings.Contains("revocation", o.only) {
		return slow
	}
	if err := measureRevocation(ctx, w, f, o.verifiers, nil); err != nil || engine == "SQLite" {
		return errors.Join(err, slow)
	}
	twin, err := server.Twin()
	if err != nil {
		return err
	}
	if err := twin.Start(ctx); err != nil {
		return err
	}
	defer twin.Stop()
	return measureRevocation(ctx, w, f, o.verifiers, twin)
}

// compare alternates between the two servers, so that a machine that slows
// down slows both, and keeps the median round of each.
func compare(o options, server *live.Server, limit *process, work work, conns int) (row, error) {
	while := time.Duration(o.seconds * float64(time.Second))
	var ours, theirs []result
	for range o.rounds {
		r, err := run(server.Listen, server.PID(), conns, while, work.cardea)
		if err != nil {
			return row{}, fmt.Errorf("cardea: %w", err)
		}
		ours = append(ours, r)
		if r, err = run(limit.address, limit.pid, conns, while, work.limit); err != nil {
			return row{}, fmt.Errorf("limit: %w", err)
		}
		theirs = append(theirs, r)
	}
	return row{work.name, conns, median(ours), median(theirs), work.target}, nil
}

func median(all []result) result {
	slices.SortFunc(all, func(a, b result) int { return int(a.perSecond - b.perSecond) })
	return all[len(all)/2]
}

// saveBodies keeps Cardea's answers for the limit server to repeat.
func saveBodies(ctx context.Context, f *fixture, dir string) error {
	for name, ask := range map[string]func() (*http.Request, error){
		"discovery.json": func() (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodGet, f.server.Issuer+"/.well-known/openid-configuration", nil)
		},
		"jwks.json": func() (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodGet, f.server.Issuer+"/oauth2/jwks", nil)
		},
		"introspect.json": func() (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.server.Issuer+"/oauth2/introspect", strings.NewReader("token="+f.accessToken))
			if err == nil {
				req.SetBasicAuth(f.api.id, f.api.secret)
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			return req, err
		},
		"decision.json":  func() (*http.Request, error) { return f.ask(ctx, "/access/v1/evaluation", question) },
		"decisions.json": func() (*http.Request, error) { return f.ask(ctx, "/access/v1/evaluations", many) },
		"signin.html": func() (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodGet, f.server.Issuer+"/signin", nil)
		},
		"userinfo.json": func() (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.server.Issuer+"/oauth2/userinfo", nil)
			if err == nil {
				req.Header.Set("Authorization", "Bearer "+f.userToken)
			}
			return req, err
		},
	} {
		req, err := ask()
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			return err
		}
	}
	return nil
}

var errSlowYardstick = errors.New("the limit server reaches less than 90 % of what net/http and signing allow: a slow yardstick is no yardstick")
