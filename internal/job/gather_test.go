package job_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/job"
)

func TestWhatGathersIsDoneTogetherAndAtTheEnd(t *testing.T) {
	times := 0
	g := job.NewGather(time.Hour, func(ctx context.Context) error { times++; return ctx.Err() }, func(err error) { t.Error(err) })
	if err := g.Close(); err != nil || times != 0 {
		t.Errorf("never started: done %d times, %v", times, err)
	}
	g.Start()
	for range 3 {
		g.Poke()
	}
	if err := g.Close(); err != nil || times != 1 {
		t.Errorf("done %d times, %v", times, err)
	}
}

func TestOneComplaintForFailuresInARow(t *testing.T) {
	outcomes := make(chan error)
	complaints := 0
	g := job.NewGather(0, func(context.Context) error { return <-outcomes }, func(error) { complaints++ })
	g.Start()
	broken := errors.New("broken")
	for _, outcome := range []error{broken, broken, nil, broken, nil} {
		g.Poke()
		outcomes <- outcome
	}
	closed := make(chan error)
	go func() { closed <- g.Close() }()
	outcomes <- nil
	if err := <-closed; err != nil || complaints != 2 {
		t.Errorf("%d complaints, %v", complaints, err)
	}
}
