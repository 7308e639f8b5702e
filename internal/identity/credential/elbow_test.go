package credential

import (
	"context"
	"testing"
	"time"
)

// While somebody waits for a hash there is more room, and no longer than a second or
// two after the last.
func TestThereIsRoomWhileSomebodyWaits(t *testing.T) {
	var wide, changes int
	var next func()
	before := elbow
	defer func() { elbow = before }()
	elbow = &room{
		widen: func() { wide++; changes++ }, narrow: func() { wide--; changes++ },
		after: func(_ time.Duration, fn func()) { next = fn },
	}
	h := newHasher(1, time.Hour)
	if err := h.run(t.Context(), func() {}); err != nil || wide != 0 || next != nil {
		t.Fatalf("nobody waited: %v, %d", err, wide)
	}
	begun, hold, gone := make(chan bool), make(chan bool), make(chan error)
	go func() { gone <- h.run(context.Background(), func() { begun <- true; <-hold }) }()
	<-begun
	ctx, leave := context.WithCancel(t.Context())
	leave()
	for range 2 { // two who wait make room once
		if err := h.run(ctx, func() {}); err == nil {
			t.Fatal("nobody waited")
		}
	}
	if wide != 1 {
		t.Fatalf("somebody waits: %d", wide)
	}
	next() // somebody did, since it was made
	if wide != 1 {
		t.Error("taken back while people wait")
	}
	next()
	if wide != 0 || changes != 2 {
		t.Errorf("nobody waited for a second: %d, %d changes", wide, changes)
	}
	hold <- true
	if err := <-gone; err != nil {
		t.Error(err)
	}
}

// Where Go may use less than the machine has, by a quota or the operator's word, more
// processors would be throttled: nobody who waits makes room.
func TestNoRoomIsMadeWhereProcessorsAreRationed(t *testing.T) {
	for _, c := range []struct {
		procs, cpus int
		want        bool
	}{{1, 1, false}, {2, 2, false}, {8, 8, false}, {4, 2, false}, {1, 2, true}, {2, 8, true}, {7, 8, true}} {
		if got := rationed(c.procs, c.cpus); got != c.want {
			t.Errorf("%d of %d processors: rationed is %v", c.procs, c.cpus, got)
		}
	}
	r := &room{rationed: true, widen: func() { t.Error("room is made") }, after: func(time.Duration, func()) { t.Error("room is looked after") }}
	r.wait()
}
