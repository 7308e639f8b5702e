//go:build !linux

package db

import "time"

// Boottime is the time since the process started, by the monotonic clock.
func Boottime() time.Duration { return time.Since(started) }

var started = time.Now()

func boottimeNow() time.Duration { return Boottime() }
