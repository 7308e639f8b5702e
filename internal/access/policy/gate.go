package policy

import (
	"errors"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// Gate says why a subject may do nothing at all at a time, or "" if nothing stands
// in its way: people who are suspended, whatever they hold. It follows from the
// graph alone.
type Gate func(g *graph.Graph, subject Entity, at time.Time) (refusal string)

// WithGate returns the snapshot with a gate before every question.
func (s *Snapshot) WithGate(g Gate) *Snapshot {
	next := *s
	next.gate = g
	return &next
}

// refused is a subject that the gate lets ask nothing.
type refused struct{ why string }

func (r *refused) Error() string { return r.why }

func (s *Snapshot) refuses(subject Entity, at time.Time) error {
	if s.gate == nil {
		return nil
	}
	if why := s.gate(s.graph, subject, at); why != "" {
		return &refused{why}
	}
	return nil
}

// refusalOf is what the gate said, or "".
func refusalOf(err error) string {
	if err == nil {
		return ""
	}
	var r *refused
	if errors.As(err, &r) {
		return r.why
	}
	return ""
}
