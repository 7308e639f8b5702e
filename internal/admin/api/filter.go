package api

import (
	"context"
	"errors"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/residual"
	"github.com/cardea-id/cardea/internal/fault"
)

type filterInput struct{ Body wire.AccessFilterQuestion }

// filterAccess shows an operator the condition that an application would get.
func (s *Server) filterAccess(ctx context.Context, c *Caller, in *filterInput) (*plainAnswer[wire.AccessFilter], error) {
	b := &in.Body
	m := residual.Mapping{ID: columnOf(b.ID), Attributes: columnsOf(b.Attributes), Parents: columnsOf(b.Parents)}
	if err := m.Check(); err != nil {
		return nil, fault.New(fault.Invalid, "invalid_request", "%s", err.Error())
	}
	snapshot, at, err := s.state(ctx, c)
	if err != nil {
		return nil, err
	}
	q := policy.Question{Subject: policy.Entity(b.Subject), Action: b.Action, Resource: policy.Entity{Type: b.ResourceType}, SubjectProperties: b.SubjectProperties,
		ActionProperties: b.ActionProperties, Context: b.Context, At: s.Now()}
	left, err := policy.Partial(snapshot, &q, m.Rows())
	if errors.Is(err, policy.ErrInexpressible) {
		err = fault.New(fault.Invalid, "not_expressible", "%s", err.Error())
	}
	if err != nil {
		return nil, err
	}
	where, err := residual.SQL(left.When, m, residual.Dialect(b.Dialect), 1)
	switch {
	case errors.Is(err, residual.ErrMapping):
		return nil, fault.New(fault.Invalid, "invalid_request", "%s", err.Error())
	case errors.Is(err, policy.ErrInexpressible):
		return nil, fault.New(fault.Invalid, "not_expressible", "%s", err.Error())
	case err != nil:
		return nil, err
	}
	out := wire.AccessFilter{Decision: "some", SQL: where.SQL, Parameters: append([]any{}, residual.Values(where.Args)...), Policies: left.Policies, Reason: left.Reason,
		Revision: at.String(), PolicyHash: left.PolicyHash}
	if always, constant := left.When.Constant(); constant {
		out.Decision = map[bool]string{true: "all", false: "none"}[always]
	}
	if left.StepUp != nil {
		out.StepUp = &wire.AccessStepUp{ACR: left.StepUp.ACR, MaxAge: int64(left.StepUp.MaxAge / time.Second)}
	}
	return plain(out), nil
}

func columnOf(c wire.TableColumn) residual.Column {
	return residual.Column{Name: c.Column, Type: residual.Type(c.Type)}
}

func columnsOf(m map[string]wire.TableColumn) map[string]residual.Column {
	out := make(map[string]residual.Column, len(m))
	for name, c := range m {
		out[name] = columnOf(c)
	}
	return out
}
