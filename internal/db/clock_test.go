package db

import (
	"os"
	"testing"
	"time"
	"unsafe"
)

// P-15: told time follows the wall clock forwards; set back, it neither goes
// back nor stands still.
func TestToldTimeNeverGoesBackNorStops(t *testing.T) {
	c := newClock(nil)
	wall := time.Now()
	c.advance(wall.Add(time.Hour))
	jumped := c.now()
	if ahead := jumped.Sub(wall); ahead < time.Hour-time.Second {
		t.Fatalf("a jump forward of an hour told %v", ahead)
	}
	c.advance(wall) // the wall clock is put right again
	for deadline := time.Now().Add(5 * time.Second); !c.now().After(jumped); {
		if time.Now().After(deadline) {
			t.Fatal("time stands still after the wall clock was set back")
		}
	}
	if c.now().Before(jumped) {
		t.Error("time went back")
	}
}

// P-15: a wall clock that is set while the process runs is followed forwards and not
// backwards, though the monotonic reading beside it goes on. Compare times by After in
// advance to see it fail.
func TestAWallClockThatIsSetIsSeen(t *testing.T) {
	set := func(now time.Time, hours int64) time.Time { // what time.Now gives then
		wall := (*uint64)(unsafe.Pointer(&now)) // a flag, 33 bits of seconds, 30 of nanoseconds
		*wall = uint64(int64(*wall) + hours*3600<<30)
		return now
	}
	if now := time.Now(); set(now, -1).Round(0) != now.Add(-time.Hour).Round(0) || set(now, -1).Sub(now) != 0 {
		t.Fatal("times lie otherwise in memory: have set make such a time anew")
	}
	c := newClock(nil)
	for range 1000 { // the readings differ by chance
		c.advance(set(time.Now(), -1))
	}
	if ahead := time.Duration(c.ahead.Load()) - time.Duration(ahead(time.Now(), Boottime())); ahead < -5*time.Second {
		t.Errorf("told time will stand still for %v after the wall clock was set back", -ahead)
	}
	if c.advance(set(time.Now(), 1)); time.Until(c.now()) < time.Hour-5*time.Second {
		t.Errorf("told time is %v ahead after the wall clock was set forward an hour", time.Until(c.now()))
	}
}

// P-15: a node whose own clock is an hour wrong tells PostgreSQL's time from the
// beginning, in and between transactions. Take the call of begin out of safe to see
// the hour.
func TestANodesOwnClockDoesNotMatter(t *testing.T) {
	address := os.Getenv("CARDEA_TEST_POSTGRES")
	if address == "" {
		t.Skip("skipped on PostgreSQL: CARDEA_TEST_POSTGRES is not set (make test sets it)")
	}
	for _, wrong := range []time.Duration{time.Hour, -time.Hour} {
		d := &DB{clock: newClock(nil), kind: Postgres}
		d.clock.set(time.Now().Add(wrong)) // what newClock finds on such a node
		d.clock.now()
		var err error
		if d.engine, err = openPostgres(t.Context(), d, Options{URL: address}); err != nil {
			t.Fatal(err)
		}
		for i, told := range []func() time.Time{d.Now, func() (now time.Time) {
			if err := d.View(t.Context(), "test", func(tx *Tx) error { now = tx.Now; return nil }); err != nil {
				t.Fatal(err)
			}
			return now
		}, d.Now} {
			if off := time.Since(told()); off.Abs() > 5*time.Second {
				t.Errorf("%v wrong, reading %d: %v off", wrong, i, off)
			}
		}
		d.Close()
	}
}
