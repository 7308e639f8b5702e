package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/e2e/live"
)

// withinGrowth is how much of its speed an installation keeps with many people.
const withinGrowth = 0.90

// measureGrown runs all works on an installation with many people and grants
// beside one without, in alternating rounds: everything on SQLite, and what
// writes on PostgreSQL.
func measureGrown(ctx context.Context, w io.Writer, o options, engine, database string) error {
	dir, err := os.MkdirTemp("", "cardea-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(w, "\n## %s, with %d people and without\n", engine, o.principals)
	var servers [2]*live.Server
	var sides [2]*fixture
	for i, people := range []int{0, o.principals} {
		server, ready, err := installed(ctx, w, o, filepath.Join(dir, fmt.Sprint(people)), database, people)
		if err != nil {
			return err
		}
		defer server.Stop()
		fmt.Fprintf(w, "\nReady %d ms after the start with %d people.\n", ready.Milliseconds(), people)
		servers[i] = server
	}
	for i, server := range servers {
		f, err := prepare(ctx, server, slices.Max(o.conns))
		if err != nil {
			return err
		}
		sides[i] = f
	}
	list := func(side int) []work { return append(works(sides[side]), besides(sides[side])...) }
	var rows []row
	for i, work := range list(0) {
		if !strings.Contains(work.name, o.only) || database != "" && !work.durable {
			continue
		}
		without := &process{address: servers[0].Listen, pid: servers[0].PID()}
		for _, f := range sides {
			if err := f.renew(ctx); err != nil {
				return err
			}
		}
		work.target, work.limit, work.cardea = withinGrowth, list(0)[i].cardea, list(1)[i].cardea
		for _, conns := range o.conns {
			r, err := compare(o, servers[1], without, work, conns)
			if err != nil {
				return fmt.Errorf("%s with %d connections: %w", work.name, conns, err)
			}
			rows = append(rows, r)
		}
	}
	fmt.Fprintln(w)
	printRows(w, rows, "with", "without")
	var held [2]int64
	for i, s := range servers {
		held[i], err = resident(s.PID())
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\nIn the end they hold %d and %d MiB.\n", held[1]>>20, held[0]>>20)
	return nil
}

// installed starts a new installation with policies and so many people, and tells how
// long it took to be ready.
func installed(ctx context.Context, w io.Writer, o options, dir, database string, people int) (server *live.Server, ready time.Duration, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, 0, err
	}
	if database != "" {
		if database, err = newDatabase(ctx, database, "cardea"); err != nil {
			return nil, 0, err
		}
	}
	server, err = live.Install(ctx, live.Options{Binary: o.binary, Dir: dir, Database: database, Env: environment})
	if err != nil {
		return nil, 0, err
	}
	if people > 0 {
		if err := fill(ctx, w, server, people); err != nil {
			return nil, 0, err
		}
	}
	if err := govern(ctx, server); err != nil {
		return nil, 0, fmt.Errorf("policies: %w", err)
	}
	began := time.Now()
	if err := server.Start(ctx); err != nil {
		return nil, 0, err
	}
	return server, time.Since(began), nil
}

// grown measures on the engines that are asked for.
func grown(ctx context.Context, o options, w io.Writer) error {
	printMachine(w)
	var failed error
	if o.engine != "postgres" {
		failed = measureGrown(ctx, w, o, "SQLite", "")
	}
	if o.engine != "sqlite" && o.postgres != "" {
		failed = errors.Join(failed, measureGrown(ctx, w, o, "PostgreSQL", o.postgres))
	}
	return failed
}
