package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// realm is where everything is measured.
const realm = "bench"

// place is a database with an event log that is not started.
type place struct {
	*db.DB
	log  *audit.Log
	gone func()
}

// placed makes a place in a folder of its own.
func placed(ctx context.Context) (*place, error) {
	dir, err := os.MkdirTemp("", "cardea-bench-access-")
	if err != nil {
		return nil, err
	}
	gone := func() { _ = os.RemoveAll(dir) }
	p, err := opened(ctx, filepath.Join(dir, "bench.db"))
	if err != nil {
		gone()
		return nil, err
	}
	p.gone = gone
	return p, nil
}

// opened is the place of a database.
func opened(ctx context.Context, address string) (*place, error) {
	d, err := db.Open(ctx, db.Options{URL: address, MaxConns: 8})
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return &place{DB: d, log: audit.New(d, audit.Options{}), gone: func() {}}, nil
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

// replayed measures how many decisions of the log a plan asks again, of policies of
// before and after, for each second of one core.
func replayed(ctx context.Context, w world, n int) error {
	const target = 50_000
	facts, err := w.snapshot()
	if err != nil {
		return err
	}
	p, err := placed(ctx)
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
