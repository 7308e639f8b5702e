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

// How many decision logs and reports a node unpacks at once. A log has up to 64 MiB
// and takes up to four times that. A report takes a few MiB; it does not wait for
// logs, since an agent that finds no room for it does not send it again.
const (
	maxUnpacking = 4
	maxReading   = 32
)

// What agents send is held until it is whole, so that nobody who sends slowly takes a
// place of those that are unpacked. It is counted in pieces: a node holds 64 MiB.
const (
	piece      = 64 << 10
	maxArrived = 1024
)

// arrived is what an agent sends, whole, of most bytes. leave gives back its room.
func (s *Server) arrived(w http.ResponseWriter, r *http.Request, realm, client string, most int64) (whole io.Reader, leave func(), err error) {
	var all []io.Reader
	pieces := 0
	leave = func() {
		for ; pieces > 0; pieces-- {
			s.arriving.Leave(realm, client)
		}
	}
	in := http.MaxBytesReader(w, r.Body, most)
	for s.arriving.Take(realm, client) {
		pieces++
		one, n := make([]byte, 0, piece), 0
		for len(one) < piece && err == nil {
			n, err = in.Read(one[len(one):piece])
			one = one[:len(one)+n]
		}
		all = append(all, bytes.NewReader(one))
		switch err {
		case nil:
		case io.EOF:
			return io.MultiReader(all...), leave, nil
		default:
			leave()
			return nil, nil, fault.New(fault.Invalid, "body_invalid", "the body did not arrive whole, or has more than %d bytes", most)
		}
	}
	leave()
	return nil, nil, noRoom("reports_busy")
}

// opened is what an agent sends, of most bytes, on one of the seats for reading it.
// leave gives back what it takes.
func (s *Server) opened(w http.ResponseWriter, r *http.Request, realm, client string, most int64, seats *Seats, busy string) (in io.Reader, leave func(), err error) {
	whole, gone, err := s.arrived(w, r, realm, client, most)
	if err != nil {
		return nil, nil, err
	}
	if !seats.Take(realm) {
		gone()
		return nil, nil, noRoom(busy)
	}
	leave = func() {
		seats.Leave(realm)
		gone()
	}
	if in, err = unpacked(r, whole); err != nil {
		leave()
		return nil, nil, err
	}
	return in, leave, nil
}

func noRoom(code string) error {
	return fault.New(fault.Unavailable, code, "there is no room for what agents tell just now").WithRetry(5 * time.Second)
}

// unpacked is what an agent sent, unpacked where it is packed. Whoever reads bounds it.
func unpacked(r *http.Request, whole io.Reader) (io.Reader, error) {
	switch r.Header.Get("Content-Encoding") {
	case "":
		return whole, nil
	case "gzip":
		z, err := gzip.NewReader(whole)
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
	in, leave, err := s.opened(w, r, rl.Name, c.Client, agent.MaxStatus, s.reading, "reports_busy")
	if err != nil {
		return err
	}
	defer leave()
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
	if rl.Settings.DecisionLog > 0 {
		in, leave, err := s.opened(w, r, rl.Name, c.Client, agent.MaxLogPacked, s.unpacking, "decisions_busy")
		if err != nil {
			return err
		}
		defer leave()
		if _, err := s.o.Plane.Decided(rl.Name, rl.Settings.Masked(), c.Client, in); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
