package feed

import (
	"testing"
	"time"
)

type quiet struct{ *Feed }

func (q *quiet) Run() { <-q.Live.Done() }

func TestAFeedIsForgottenWhenNobodyFollowsForLong(t *testing.T) {
	var all Feeds[*quiet]
	all.Init(10)
	t.Cleanup(all.Close)
	join := func() (*quiet, bool) {
		t.Helper()
		f, first, err := all.Join("home", func() *quiet { return &quiet{New("home")} })
		if err != nil {
			t.Fatal(err)
		}
		return f, first
	}
	f, first := join()
	same, second := join()
	if !first || second || same != f || all.Streams() != 2 {
		t.Fatalf("two who follow: %p %v, %p %v, %d streams", f, first, same, second, all.Streams())
	}
	all.Leave(f)
	if alone, forgotten := all.Alone(f, forget); alone || forgotten {
		t.Error("a feed that one still follows counts as alone")
	}
	all.Leave(f)
	if alone, forgotten := all.Alone(f, forget-time.Second); !alone || forgotten || all.Of("home") != f {
		t.Error("a feed is forgotten before its time")
	}
	if alone, forgotten := all.Alone(f, time.Second); !alone || !forgotten || all.Of("home") != nil || f.Live.Err() == nil {
		t.Error("a feed is not forgotten after its time")
	}
	if other, first := join(); !first || other == f {
		t.Error("who comes afterwards gets the feed that ended")
	}
}

func TestOneRealmLeavesStreamsToOthers(t *testing.T) {
	var all Feeds[*quiet]
	all.Init(4)
	t.Cleanup(all.Close)
	join := func(realm string) error {
		_, _, err := all.Join(realm, func() *quiet { return &quiet{New(realm)} })
		return err
	}
	for i, want := range []struct {
		realm   string
		refused bool
	}{{"a", false}, {"a", false}, {"a", false}, {"a", true}, {"b", false}, {"b", true}, {"c", true}} {
		if err := join(want.realm); (err != nil) != want.refused {
			t.Errorf("stream %d, of realm %s: %v", i, want.realm, err)
		}
	}
	all.Close()
	if err := join("a"); err == nil || all.Of("a") != nil {
		t.Error("a stream begins after the end")
	}
}

func TestARingForgetsTheOldestBeyondItsBounds(t *testing.T) {
	r := NewRing[int](3, 10)
	_, _, more, _ := r.After(0)
	var gone []int
	push := func(size, at int) {
		for _, f := range r.Push(Frame[int]{make([]byte, size), at}) {
			gone = append(gone, f.At)
		}
	}
	push(2, 0)
	select {
	case <-more:
	default:
		t.Error("who waits is not told of a frame")
	}
	push(2, 1)
	push(2, 2)
	push(2, 3) // too many
	push(9, 4) // too large together
	if len(gone) != 4 || gone[0] != 0 || gone[3] != 3 {
		t.Errorf("forgotten: %v", gone)
	}
	push(20, 5)
	if frames, first := r.All(); len(frames) != 1 || first != 5 || r.Next() != 6 {
		t.Errorf("a frame larger than the bounds: %d kept from %d", len(frames), first)
	}
	if _, _, _, ok := r.After(4); ok {
		t.Error("what was forgotten is read")
	}
	if frames, then, _, ok := r.After(5); !ok || len(frames) != 1 || then != 6 {
		t.Errorf("%d frames, then %d", len(frames), then)
	}
}
