package job

import (
	"context"
	"time"
)

// lastTry is how long Gather.Close may take for what is left.
const lastTry = 5 * time.Second

// A Gather does together what comes within a while, because that is cheaper.
type Gather struct {
	wait   time.Duration
	do     func(context.Context) error
	failed func(error)
	poke   chan struct{}
	stop   func()
}

// NewGather has do called a while after something came. What it could not do is
// its to keep; failed hears of the first failure in a row.
func NewGather(wait time.Duration, do func(context.Context) error, failed func(error)) *Gather {
	return &Gather{wait: wait, do: do, failed: failed, poke: make(chan struct{}, 1)}
}

// Poke says that something came. It never waits.
func (g *Gather) Poke() {
	select {
	case g.poke <- struct{}{}:
	default:
	}
}

// Start begins to do what gathers.
func (g *Gather) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	g.stop = func() { cancel(); <-done }
	go func() {
		defer close(done)
		g.forever(ctx)
	}()
}

func (g *Gather) forever(ctx context.Context) {
	complained := false
	for {
		select {
		case <-g.poke:
		case <-ctx.Done():
			return
		}
		t := time.NewTimer(g.wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		err := g.do(ctx)
		if err != nil && ctx.Err() == nil && !complained {
			g.failed(err)
		}
		complained = err != nil
	}
}

// Close ends it, and does what is left, unless it was never started.
func (g *Gather) Close() error {
	if g.stop == nil {
		return nil
	}
	g.stop()
	ctx, cancel := context.WithTimeout(context.Background(), lastTry)
	defer cancel()
	return g.do(ctx)
}
