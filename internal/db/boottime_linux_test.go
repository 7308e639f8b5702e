package db

import (
	"testing"
	"time"
)

// P-15: a moment after a suspension the boot-time clock may not know of it yet. Told time
// does not go ahead by as long. Have advance go by Boottime alone to see it fail.
func TestASuspensionIsCountedOnce(t *testing.T) {
	c := newClock(nil)
	boot.ahead.Add(-int64(time.Hour)) // as found before the machine slept for an hour
	boot.asked.Store(int64(time.Since(boot.started)))
	c.advance(time.Now())
	boot.asked.Store(0)
	if ahead := time.Until(c.now()); ahead > time.Minute {
		t.Errorf("told time is %v ahead", ahead)
	}
}
