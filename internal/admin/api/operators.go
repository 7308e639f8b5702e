package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
)

func (s *Server) me(ctx context.Context, c *Caller, _ *nothing) (*plainAnswer[wire.Me], error) {
	_, name := s.label(ctx, c.Realm.Name, c.By.ID)
	m := wire.Me{Principal: c.By.ID, Name: name, Realm: c.Realm.Name, Issuer: c.Realm.Issuer, Role: string(c.Role)}
	for _, p := range c.Role.Permissions() {
		m.Permissions = append(m.Permissions, string(p))
	}
	return plain(m), nil
}

func (s *Server) listOperators(ctx context.Context, c *Caller, in *Paging) (*page[wire.Operator], error) {
	found, next, err := s.Operators.List(ctx, c.Realm.Name, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, func(o operator.Operator) wire.Operator { return s.operatorOf(ctx, o) }), nil
}

// OperatorInput names an operator.
type OperatorInput struct {
	Principal string `path:"principal" maxLength:"64"`
}

type putOperatorInput struct {
	OperatorInput
	Matching
	Body wire.OperatorPut
}

func (s *Server) putOperator(ctx context.Context, c *Caller, in *putOperatorInput) (*answer[wire.Operator], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	o, err := s.Operators.Assign(ctx, c.By, c.Realm.Name, in.Principal, version, operator.Role(in.Body.Role))
	if err != nil {
		return nil, err
	}
	return versioned(s.operatorOf(ctx, o), o.Version), nil
}

type removeOperatorInput struct {
	OperatorInput
	Matching
}

func (s *Server) removeOperator(ctx context.Context, c *Caller, in *removeOperatorInput) (*nothing, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	return nil, s.Operators.Remove(ctx, c.By, c.Realm.Name, in.Principal, version)
}

func (s *Server) operatorOf(ctx context.Context, o operator.Operator) wire.Operator {
	_, name := s.label(ctx, o.Realm, o.Principal)
	return wire.Operator{Principal: o.Principal, Name: name, Role: string(o.Role), Version: o.Version, CreatedAt: o.Created, UpdatedAt: o.Updated}
}
