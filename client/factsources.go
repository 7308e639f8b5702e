package client

import (
	"context"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// FactSources are where facts are pulled from.
type FactSources struct{ c *Client }

// List gives all of them, by name.
func (s FactSources) List(ctx context.Context) (api.Page[api.FactSource], error) {
	return list[api.FactSource](ctx, s.c, "/access/sources", nil, Cursor{})
}

// Get gives one source, by id or name.
func (s FactSources) Get(ctx context.Context, id string) (api.FactSource, error) {
	return get[api.FactSource](ctx, s.c, at("access", "sources", id))
}

// Create begins to pull facts.
func (s FactSources) Create(ctx context.Context, n api.FactSourcePut) (api.FactSource, error) {
	return send[api.FactSource](ctx, s.c, http.MethodPost, "/access/sources", n, 0)
}

// Replace replaces what is set of a source. version is the one it was read with; 0
// does not ask whether it changed meanwhile.
func (s FactSources) Replace(ctx context.Context, id string, version int64, n api.FactSourcePut) (api.FactSource, error) {
	return send[api.FactSource](ctx, s.c, http.MethodPut, at("access", "sources", id), n, version)
}

// Delete stops pulling; what was pulled stays.
func (s FactSources) Delete(ctx context.Context, id string) error {
	return s.c.call(ctx, http.MethodDelete, at("access", "sources", id), nil, 0)
}

// Pull has a source pulled now, by the job that is answered.
func (s FactSources) Pull(ctx context.Context, id string) (api.FactSourcePull, error) {
	return send[api.FactSourcePull](ctx, s.c, http.MethodPost, at("access", "sources", id, "pull"), nil, 0)
}
