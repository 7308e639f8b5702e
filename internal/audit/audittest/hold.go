package audittest

import (
	"context"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// Hold can keep the log from being applied, to see who waits for it.
type Hold struct {
	e             *Env
	reached, gate chan struct{}
}

// patience is how long a change that does not wait would need at most.
const patience = 200 * time.Millisecond

// Hold registers as a follower; call it before Start.
func (e *Env) Hold() *Hold {
	h := &Hold{e, make(chan struct{}), make(chan struct{})}
	e.Log.Follow("hold", func(r audit.Record) {
		if r.Action == "test.hold" {
			h.reached <- struct{}{}
			<-h.gate
		}
	}, func() {})
	return h
}

// Waits checks that a change succeeds, and that it is acknowledged only when
// what was committed before it is applied.
func (h *Hold) Waits(t *testing.T, what string, change func() error) {
	t.Helper()
	err := h.e.DB.Update(context.Background(), dbtest.Realm, func(tx *db.Tx) error {
		audit.Append(tx, By, audit.Event{Action: "test.hold", TargetType: "test", Target: "hold"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	<-h.reached
	go func() { done <- change() }()
	select {
	case err = <-done:
		t.Errorf("%s did not wait for what was not applied: %v", what, err)
		h.gate <- struct{}{}
		return
	case <-time.After(patience):
	}
	h.gate <- struct{}{}
	if err := <-done; err != nil {
		t.Errorf("%s: %v", what, err)
	}
}
