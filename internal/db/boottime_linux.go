package db

import (
	"time"

	"golang.org/x/sys/unix"
)

// Boottime is the time since the machine booted, suspended time included.
func Boottime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return time.Since(started)
	}
	return time.Duration(ts.Nano())
}

var started = time.Now()
