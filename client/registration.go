package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/api"
)

// InitialAccessTokens let others register clients.
type InitialAccessTokens struct{ c *Client }

// List gives one page, without what the tokens are.
func (s InitialAccessTokens) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.InitialAccessToken], error) {
	return list[api.InitialAccessToken](ctx, s.c, "/initial-access-tokens", f, c)
}

// All walks every page of List.
func (s InitialAccessTokens) All(ctx context.Context) iter.Seq2[api.InitialAccessToken, error] {
	return all[api.InitialAccessToken](ctx, s.c, "/initial-access-tokens", nil)
}

// Create makes a token for so many registrations within life and gives it, this
// once.
func (s InitialAccessTokens) Create(ctx context.Context, name string, uses int64, life time.Duration) (api.InitialAccessTokenCreated, error) {
	return mint[api.InitialAccessTokenCreated](ctx, s.c, "/initial-access-tokens",
		api.InitialAccessTokenCreate{Name: name, Uses: uses, ExpiresIn: int64(life / time.Second)})
}

// Revoke ends a token. Clients that registered with it stay.
func (s InitialAccessTokens) Revoke(ctx context.Context, id string) error {
	return s.c.call(ctx, http.MethodDelete, at("initial-access-tokens", id), nil, 0)
}
