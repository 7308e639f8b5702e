package signal

import (
	"net/http"

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
	defer s.hubs.Leave(h)
	if err := h.learn(r.Context()); err != nil {
		return err
	}
	start, next, err := h.begin(r)
	if err != nil {
		return err
	}
	out, err := web.NewStream(w, "text/event-stream", writeLimit)
	if err != nil {
		return err
	}
	defer out.Close()
	// The status has been sent: from here on an error can only end the stream.
	out.Add(start)
	h.ring.Pump(r.Context(), out, next, h.Live.Done(), s.again, still)
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
