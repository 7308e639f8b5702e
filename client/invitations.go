package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// Invitations ask people without an account to make one.
type Invitations struct{ c *Client }

// List gives one page; filter by state.
func (s Invitations) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Invitation], error) {
	return list[api.Invitation](ctx, s.c, "/invitations", f, c)
}

// All walks every page of List.
func (s Invitations) All(ctx context.Context, f Filter) iter.Seq2[api.Invitation, error] {
	return all[api.Invitation](ctx, s.c, "/invitations", f)
}

// Get reads an invitation.
func (s Invitations) Get(ctx context.Context, id string) (api.Invitation, error) {
	return send[api.Invitation](ctx, s.c, http.MethodGet, at("invitations", id), nil, 0)
}

// Create invites somebody. The link is in the answer only where it is to be
// handed over.
func (s Invitations) Create(ctx context.Context, n api.InvitationCreate) (api.InvitationSent, error) {
	return mint[api.InvitationSent](ctx, s.c, "/invitations", n)
}

// Send makes another link of an invitation and ends the ones before.
func (s Invitations) Send(ctx context.Context, id string, how api.InvitationSend) (api.InvitationSent, error) {
	return mint[api.InvitationSent](ctx, s.c, at("invitations", id, "send"), how)
}

// Withdraw ends an invitation.
func (s Invitations) Withdraw(ctx context.Context, id string) error {
	return s.c.call(ctx, http.MethodDelete, at("invitations", id), nil, 0)
}
