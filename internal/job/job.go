// Package job does work that nobody waits for.
//
// A [Schedule] runs recurring tasks, each on one node at a time, whichever gets
// to it first. Nothing that must hold depends on a task having run: expiry is
// decided at use, and what tasks remove is already dead.
//
// A [Queue] does single jobs that were promised when something was committed,
// such as to tell an application that a session has ended: at least once, on
// whichever node, and again until it works or is given up.
//
// A [Gather] does what has gathered in memory, together.
package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// Task is a piece of recurring work.
type Task struct {
	Name  string
	Every time.Duration
	// Run does the work, from behind where the last run got to; "" is the
	// beginning. It is stopped after hold, and then says where to go on, which
	// happens soon, on whichever node; "" says that it came to the end. It may run again on another node if this one dies midway.
	Run func(ctx context.Context, after string) (next string, err error)
}

// Whole is the Run of work that is not done in parts.
func Whole(do func(ctx context.Context) error) func(context.Context, string) (string, error) {
	return func(ctx context.Context, _ string) (string, error) { return "", do(ctx) }
}

// Schedule runs tasks when they are due.
type Schedule struct {
	db     *db.DB
	node   string
	log    *slog.Logger
	tasks  []Task
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	busy map[string]bool // the tasks that run here
}

const (
	look = 5 * time.Second // how often the schedule looks whether something is due
	hold = 5 * time.Minute // how long a node may keep a task
)

// New makes a schedule of tasks, run in the name of node.
func New(d *db.DB, node string, log *slog.Logger, tasks ...Task) *Schedule {
	return &Schedule{db: d, node: node, log: log, tasks: tasks, busy: map[string]bool{}}
}

// Start begins to run what is due. It does not wait for what takes long before it
// looks again.
func (s *Schedule) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.wg.Go(func() {
		t := time.NewTicker(look)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.wg.Go(func() {
					if err := s.RunDue(ctx); err != nil && ctx.Err() == nil {
						s.log.Warn("recurring tasks", "err", err)
					}
				})
			case <-ctx.Done():
				return
			}
		}
	})
}

// Close stops running tasks and waits for them.
func (s *Schedule) Close() {
	if s.cancel != nil {
		s.cancel()
		s.wg.Wait()
	}
}

// RunDue runs every task that is due and that nobody holds, one beside the other, so
// that a slow one holds up none but itself. A task that fails is tried again at its
// next turn, and its error is kept in its row.
func (s *Schedule) RunDue(ctx context.Context) error {
	var rest []string
	err := s.db.SystemView(ctx, func(tx *db.Tx) (err error) {
		rest, err = resting(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("look what is due: %w", err)
	}
	failed := make([]error, len(s.tasks))
	var wg sync.WaitGroup
	for i, t := range s.tasks {
		if slices.Contains(rest, t.Name) || !s.begin(t.Name) {
			continue
		}
		wg.Go(func() {
			defer s.end(t.Name)
			failed[i] = s.try(ctx, t)
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// begin reports whether a task does not run here yet, and has it marked: one that
// overstays its time must not meet itself.
func (s *Schedule) begin(task string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[task] {
		return false
	}
	s.busy[task] = true
	return true
}

func (s *Schedule) end(task string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, task)
}

// try runs a task if no other node was faster.
func (s *Schedule) try(ctx context.Context, t Task) error {
	var mine bool
	var after string
	err := s.db.SystemRC(ctx, func(tx *db.Tx) (err error) {
		after, mine, err = claim(tx, t.Name, s.node, hold)
		return err
	})
	if err != nil {
		return fmt.Errorf("claim %s: %w", t.Name, err)
	}
	if !mine {
		return nil
	}
	if err := s.run(ctx, t, after); err != nil {
		return fmt.Errorf("finish %s: %w", t.Name, err)
	}
	return nil
}

func (s *Schedule) run(ctx context.Context, t Task, after string) error {
	held, cancel := context.WithTimeout(ctx, hold)
	next, err := t.Run(held, after)
	cancel()
	said := ""
	if err != nil {
		said = err.Error()
		s.log.Warn("a recurring task", "task", t.Name, "err", err)
	}
	wait := t.Every
	if next != "" && next != after { // one that gets nowhere waits for its turn
		wait = 0
		s.log.Info("a recurring task goes on soon", "task", t.Name, "after", next)
	}
	return s.db.SystemRC(ctx, func(tx *db.Tx) error { return finish(tx, t.Name, s.node, tx.Now.Add(wait), next, said) })
}
