package credential

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

// hasher bounds how many password hashes are computed at a time: each takes a
// core and tens of mebibytes. Who waits too long, or finds too many waiting, is
// told to come back, so that a flood of sign-ins slows sign-in only (P-20).
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
	patient time.Duration
}

// A hash takes about 50 ms, so a queue of this many per core is worked off
// within about a second.
const queuePerSlot = 20

func newHasher(slots int, patient time.Duration) *hasher {
	if slots <= 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	return &hasher{slots: make(chan struct{}, slots), queue: int64(slots * queuePerSlot), patient: patient}
}

// run calls fn on the caller's goroutine when there is a slot. fault.TooMany
// says that there was none in time.
func (h *hasher) run(ctx context.Context, fn func()) error {
	if err := h.enter(ctx); err != nil {
		return err
	}
	defer func() { <-h.slots }()
	fn()
	return nil
}

func (h *hasher) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > h.queue {
		return busy()
	}
	patience := time.NewTimer(h.patient)
	defer patience.Stop()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-patience.C:
		return busy()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func busy() error {
	return fault.New(fault.TooMany, "sign_in_busy", "too many people are signing in at this moment; try again").WithRetry(2 * time.Second)
}
