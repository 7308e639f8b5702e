package db

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Boottime is the time since the machine booted, suspended time included. It is
// asked several times a request, so the kernel is asked at most every five
// milliseconds and the monotonic clock, which is cheap, in between: after a
// suspension it is wrong for so long at most.
func Boottime() time.Duration { return boot.now() }

// boottimeNow is Boottime, asked of the kernel.
func boottimeNow() time.Duration { return boot.ask(time.Since(boot.started)) }

var boot = &bootClock{started: time.Now()}

type bootClock struct {
	started time.Time
	ahead   atomic.Int64 // boot time less monotonic time
	asked   atomic.Int64 // when that was found out, monotonic
}

const askKernelEvery = 5 * time.Millisecond

func (b *bootClock) now() time.Duration {
	mono := time.Since(b.started)
	if asked := b.asked.Load(); asked != 0 && mono-time.Duration(asked) < askKernelEvery {
		return mono + time.Duration(b.ahead.Load())
	}
	return b.ask(mono)
}

func (b *bootClock) ask(mono time.Duration) time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return mono
	}
	b.ahead.Store(ts.Nano() - int64(mono))
	b.asked.Store(int64(mono))
	return time.Duration(ts.Nano())
}
