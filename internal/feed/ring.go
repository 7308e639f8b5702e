package feed

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/web"
)

// Frame is one frame in its wire form, and what its owner knows it by.
type Frame[T any] struct {
	Wire []byte
	At   T
}

// Ring is the newest frames of a stream, numbered from 0. All who follow read from
// it, each at its own pace; who falls off its end is cut.
type Ring[T any] struct {
	mostFrames, mostBytes int

	mu     sync.Mutex
	frames []Frame[T]
	first  int64 // number of frames[0]
	bytes  int
	more   chan struct{} // closed when frames were added
}

// NewRing returns a ring with bounds. The newest frame is kept whatever its size.
func NewRing[T any](frames, bytes int) *Ring[T] {
	return &Ring[T]{mostFrames: frames, mostBytes: bytes, more: make(chan struct{})}
}

// Push adds frames, forgets the oldest beyond the bounds, which it returns, and wakes
// everybody, once for all of them.
func (r *Ring[T]) Push(frames ...Frame[T]) (forgotten []Frame[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, frames...)
	for i := range frames {
		r.bytes += len(frames[i].Wire)
	}
	drop := 0
	for drop < len(r.frames)-1 && (len(r.frames)-drop > r.mostFrames || r.bytes > r.mostBytes) {
		r.bytes -= len(r.frames[drop].Wire)
		drop++
	}
	forgotten, r.frames = r.frames[:drop:drop], r.frames[drop:] // appending moves what is left to a fresh array in time
	r.first += int64(drop)
	close(r.more)
	r.more = make(chan struct{})
	return forgotten
}

// All returns the frames that are kept and the number of the first.
func (r *Ring[T]) All() (frames []Frame[T], first int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.frames)
	return r.frames[:n:n], r.first
}

// Next is the number of the next frame.
func (r *Ring[T]) Next() int64 {
	frames, first := r.All()
	return first + int64(len(frames))
}

// After returns the frames from number next on, the number after them, and a
// channel that is closed when there are more. It reports false if next is
// forgotten already.
func (r *Ring[T]) After(next int64) (frames []Frame[T], then int64, more <-chan struct{}, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if next < r.first {
		return nil, 0, nil, false
	}
	n := len(r.frames)
	return r.frames[next-r.first : n : n], r.first + int64(n), r.more, true
}

// Pump sends the frames from number next on until the client leaves or is too
// slow, the server stops, the stream has ended, or still, which is asked every so
// often, fails.
func (r *Ring[T]) Pump(ctx context.Context, out *web.Stream, next int64, ended <-chan struct{}, every time.Duration, still func(context.Context) error) {
	ask := time.NewTicker(every + rand.N(every/4+1)) // spread, so that 1,000 are not asked at once
	defer ask.Stop()
	stopping := web.Stopping(ctx)
	for last := false; ; {
		frames, then, more, ok := r.After(next)
		if !ok {
			return // too slow for what is kept: cut, so that it starts over
		}
		for i := range frames {
			out.Add(frames[i].Wire)
		}
		if out.Flush() != nil || last {
			return
		}
		next = then
		select {
		case <-more:
		case <-ask.C:
			if still(ctx) != nil {
				return
			}
		case <-ended:
			last = true // what was added before still goes out: it may be the death of the realm itself
		case <-ctx.Done():
			return
		case <-stopping:
			return
		}
	}
}
