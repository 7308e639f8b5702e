package web

import (
	"bytes"
	"net/http"
	"time"
)

// eventWrite is how long a client may take to accept what was sent.
const eventWrite = 10 * time.Second

// Events is a stream of server-sent events (HTML Living Standard, section
// 9.2). One goroutine uses it.
type Events struct {
	w  http.ResponseWriter
	rc *http.ResponseController
	c  <-chan struct{}
}

// StartEvents answers with a stream. It must be the handler's last decision:
// from here on there is no status to change.
func StartEvents(w http.ResponseWriter, r *http.Request) (*Events, error) {
	e := &Events{w: w, rc: http.NewResponseController(w), c: Stopping(r.Context())}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx holds answers back otherwise
	// The request has been read; the connection now lives until one side ends it.
	if err := e.rc.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	return e, e.flush(time.Time{})
}

// Stopping is closed when the server wants to stop: end the stream then.
func (e *Events) Stopping() <-chan struct{} { return e.c }

// Send sends one event.
func (e *Events) Send(now time.Time, name, id string, data []byte) error {
	return e.SendRaw(now, AppendEvent(nil, name, id, data))
}

// SendRaw sends bytes from AppendEvent, which several streams may share. It
// gives the client 10 seconds to take them.
func (e *Events) SendRaw(now time.Time, b []byte) error {
	if err := e.rc.SetWriteDeadline(now.Add(eventWrite)); err != nil {
		return err
	}
	if _, err := e.w.Write(b); err != nil {
		return err
	}
	return e.rc.Flush()
}

func (e *Events) flush(deadline time.Time) error {
	if err := e.rc.SetWriteDeadline(deadline); err != nil {
		return err
	}
	return e.rc.Flush()
}

// AppendEvent appends one event in its wire form. An empty name or id is left
// out; neither may hold a line break.
func AppendEvent(dst []byte, name, id string, data []byte) []byte {
	if name != "" {
		dst = append(append(append(dst, "event: "...), name...), '\n')
	}
	if id != "" {
		dst = append(append(append(dst, "id: "...), id...), '\n')
	}
	for {
		line, rest, more := bytes.Cut(data, []byte{'\n'})
		dst = append(append(append(dst, "data: "...), line...), '\n')
		if !more {
			return append(dst, '\n')
		}
		data = rest
	}
}
