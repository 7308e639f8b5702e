package client

import (
	"context"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// AuthorizationDetailTypes are the types of authorization details (RFC 9396).
type AuthorizationDetailTypes struct{ c *Client }

const detailTypes = "authorization-detail-types"

// List gives all of them.
func (d AuthorizationDetailTypes) List(ctx context.Context) (api.Page[api.AuthorizationDetailType], error) {
	return list[api.AuthorizationDetailType](ctx, d.c, at(detailTypes), nil, Cursor{})
}

// Get gives one type.
func (d AuthorizationDetailTypes) Get(ctx context.Context, name string) (api.AuthorizationDetailType, error) {
	return get[api.AuthorizationDetailType](ctx, d.c, at(detailTypes, name))
}

// Put registers a type or replaces it; version 0 does not ask whether it
// changed meanwhile.
func (d AuthorizationDetailTypes) Put(ctx context.Context, name string, version int64, t api.AuthorizationDetailTypePut) (api.AuthorizationDetailType, error) {
	return send[api.AuthorizationDetailType](ctx, d.c, http.MethodPut, at(detailTypes, name), t, version)
}

// Delete ends a type; what was granted stays.
func (d AuthorizationDetailTypes) Delete(ctx context.Context, name string) error {
	return d.c.call(ctx, http.MethodDelete, at(detailTypes, name), nil, 0)
}
