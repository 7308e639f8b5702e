package job_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/job"
)

func TestATaskRunsOnceWhenDueOnWhicheverNode(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		var runs atomic.Int32
		task := job.Task{Name: "sweep", Every: time.Hour, Run: func(context.Context) error { runs.Add(1); return errors.New("tried") }}
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
		dead := job.New(e.DB, "nod_a", slog.New(slog.DiscardHandler), job.Task{Name: "sweep", Every: time.Hour, Run: func(context.Context) error { die(); return nil }})
		if err := dead.RunDue(ctx); err == nil {
			t.Fatal("the dead node finished its task")
		}
		ran := false
		other := job.New(e.DB, "nod_b", slog.New(slog.DiscardHandler), job.Task{Name: "sweep", Every: time.Hour, Run: func(context.Context) error { ran = true; return nil }})
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
