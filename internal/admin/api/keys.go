package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/identity/keyring"
)

func (s *Server) listKeys(ctx context.Context, c *Caller, _ *nothing) (*page[wire.SigningKey], error) {
	found, err := s.Keys.List(ctx, c.Realm.Name)
	if err != nil {
		return nil, err
	}
	return paged(found, "", keyOf), nil
}

func (s *Server) showKey(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.SigningKey], error) {
	k, err := s.Keys.ByID(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	return plain(keyOf(k)), nil
}

type rotateKeyInput struct{ Body wire.SigningKeyRotate }

func (s *Server) rotateKey(ctx context.Context, c *Caller, in *rotateKeyInput) (*plainAnswer[wire.SigningKey], error) {
	k, err := s.Keys.Rotate(ctx, c.By, c.Realm.Name, in.Body.Algorithm, in.Body.Now)
	if err != nil {
		return nil, err
	}
	return plain(keyOf(k)), nil
}

func (s *Server) revokeKey(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.Keys.Revoke(ctx, c.By, c.Realm.Name, in.ID, "operator")
}

func (s *Server) retireKey(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.Keys.Retire(ctx, c.By, c.Realm.Name, in.ID)
}

func keyOf(k keyring.SigningKey) wire.SigningKey {
	return wire.SigningKey{ID: k.ID, Algorithm: k.Alg, State: string(k.Now), CreatedAt: k.CreatedAt, ActiveAt: k.ActiveFrom,
		RetiresAt: optional(k.RetireAt), RevokedAt: optional(k.RevokedAt), Thumbprint: k.Thumbprint}
}
