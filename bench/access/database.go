package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/cardea-id/cardea/internal/access/decide"
	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"

	"github.com/jackc/pgx/v5"
)

// realm is where everything is measured.
const realm = "bench"

// place is an empty database with an event log that is not started.
type place struct {
	*db.DB
	log  *audit.Log
	gone func()
}

// placed makes a place in a folder of its own, or in a new database of a server.
func placed(ctx context.Context, server string) (*place, error) {
	dir, err := os.MkdirTemp("", "cardea-bench-access-")
	if err != nil {
		return nil, err
	}
	address, gone := filepath.Join(dir, "bench.db"), func() { _ = os.RemoveAll(dir) }
	if server != "" {
		if address, err = newDatabase(ctx, server); err != nil {
			gone()
			return nil, err
		}
	}
	d, err := db.Open(ctx, db.Options{URL: address, MaxConns: 8})
	if err != nil {
		gone()
		return nil, err
	}
	if err := d.Migrate(ctx); err != nil {
		d.Close()
		gone()
		return nil, err
	}
	return &place{DB: d, log: audit.New(d, audit.Options{}), gone: gone}, nil
}

// start starts the log. Close ends all of it.
func (p *place) start(ctx context.Context) error {
	err := p.log.Start(ctx)
	if err != nil {
		p.close()
	}
	return err
}

func (p *place) close() {
	p.log.Close()
	p.DB.Close()
	p.gone()
}

func newDatabase(ctx context.Context, server string) (string, error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	name := fmt.Sprintf("bench_access_%d", time.Now().UnixNano())
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", err
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

// bySQL measures checks of a realm that has more facts than are held in memory.
func bySQL(ctx context.Context, engine, server string, n int, limit float64) error {
	set, err := policy.Compile(ofRoles())
	if err != nil {
		return err
	}
	p, err := placed(ctx, server)
	if err != nil {
		return err
	}
	facts := relation.NewStore(relation.Options{DB: p.DB, Log: p.log})
	snaps := decide.New(decide.Options{DB: p.DB, Log: p.log, Facts: facts, Most: 1, Policies: func(*db.Tx) (*policy.Set, error) { return set, nil }})
	if err := p.start(ctx); err != nil {
		return err
	}
	defer p.close()
	begun := time.Now()
	var batch relation.Batch
	write := func(t graph.Tuple) error {
		if batch.Add = append(batch.Add, t); len(batch.Add) < relation.MaxOps {
			return nil
		}
		_, err := facts.Write(ctx, audit.System, realm, batch)
		batch.Add = batch.Add[:0]
		return err
	}
	if err := relations(n, write); err != nil {
		return err
	}
	if len(batch.Add) > 0 {
		if _, err := facts.Write(ctx, audit.System, realm, batch); err != nil {
			return err
		}
	}
	wrote := time.Since(begun)
	const asked = 4000
	each, yes := make([]time.Duration, 0, asked), 0
	for i, q := range questions(n, asked+asked/4) {
		q.At = p.DB.Now()
		t := time.Now()
		s, _, err := snaps.For(ctx, realm, audit.Position{}, &q)
		if err != nil {
			return err
		}
		if policy.Decide(s, &q).Allowed {
			yes++
		}
		if i >= asked/4 { // what is asked first warms up
			each = append(each, time.Since(t))
		}
	}
	slices.Sort(each)
	var sum time.Duration
	for _, d := range each {
		sum += d
	}
	mean, p99 := float64(sum.Nanoseconds())/asked/1000, float64(each[asked*99/100].Nanoseconds())/1000
	met := "yes"
	if yes < len(each)/2 {
		err = fmt.Errorf("only %d questions are answered with yes by SQL on %s", yes, engine)
	}
	if p99 > limit {
		met = "**no**"
		err = fmt.Errorf("p99 of a check by SQL on %s", engine)
	}
	fmt.Printf("| %s | %d | %.0f s | %s | %s | %d | %s | %s |\n", engine, n, wrote.Seconds(), micros(mean), micros(p99), yes, micros(limit), met)
	return err
}

// replayed measures how many decisions of the log a plan asks again, of policies of
// before and after, for each second of one core.
func replayed(ctx context.Context, w world, n int) error {
	const target = 50_000
	facts, err := w.snapshot()
	if err != nil {
		return err
	}
	p, err := placed(ctx, "")
	if err != nil {
		return err
	}
	log := journal.New(p.DB, "bench", slog.Default())
	r := version.New(version.Options{DB: p.DB, Log: p.log,
		Facts: func(context.Context, string) (func(*policy.Set) *policy.Snapshot, error) { return facts.With, nil },
		Decisions: func(ctx context.Context, name string, since, until time.Time, yield func(version.Recorded) error) error {
			for e, err := range log.Replay(ctx, name, since, until) {
				if err != nil {
					return err
				}
				q := e.Question
				q.At = e.At
				if err := yield(version.Recorded{ID: e.ID, Question: q, Allowed: e.Answer.Allowed}); err != nil {
					return err
				}
			}
			return nil
		}})
	if err := p.start(ctx); err != nil {
		return err
	}
	defer p.close()
	defer r.Close()
	if _, err := r.Apply(ctx, audit.System, realm, version.Change{Files: files(policies), Message: "bench"}); err != nil {
		return err
	}
	for i := range n {
		q := w.asked[i%len(w.asked)]
		q.At = p.DB.Now()
		log.Note(realm, "", &journal.Entry{ID: fmt.Sprintf("dec_%026d", i), At: q.At, Kind: journal.Evaluation, Question: q, Answer: policy.Decide(facts, &q), Client: "bench"})
		if i%10_000 == 9_999 || i == n-1 {
			if err := log.Flush(ctx); err != nil {
				return err
			}
		}
	}
	before, begun := processor(), time.Now()
	plan, err := r.Plan(ctx, realm, files(stricter), 0)
	if err != nil {
		return err
	}
	took, used := time.Since(begun), processor()-before
	if !plan.OK() || plan.Replay.Partial || plan.Replay.Decisions != n || plan.Replay.Unaffected > 0 {
		return fmt.Errorf("a replay of %d decisions: %v, %+v", n, plan.Problems, plan.Replay.Decisions)
	}
	perCore := float64(n) / used.Seconds()
	met := "yes"
	if perCore < target {
		met = "**no**"
		err = fmt.Errorf("%d decisions replayed per second and core", target)
	}
	fmt.Printf("| %d | %.2f s | %.2f s | %.0f | %d | %s |\n", n, took.Seconds(), used.Seconds(), perCore, target, met)
	return err
}

// processor is how long this process has kept processors busy.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it has no other errors than those of a wrong call
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// files is the folder of the workload with some policies.
func files(policies string) folder.Files {
	return folder.Files{{Path: "policies/bench.cedar", Text: []byte(policies)}, {Path: folder.RolesFile, Text: []byte(rolesFile)}, {Path: folder.SchemaFile, Text: []byte(schema)}}
}
