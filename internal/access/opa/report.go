package opa

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/internal/access/agent"
	"github.com/cardea-id/cardea/internal/fault"
)

// maxUnpacking is how many decision logs a node unpacks at once: one takes up to
// 64 MiB, and the memory that holds its decisions.
const maxUnpacking = 4

// body is what an agent sends, unpacked where it is packed. packed bounds what
// arrives; whoever reads bounds the rest.
func body(w http.ResponseWriter, r *http.Request, packed int64) (io.Reader, error) {
	in := http.MaxBytesReader(w, r.Body, packed)
	switch r.Header.Get("Content-Encoding") {
	case "":
		return in, nil
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fault.New(fault.Invalid, "body_invalid", "the body is not packed by gzip")
		}
		return z, nil
	}
	return nil, fault.New(fault.Invalid, "body_invalid", "a body is plain or packed by gzip")
}

// status takes how an agent is.
func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	rl, c, err := s.admit(w, r)
	if err != nil {
		return err
	}
	in, err := body(w, r, agent.MaxStatus)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(in, agent.MaxStatus+1))
	if err != nil {
		return fault.New(fault.Invalid, "body_invalid", "the body did not arrive whole, or has more than %d bytes", agent.MaxStatus)
	}
	if len(text) > agent.MaxStatus {
		return fault.New(fault.TooLarge, "too_large", "a report is limited to %d bytes", agent.MaxStatus)
	}
	said, err := agent.ReadStatus(text)
	if err != nil {
		return err
	}
	s.o.Plane.Reported(rl.Name, c.Client, said)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// logs takes what an agent decided, where the realm keeps decisions.
func (s *Server) logs(w http.ResponseWriter, r *http.Request) error {
	rl, c, err := s.admit(w, r)
	if err != nil {
		return err
	}
	// Whole before it is unpacked, so that nobody takes a place by sending slowly.
	packed, err := io.ReadAll(http.MaxBytesReader(w, r.Body, agent.MaxLogPacked))
	if err != nil {
		return fault.New(fault.Invalid, "body_invalid", "the body did not arrive whole, or has more than %d bytes", agent.MaxLogPacked)
	}
	if rl.Settings.DecisionLog > 0 {
		if !s.unpacking.Take(rl.Name) {
			return fault.New(fault.Unavailable, "decisions_busy", "there is no room for decisions just now").WithRetry(5 * time.Second)
		}
		defer s.unpacking.Leave(rl.Name)
		r.Body = io.NopCloser(bytes.NewReader(packed))
		in, err := body(w, r, agent.MaxLogPacked)
		if err != nil {
			return err
		}
		if _, err := s.o.Plane.Decided(rl.Name, rl.Settings.Masked(), c.Client, in); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
