package job_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/realm"
)

func TestATaskRunsOnceWhenDueOnWhicheverNode(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		var runs atomic.Int32
		task := job.Task{Name: "sweep", Every: time.Hour, Run: job.Whole(func(context.Context) error { runs.Add(1); return errors.New("tried") })}
		nodes := []*job.Schedule{
			job.New(e.DB, "nod_a", slog.New(slog.DiscardHandler), task),
			job.New(e.DB, "nod_b", slog.New(slog.DiscardHandler), task),
		}
		for want := int32(1); want <= 3; want++ {
			var wg sync.WaitGroup
			for _, n := range nodes {
				for range 4 {
					wg.Go(func() {
						if err := n.RunDue(t.Context()); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
			if got := runs.Load(); got != want {
				t.Fatalf("%d runs, want %d", got, want)
			}
			e.Clock.Advance(time.Hour)
		}
	})
}

func TestATaskOfADeadNodeIsTakenOver(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		ctx, die := context.WithCancel(t.Context())
		dead := job.New(e.DB, "nod_a", slog.New(slog.DiscardHandler), job.Task{Name: "sweep", Every: time.Hour, Run: job.Whole(func(context.Context) error { die(); return nil })})
		if err := dead.RunDue(ctx); err == nil {
			t.Fatal("the dead node finished its task")
		}
		ran := false
		other := job.New(e.DB, "nod_b", slog.New(slog.DiscardHandler), job.Task{Name: "sweep", Every: time.Hour, Run: job.Whole(func(context.Context) error { ran = true; return nil })})
		for _, step := range []struct {
			wait time.Duration
			want bool
		}{{0, false}, {5 * time.Minute, true}} {
			e.Clock.Advance(step.wait)
			if err := other.RunDue(t.Context()); err != nil {
				t.Fatal(err)
			}
			if ran != step.want {
				t.Errorf("after %v ran = %v", step.wait, ran)
			}
		}
	})
}

// However many realms there are and however short the time, each has its turn,
// on whichever node, and then all rest until the next. Always begin at "" in
// RunDue to see it fail.
func TestTheLastRealmHasItsTurn(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		realms, err := realm.NewRegistry(e.DB, e.Log, "https://id.example.com")
		if err != nil {
			t.Fatal(err)
		}
		e.Start(t)
		const many, atATime = 130, 40
		for i := range many {
			if _, err := realms.Create(t.Context(), audittest.By, realm.New{Name: fmt.Sprintf("r%03d", i)}); err != nil {
				t.Fatal(err)
			}
		}
		visits, broken := map[string]int{}, errors.New("broken")
		task := job.Task{Name: "sweep", Every: time.Hour, Run: func(ctx context.Context, after string) (string, error) {
			ctx, timeIsUp := context.WithCancel(ctx)
			defer timeIsUp()
			left := atATime
			return realms.Walk(ctx, after, func(ctx context.Context, name string) error {
				visits[name]++
				if left--; left == 0 {
					timeIsUp()
					return ctx.Err()
				}
				if name == "r007" {
					return broken
				}
				return nil
			})
		}}
		nodes := []*job.Schedule{
			job.New(e.DB, "nod_a", slog.New(slog.DiscardHandler), task),
			job.New(e.DB, "nod_b", slog.New(slog.DiscardHandler), task),
		}
		for round := 1; round <= 2; round++ {
			for i := range 10 { // four would do; the rest finds nothing due
				if err := nodes[i%2].RunDue(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for i := range many {
				if name := fmt.Sprintf("r%03d", i); visits[name] != round {
					t.Fatalf("after round %d realm %s had %d turns", round, name, visits[name])
				}
			}
			e.Clock.Advance(time.Hour)
		}
	})
}

// A task that takes long holds up none but itself: the others run beside it, and
// again when they are due again.
func TestASlowTaskHoldsUpItself(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		let, slow, quick := make(chan struct{}), make(chan struct{}, 9), make(chan struct{}, 9)
		s := job.New(e.DB, "nod_a", slog.New(slog.DiscardHandler),
			job.Task{Name: "slow", Every: time.Minute, Run: job.Whole(func(context.Context) error { slow <- struct{}{}; <-let; return nil })},
			job.Task{Name: "quick", Every: time.Second, Run: job.Whole(func(context.Context) error { quick <- struct{}{}; return nil })})
		first := make(chan error, 1)
		go func() { first <- s.RunDue(t.Context()) }()
		defer func() { close(let); <-first }()
		for _, begun := range []chan struct{}{slow, quick} {
			select {
			case <-begun:
			case <-time.After(30 * time.Second):
				t.Fatal("one of them waits for the other")
			}
		}
		for end := time.After(30 * time.Second); len(quick) == 0; {
			e.Clock.Advance(time.Hour) // so that the slow one has overstayed its time as well
			if err := s.RunDue(t.Context()); err != nil {
				t.Fatal(err)
			}
			select {
			case <-end:
				t.Fatal("the quick task does not run again")
			default:
			}
		}
		if n := len(slow); n != 0 {
			t.Errorf("the slow task met itself: it began %d times more", n)
		}
	})
}

// To look costs the same however many tasks there are, and writes nothing.
func TestToLookIsOneQuestion(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		look := func(tasks int) (trips int) {
			var all []job.Task
			for i := range tasks {
				all = append(all, job.Task{Name: fmt.Sprintf("task%d", i), Every: time.Hour, Run: job.Whole(func(context.Context) error { return nil })})
			}
			s := job.New(e.DB, "nod_a", slog.New(slog.DiscardHandler), all...)
			for range 2 { // the first time all are due
				watched, sent := dbtest.Watch(t.Context())
				if err := s.RunDue(watched); err != nil {
					t.Fatal(err)
				}
				trips = sent.Trips()
			}
			return trips
		}
		if one, many := look(1), look(9); one == 0 || one != many {
			t.Errorf("one task takes %d, nine take %d", one, many)
		}
	})
}

// A task that gets no further is not tried without pause.
func TestATaskThatGetsNowhereWaits(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		runs := 0
		s := job.New(e.DB, "nod_a", slog.New(slog.DiscardHandler), job.Task{Name: "sweep", Every: time.Hour, Run: func(_ context.Context, after string) (string, error) {
			runs++
			return "m", errors.New("no database")
		}})
		for range 5 {
			if err := s.RunDue(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if runs != 2 {
			t.Errorf("%d runs, want 2: to m, and once from there", runs)
		}
	})
}
