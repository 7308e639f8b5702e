package db

import (
	"testing"
	"time"
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
