package edge

import (
	"testing"
	"time"
)

// A message that was on its way for long is as old as it is, also the first one of a
// connection.
func TestWhatComesLateIsOld(t *testing.T) {
	here := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const ahead = 2 * time.Second // the server's clock
	there := func(at time.Time) int64 { return at.Add(ahead).UnixMilli() }
	for name, c := range map[string]struct {
		came, made, got time.Duration // after the request: there, there, here
		want            time.Duration // the age that it may be taken for, at least what it is
	}{
		"at once":       {0, 0, 0, 0},
		"soon":          {10 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond, 20 * time.Millisecond},
		"late":          {10 * time.Millisecond, 20 * time.Millisecond, 4 * time.Second, 3990 * time.Millisecond},
		"asked late":    {4 * time.Second, 4 * time.Second, 4 * time.Second, 4 * time.Second},
		"of old facts":  {10 * time.Millisecond, -time.Second, 20 * time.Millisecond, 1030 * time.Millisecond},
		"a clock ahead": {0, 3 * time.Second, 2 * time.Second, 0},
	} {
		now := here.Add(c.got)
		o := offset{now: func() time.Time { return now }, most: 30 * time.Second}
		if err := o.begin(there(here.Add(c.came)), here); err != nil {
			t.Fatal(err)
		}
		asOf, err := o.asOf(there(here.Add(c.made)))
		if got := now.Sub(asOf); err != nil || got != c.want || got < c.got-c.made {
			t.Errorf("%s: taken for %s old, want %s: %v", name, got, c.want, err)
		}
	}
}

// What was missed comes first where a stream goes on, and is as old as it is; once
// something new has come, nothing old may.
func TestWhatWasMissedIsOld(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	o := offset{now: func() time.Time { return now }, most: 10 * time.Second}
	if err := o.begin(now.Add(2*time.Minute).UnixMilli(), now); err == nil {
		t.Error("a clock that is minutes ahead is believed")
	}
	if err := o.begin(now.UnixMilli(), now); err != nil {
		t.Fatal(err)
	}
	for _, age := range []time.Duration{time.Hour, time.Minute, 20 * time.Second, 0, 9 * time.Second} {
		if asOf, err := o.asOf(now.Add(-age).UnixMilli()); err != nil || now.Sub(asOf) != age {
			t.Errorf("%s old: taken for %s old: %v", age, now.Sub(asOf), err)
		}
	}
	if _, err := o.asOf(now.Add(-11 * time.Second).UnixMilli()); err == nil {
		t.Error("something old after something new is taken")
	}
}
