package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// Terms are documents that people must accept, in versions.
type Terms struct{ c *Client }

// List gives one page of versions, the oldest first.
func (s Terms) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Terms], error) {
	return list[api.Terms](ctx, s.c, "/terms", f, c)
}

// All walks every page of List.
func (s Terms) All(ctx context.Context) iter.Seq2[api.Terms, error] {
	return all[api.Terms](ctx, s.c, "/terms", nil)
}

// Get reads a version.
func (s Terms) Get(ctx context.Context, id string) (api.Terms, error) {
	return send[api.Terms](ctx, s.c, http.MethodGet, at("terms", id), nil, 0)
}

// Create makes a version.
func (s Terms) Create(ctx context.Context, n api.TermsCreate) (api.Terms, error) {
	return send[api.Terms](ctx, s.c, http.MethodPost, "/terms", n, 0)
}

// Withdraw takes a version out of force.
func (s Terms) Withdraw(ctx context.Context, id string) error {
	return s.c.call(ctx, http.MethodDelete, at("terms", id), nil, 0)
}

// Acceptances lists who accepted a version.
func (s Terms) Acceptances(ctx context.Context, id string, c Cursor) (api.Page[api.TermsAcceptance], error) {
	return list[api.TermsAcceptance](ctx, s.c, at("terms", id, "acceptances"), nil, c)
}
