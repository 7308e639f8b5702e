package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// Sessions are signed-in browsers and devices.
type Sessions struct{ c *Client }

// List gives one page, the newest first. Filters: user, ended (true: also those
// that have ended).
func (s Sessions) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Session], error) {
	return list[api.Session](ctx, s.c, "/sessions", f, c)
}

// All walks every page of List.
func (s Sessions) All(ctx context.Context, f Filter) iter.Seq2[api.Session, error] {
	return all[api.Session](ctx, s.c, "/sessions", f)
}

// Get gives one session.
func (s Sessions) Get(ctx context.Context, id string) (api.Session, error) {
	return get[api.Session](ctx, s.c, at("sessions", id))
}

// End signs a session out, with everything that hangs on it.
func (s Sessions) End(ctx context.Context, id string) error {
	return s.c.call(ctx, http.MethodDelete, at("sessions", id), nil, 0)
}

// Grants are what was allowed to whom.
type Grants struct{ c *Client }

// List gives one page, the oldest first. Filters: one of principal, client and
// session; ended (true: also those that have ended).
func (g Grants) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Grant], error) {
	return list[api.Grant](ctx, g.c, "/grants", f, c)
}

// All walks every page of List.
func (g Grants) All(ctx context.Context, f Filter) iter.Seq2[api.Grant, error] {
	return all[api.Grant](ctx, g.c, "/grants", f)
}

// Get gives one grant.
func (g Grants) Get(ctx context.Context, id string) (api.Grant, error) {
	return get[api.Grant](ctx, g.c, at("grants", id))
}

// Revoke ends a grant and every token of it.
func (g Grants) Revoke(ctx context.Context, id string) error {
	return g.c.call(ctx, http.MethodDelete, at("grants", id), nil, 0)
}

// Consents are what users agreed to let clients have.
type Consents struct{ c *Client }

// List gives one page of the consents of a user.
func (s Consents) List(ctx context.Context, user string, c Cursor) (api.Page[api.Consent], error) {
	return list[api.Consent](ctx, s.c, at("users", user, "consents"), nil, c)
}

// Revoke forgets what a user agreed to and ends the grants that rest on it.
func (s Consents) Revoke(ctx context.Context, user, client string) error {
	return s.c.call(ctx, http.MethodDelete, at("users", user, "consents", client), nil, 0)
}
