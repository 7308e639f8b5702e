package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/cardea-id/cardea/api"
)

// FactImports are files of facts that the server writes by itself.
type FactImports struct{ c *Client }

// List gives one page, the newest first.
func (f FactImports) List(ctx context.Context, c Cursor) (api.Page[api.FactImport], error) {
	return list[api.FactImport](ctx, f.c, "/access/imports", nil, c)
}

// Get reads how far an import is.
func (f FactImports) Get(ctx context.Context, id string) (api.FactImport, error) {
	return get[api.FactImport](ctx, f.c, at("access", "imports", id))
}

// Create begins an import.
func (f FactImports) Create(ctx context.Context, n api.FactImportCreate) (api.FactImport, error) {
	return send[api.FactImport](ctx, f.c, http.MethodPost, "/access/imports", n, 0)
}

// Put sends a part: lines of relations and attributes. Parts are numbered from 1.
func (f FactImports) Put(ctx context.Context, id string, part int64, lines string) (api.FactImportPartTaken, error) {
	return send[api.FactImportPartTaken](ctx, f.c, http.MethodPut, at("access", "imports", id, "parts", strconv.FormatInt(part, 10)), api.FactImportPart{Lines: lines}, 0)
}

// Start has everything written that was sent, or goes on after a failure.
func (f FactImports) Start(ctx context.Context, id string, parts int64) (api.FactImport, error) {
	return send[api.FactImport](ctx, f.c, http.MethodPost, at("access", "imports", id, "start"), api.FactImportStart{Parts: parts}, 0)
}

// Cancel ends an import. What was written stays.
func (f FactImports) Cancel(ctx context.Context, id string) error {
	return f.c.do(ctx, request{method: http.MethodDelete, path: at("access", "imports", id)}, nil)
}
