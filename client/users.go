package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// Users are the people of the realm.
type Users struct{ c *Client }

// List gives one page. Filters: q (a prefix of name, display name or address), state.
func (u Users) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.User], error) {
	return list[api.User](ctx, u.c, "/users", f, c)
}

// All walks every page of List.
func (u Users) All(ctx context.Context, f Filter) iter.Seq2[api.User, error] {
	return all[api.User](ctx, u.c, "/users", f)
}

// Get gives one user. id may also be a username or an e-mail address.
func (u Users) Get(ctx context.Context, id string) (api.User, error) {
	return get[api.User](ctx, u.c, at("users", id))
}

// Create makes a user.
func (u Users) Create(ctx context.Context, n api.UserCreate) (api.User, error) {
	return send[api.User](ctx, u.c, http.MethodPost, "/users", n, 0)
}

// Update changes a user; version 0 does not ask whether it changed meanwhile.
func (u Users) Update(ctx context.Context, id string, version int64, change api.UserUpdate) (api.User, error) {
	return send[api.User](ctx, u.c, http.MethodPatch, at("users", id), change, version)
}

// Delete ends a user for ever and erases their personal data.
func (u Users) Delete(ctx context.Context, id string) error {
	return u.c.call(ctx, http.MethodDelete, at("users", id), nil, 0)
}

// Suspend stops a user until Activate and ends everything they have open.
func (u Users) Suspend(ctx context.Context, id string) (api.User, error) {
	return send[api.User](ctx, u.c, http.MethodPost, at("users", id, "suspend"), nil, 0)
}

// Activate lets a suspended user in again.
func (u Users) Activate(ctx context.Context, id string) (api.User, error) {
	return send[api.User](ctx, u.c, http.MethodPost, at("users", id, "activate"), nil, 0)
}

// AddEmail gives a user one more address.
func (u Users) AddEmail(ctx context.Context, id string, e api.Email) (api.User, error) {
	return send[api.User](ctx, u.c, http.MethodPost, at("users", id, "emails"), e, 0)
}

// UpdateEmail notes that an address is verified or makes it the primary one.
func (u Users) UpdateEmail(ctx context.Context, id, address string, change api.EmailUpdate) (api.User, error) {
	return send[api.User](ctx, u.c, http.MethodPatch, at("users", id, "emails", address), change, 0)
}

// RemoveEmail takes an address from a user.
func (u Users) RemoveEmail(ctx context.Context, id, address string) (api.User, error) {
	return send[api.User](ctx, u.c, http.MethodDelete, at("users", id, "emails", address), nil, 0)
}

// SignOut ends every session of a user, and what hangs on it.
func (u Users) SignOut(ctx context.Context, id string) error {
	return u.c.call(ctx, http.MethodPost, at("users", id, "sign-out"), nil, 0)
}

// PasswordLink makes a link with which the user sets a password. It works once.
func (u Users) PasswordLink(ctx context.Context, id string) (api.SecretLink, error) {
	return send[api.SecretLink](ctx, u.c, http.MethodPost, at("users", id, "password-link"), nil, 0)
}

// SendPasswordLink sends the user such a link, which nobody but they see.
func (u Users) SendPasswordLink(ctx context.Context, id string) error {
	return u.c.call(ctx, http.MethodPost, at("users", id, "password-mail"), nil, 0)
}

// Terms lists what a user accepted.
func (u Users) Terms(ctx context.Context, id string) (api.Page[api.TermsAcceptance], error) {
	return list[api.TermsAcceptance](ctx, u.c, at("users", id, "terms"), nil, Cursor{})
}

// Credentials lists what a user proves themselves with.
func (u Users) Credentials(ctx context.Context, id string) (api.Page[api.Credential], error) {
	return list[api.Credential](ctx, u.c, at("users", id, "credentials"), nil, Cursor{})
}

// RevokeCredential takes a passkey or another factor from a user and ends what was
// obtained with it.
func (u Users) RevokeCredential(ctx context.Context, id, credential string) error {
	return u.c.call(ctx, http.MethodDelete, at("users", id, "credentials", credential), nil, 0)
}

// Memberships walks the groups and organizations a user is directly in.
func (u Users) Memberships(ctx context.Context, id string) iter.Seq2[api.Member, error] {
	return all[api.Member](ctx, u.c, at("users", id, "memberships"), nil)
}
