package client

import (
	"context"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// Facts are what decisions about access rest on: relations and attributes.
type Facts struct{ c *Client }

// Write writes a batch: all of it, or nothing. Under a key it is written once,
// however often it is sent; "" is no key.
func (f Facts) Write(ctx context.Context, key string, changes api.AccessChanges) (api.AccessWritten, error) {
	var out api.AccessWritten
	err := f.c.do(ctx, request{method: http.MethodPost, path: "/access/changes", body: changes, key: key}, &out)
	return out, err
}

// Relations gives one page. Filters: subject_type, subject_id, relation,
// object_type, object_id, source.
func (f Facts) Relations(ctx context.Context, filter Filter, at Cursor) (api.FactPage[api.Relation], error) {
	return factPage[api.Relation](ctx, f.c, "/access/relations", filter, at)
}

// Attributes gives one page. Filters: entity_type, entity_id, name, source.
func (f Facts) Attributes(ctx context.Context, filter Filter, at Cursor) (api.FactPage[api.Attribute], error) {
	return factPage[api.Attribute](ctx, f.c, "/access/attributes", filter, at)
}

func factPage[T any](ctx context.Context, c *Client, path string, f Filter, at Cursor) (api.FactPage[T], error) {
	var page api.FactPage[T]
	err := c.do(ctx, request{method: http.MethodGet, path: path, query: pageQuery(f, at)}, &page)
	return page, err
}
