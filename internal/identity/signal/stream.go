package signal

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
	"github.com/cardea-id/cardea/internal/web"
)

// stream answers GET and POST /status-lists/stream with server-sent events: a
// snapshot or, to a client that names where it was, what it missed; then deltas
// and signed heads for as long as both sides and the credential last.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	if rl == nil {
		return fault.New(fault.NotFound, "not_found", "there is nothing at this address")
	}
	if _, err := web.Query(r); err != nil {
		return err
	}
	still, err := s.o.Authorize(w, r)
	if err != nil {
		return err
	}
	if err := s.o.Log.Live(); err != nil {
		return err
	}
	h, err := s.join(rl)
	if err != nil {
		return err
	}
	defer s.leave(h)
	if err := h.learn(r.Context()); err != nil {
		return err
	}
	start, next, err := h.begin(r)
	if err != nil {
		return err
	}
	out, err := newWriter(w)
	if err != nil {
		return err
	}
	defer out.close()
	// The status has been sent: from here on an error can only end the stream.
	out.add(start)
	s.pump(out, r, h, next, still)
	return nil
}

// begin returns what to send first and which frame comes after it.
func (h *hub) begin(r *http.Request) (start []byte, next int64, err error) {
	if boot, p, err := statuslist.ParseEventID(r.Header.Get("Last-Event-ID")); err == nil {
		if next, ok := h.resume(boot, p); ok {
			return []byte(": resumed\n\n"), next, nil
		}
	}
	snap, err := h.snapshot(r.Context())
	if err != nil {
		return nil, 0, err
	}
	return snap.wire, snap.next, nil
}

// pump sends frames until something ends the stream.
func (s *Server) pump(out *writer, r *http.Request, h *hub, next int64, still func(context.Context) error) {
	ask := time.NewTicker(s.again + rand.N(s.again/4+1)) // spread, so that 1,000 are not asked at once
	defer ask.Stop()
	stopping := web.Stopping(r.Context())
	for {
		frames, then, more, ok := h.after(next)
		if !ok {
			return // too slow for what is kept: cut, so that it starts over
		}
		for i := range frames {
			out.add(frames[i].wire)
		}
		if out.flush() != nil {
			return
		}
		next = then
		select {
		case <-more:
		case <-ask.C:
			if still(r.Context()) != nil {
				return
			}
		case <-h.ended:
			// What was added before the end still goes out: it may be the death
			// of the realm itself.
			if frames, _, _, ok := h.after(next); ok {
				for i := range frames {
					out.add(frames[i].wire)
				}
				_ = out.flush()
			}
			return
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		case <-stopping:
			return
		}
	}
}

// writer sends events and breaks the connection of a client that does not take
// them within writeLimit.
type writer struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	guard *time.Timer
	any   bool
	err   error
}

func newWriter(w http.ResponseWriter) (*writer, error) {
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if err := rc.SetWriteDeadline(time.Time{}); err != nil {
		return nil, err
	}
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	// A deadline long past ends a write that hangs, whatever the clocks say.
	guard := time.AfterFunc(time.Hour, func() { _ = rc.SetWriteDeadline(time.Unix(1, 0)) })
	guard.Stop()
	return &writer{w: w, rc: rc, guard: guard}, nil
}

func (o *writer) close() { o.guard.Stop() }

func (o *writer) add(wire []byte) {
	if !o.any {
		o.guard.Reset(writeLimit)
		o.any = true
	}
	if o.err == nil {
		_, o.err = o.w.Write(wire)
	}
}

func (o *writer) flush() error {
	if !o.any {
		return o.err
	}
	if o.err == nil {
		o.err = o.rc.Flush()
	}
	o.guard.Stop()
	o.any = false
	return o.err
}
