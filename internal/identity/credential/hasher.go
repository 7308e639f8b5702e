package credential

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

// hasher bounds how many password hashes are computed at a time: each takes a
// core and tens of mebibytes. Who waits too long, or finds too many before him,
// is told to come back, so that a flood of sign-ins slows sign-in only (P-20).
type hasher struct {
	slots    chan struct{}
	admitted atomic.Int64
	room     int64
	patience time.Duration
}

// A hash takes about 50 ms, so a queue of this many per core is worked off
// within about a second.
const queuePerSlot = 20

func newHasher(slots int, patience time.Duration) *hasher {
	if slots <= 0 {
		slots = cores
	}
	return &hasher{slots: make(chan struct{}, slots), room: int64(slots * (queuePerSlot + 1)), patience: patience}
}

// admit lets somebody in who will need a hash, before the database is asked for
// anything on his account; he calls leave when done. fault.TooMany says that
// too many are in.
func (h *hasher) admit() (leave func(), err error) {
	if h.admitted.Add(1) > h.room {
		h.admitted.Add(-1)
		return nil, busy()
	}
	return func() { h.admitted.Add(-1) }, nil
}

// run calls fn on the caller's goroutine when there is a slot. fault.TooMany
// says that there was none in time.
func (h *hasher) run(ctx context.Context, fn func()) error {
	select {
	case h.slots <- struct{}{}:
	default:
		elbow.wait()
		patience := time.NewTimer(h.patience)
		defer patience.Stop()
		select {
		case h.slots <- struct{}{}:
		case <-patience.C:
			return busy()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-h.slots }()
	fn()
	return nil
}

func busy() error {
	return fault.New(fault.TooMany, "sign_in_busy", "too many people are signing in at this moment; try again").WithRetry(2 * time.Second)
}
