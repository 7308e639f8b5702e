package web

import (
	"net/http"
	"time"
)

// Stream is an answer that has no end: frames, sent as they come. A client that
// does not take them in time is cut off.
type Stream struct {
	w        http.ResponseWriter
	rc       *http.ResponseController
	guard    *time.Timer
	patience time.Duration
	begun    bool
	err      error
}

// NewStream begins such an answer, with status 200. The deadlines of ordinary
// requests end; patience is how long the client may take to accept what one
// Flush sends. Close the stream when the handler returns.
func NewStream(w http.ResponseWriter, contentType string, patience time.Duration) (*Stream, error) {
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if err := rc.SetWriteDeadline(time.Time{}); err != nil {
		return nil, err
	}
	head := w.Header()
	head.Set("Content-Type", contentType)
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx would hold frames back
	w.WriteHeader(http.StatusOK)
	// A deadline long past ends a write that hangs, whatever the clocks say.
	guard := time.AfterFunc(time.Hour, func() { _ = rc.SetWriteDeadline(time.Unix(1, 0)) })
	guard.Stop()
	return &Stream{w: w, rc: rc, guard: guard, patience: patience}, nil
}

// Close ends the watch over the client.
func (s *Stream) Close() { s.guard.Stop() }

// Add writes a frame, which may wait for Flush.
func (s *Stream) Add(wire []byte) {
	if !s.begun {
		s.guard.Reset(s.patience)
		s.begun = true
	}
	if s.err == nil {
		_, s.err = s.w.Write(wire)
	}
}

// Flush sends what was added, and says whether anything was ever not taken.
func (s *Stream) Flush() error {
	if !s.begun {
		return s.err
	}
	if s.err == nil {
		s.err = s.rc.Flush()
	}
	s.guard.Stop()
	s.begun = false
	return s.err
}
