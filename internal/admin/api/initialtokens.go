package api

import (
	"context"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/registration"
)

func (s *Server) listInitialTokens(ctx context.Context, c *Caller, in *Paging) (*page[wire.InitialAccessToken], error) {
	found, next, err := s.Registered.Initial(ctx, c.Realm.Name, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, initialTokenOf), nil
}

type createInitialTokenInput struct {
	Repeatable
	Body wire.InitialAccessTokenCreate
}

func (s *Server) createInitialToken(ctx context.Context, c *Caller, in *createInitialTokenInput) (*plainAnswer[wire.InitialAccessTokenCreated], error) {
	made, err := repeatable(ctx, s, c, in.Repeatable, "create-initial-access-token", "", in.Body, func(tx *db.Tx) (wire.InitialAccessTokenCreated, error) {
		made, text, err := s.Registered.CreateInitialTx(tx, c.By, in.Body.Name, in.Body.Uses, time.Duration(in.Body.ExpiresIn)*time.Second)
		return wire.InitialAccessTokenCreated{InitialAccessToken: initialTokenOf(made), Token: string(text)}, err
	})
	if err != nil {
		return nil, err
	}
	return plain(made), nil
}

func (s *Server) revokeInitialToken(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.Registered.RevokeInitial(ctx, c.By, c.Realm.Name, in.ID)
}

func initialTokenOf(t registration.InitialToken) wire.InitialAccessToken {
	return wire.InitialAccessToken{ID: t.ID, Name: t.Name, Uses: t.Uses, MaxUses: t.MaxUses, CreatedAt: t.CreatedAt.UTC(), ExpiresAt: t.ExpiresAt.UTC(), RevokedAt: optional(t.RevokedAt)}
}
