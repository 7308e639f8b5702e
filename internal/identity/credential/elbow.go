package credential

import (
	"os"
	"runtime"
	"sync"
	"time"
)

// A hash holds a processor of Go's for some 30 ms, and whoever else has something to
// do waits until it is interrupted, which is after 10 ms, and again. So while people
// queue for hashes, Go gets as many processors more as hashes may be computed: then
// the operating system shares the cores, and lets those run first who ran little. A
// quota it would not share: twice as many threads use it up twice as fast, and then all
// of them wait.

// elbow is that room. It is the whole process's, as Go's processors are.
var elbow = &room{
	widen: func() { runtime.GOMAXPROCS(2 * cores) },
	narrow: func() {
		if os.Getenv("GOMAXPROCS") != "" { // which the default does not ask
			runtime.GOMAXPROCS(cores)
			return
		}
		runtime.SetDefaultGOMAXPROCS() // which follows what the process may use
	},
	after:    func(d time.Duration, fn func()) { time.AfterFunc(d, fn) },
	rationed: rationed(cores, runtime.NumCPU()),
}

var cores = runtime.GOMAXPROCS(0)

// rationed reports whether Go may use less than the machine has: by the quota of a
// container, or because the operator says so.
func rationed(procs, cpus int) bool { return procs < cpus }

// keptWide is how long the room stays after the last who had to wait. Each change
// stops all goroutines for a moment.
const keptWide = time.Second

type room struct {
	widen, narrow func()
	after         func(time.Duration, func())
	rationed      bool // no room is made

	mu           sync.Mutex
	wide, waited bool // waited: somebody did since it was looked at
}

// wait says that somebody has to wait for a hash.
func (r *room) wait() {
	if r.rationed {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waited = true
	if !r.wide {
		r.wide = true
		r.widen()
		r.after(keptWide, r.look)
	}
}

func (r *room) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waited {
		r.waited = false
		r.after(keptWide, r.look)
		return
	}
	r.wide = false
	r.narrow()
}
