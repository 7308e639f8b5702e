package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/identity/detail"
)

func (s *Server) listDetailTypes(ctx context.Context, c *Caller, _ *nothing) (*page[wire.AuthorizationDetailType], error) {
	found, err := s.Details.Types(ctx, c.Realm.Name)
	if err != nil {
		return nil, err
	}
	return paged(found, "", detailTypeOf), nil
}

// DetailTypeInput names a type of authorization details.
type DetailTypeInput struct {
	Type string `path:"type" maxLength:"100"`
}

func (s *Server) showDetailType(ctx context.Context, c *Caller, in *DetailTypeInput) (*answer[wire.AuthorizationDetailType], error) {
	found, err := s.Details.ByName(ctx, c.Realm.Name, in.Type)
	if err != nil {
		return nil, err
	}
	return versioned(detailTypeOf(found), found.Version), nil
}

type putDetailTypeInput struct {
	DetailTypeInput
	Matching
	Body wire.AuthorizationDetailTypePut
}

func (s *Server) putDetailType(ctx context.Context, c *Caller, in *putDetailTypeInput) (*answer[wire.AuthorizationDetailType], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	put, err := s.Details.Put(ctx, c.By, c.Realm.Name, version, detail.Type{Name: in.Type, Schema: in.Body.Schema, Words: in.Body.Words})
	if err != nil {
		return nil, err
	}
	return versioned(detailTypeOf(put), put.Version), nil
}

func (s *Server) deleteDetailType(ctx context.Context, c *Caller, in *DetailTypeInput) (*nothing, error) {
	return nil, s.Details.Delete(ctx, c.By, c.Realm.Name, in.Type)
}

func detailTypeOf(t *detail.Type) wire.AuthorizationDetailType {
	return wire.AuthorizationDetailType{Type: t.Name, Version: t.Version, CreatedAt: t.Created, UpdatedAt: t.Updated,
		AuthorizationDetailTypePut: wire.AuthorizationDetailTypePut{Schema: t.Schema, Words: t.Words}}
}
