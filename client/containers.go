package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// Groups are the groups of the realm.
type Groups struct{ c *Client }

// List gives one page. Filters: q.
func (g Groups) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Group], error) {
	return list[api.Group](ctx, g.c, "/groups", f, c)
}

// All walks every page of List.
func (g Groups) All(ctx context.Context, f Filter) iter.Seq2[api.Group, error] {
	return all[api.Group](ctx, g.c, "/groups", f)
}

// Get gives one group.
func (g Groups) Get(ctx context.Context, id string) (api.Group, error) {
	return get[api.Group](ctx, g.c, at("groups", id))
}

// Create makes a group.
func (g Groups) Create(ctx context.Context, n api.GroupCreate) (api.Group, error) {
	return send[api.Group](ctx, g.c, http.MethodPost, "/groups", n, 0)
}

// Update changes a group; version 0 does not ask whether it changed meanwhile.
func (g Groups) Update(ctx context.Context, id string, version int64, change api.GroupUpdate) (api.Group, error) {
	return send[api.Group](ctx, g.c, http.MethodPatch, at("groups", id), change, version)
}

// Delete ends a group; its members stay.
func (g Groups) Delete(ctx context.Context, id string) error {
	return g.c.call(ctx, http.MethodDelete, at("groups", id), nil, 0)
}

// Members walks the members of a group, those of groups within it not included.
func (g Groups) Members(ctx context.Context, id string) iter.Seq2[api.Member, error] {
	return all[api.Member](ctx, g.c, at("groups", id, "members"), nil)
}

// MembersPage gives one page of Members.
func (g Groups) MembersPage(ctx context.Context, id string, c Cursor) (api.Page[api.Member], error) {
	return list[api.Member](ctx, g.c, at("groups", id, "members"), nil, c)
}

// PutMember adds a member or changes its relation.
func (g Groups) PutMember(ctx context.Context, id, member, relation string) error {
	return g.c.call(ctx, http.MethodPut, at("groups", id, "members", member), api.MemberPut{Relation: relation}, 0)
}

// RemoveMember takes a member out.
func (g Groups) RemoveMember(ctx context.Context, id, member string) error {
	return g.c.call(ctx, http.MethodDelete, at("groups", id, "members", member), nil, 0)
}

// Organizations are the business customers of the realm.
type Organizations struct{ c *Client }

// List gives one page. Filters: q.
func (o Organizations) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Organization], error) {
	return list[api.Organization](ctx, o.c, "/organizations", f, c)
}

// All walks every page of List.
func (o Organizations) All(ctx context.Context, f Filter) iter.Seq2[api.Organization, error] {
	return all[api.Organization](ctx, o.c, "/organizations", f)
}

// Get gives one organization.
func (o Organizations) Get(ctx context.Context, id string) (api.Organization, error) {
	return get[api.Organization](ctx, o.c, at("organizations", id))
}

// Create makes an organization.
func (o Organizations) Create(ctx context.Context, n api.OrganizationCreate) (api.Organization, error) {
	return send[api.Organization](ctx, o.c, http.MethodPost, "/organizations", n, 0)
}

// Update changes an organization; version 0 does not ask whether it changed meanwhile.
func (o Organizations) Update(ctx context.Context, id string, version int64, change api.OrganizationUpdate) (api.Organization, error) {
	return send[api.Organization](ctx, o.c, http.MethodPatch, at("organizations", id), change, version)
}

// Delete ends an organization; its members stay.
func (o Organizations) Delete(ctx context.Context, id string) error {
	return o.c.call(ctx, http.MethodDelete, at("organizations", id), nil, 0)
}

// Members walks the members of an organization.
func (o Organizations) Members(ctx context.Context, id string) iter.Seq2[api.Member, error] {
	return all[api.Member](ctx, o.c, at("organizations", id, "members"), nil)
}

// MembersPage gives one page of Members.
func (o Organizations) MembersPage(ctx context.Context, id string, c Cursor) (api.Page[api.Member], error) {
	return list[api.Member](ctx, o.c, at("organizations", id, "members"), nil, c)
}

// PutMember adds a member or changes its relation.
func (o Organizations) PutMember(ctx context.Context, id, member, relation string) error {
	return o.c.call(ctx, http.MethodPut, at("organizations", id, "members", member), api.MemberPut{Relation: relation}, 0)
}

// RemoveMember takes a member out.
func (o Organizations) RemoveMember(ctx context.Context, id, member string) error {
	return o.c.call(ctx, http.MethodDelete, at("organizations", id, "members", member), nil, 0)
}

// Services are the programs with an identity of their own.
type Services struct{ c *Client }

// List gives one page. Filters: q, state.
func (s Services) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Service], error) {
	return list[api.Service](ctx, s.c, "/services", f, c)
}

// All walks every page of List.
func (s Services) All(ctx context.Context, f Filter) iter.Seq2[api.Service, error] {
	return all[api.Service](ctx, s.c, "/services", f)
}

// Get gives one service.
func (s Services) Get(ctx context.Context, id string) (api.Service, error) {
	return get[api.Service](ctx, s.c, at("services", id))
}

// Create makes a service. A client, made for it or with it, gives it credentials.
func (s Services) Create(ctx context.Context, n api.ServiceCreate) (api.Service, error) {
	return send[api.Service](ctx, s.c, http.MethodPost, "/services", n, 0)
}

// Update changes a service; version 0 does not ask whether it changed meanwhile.
func (s Services) Update(ctx context.Context, id string, version int64, change api.ServiceUpdate) (api.Service, error) {
	return send[api.Service](ctx, s.c, http.MethodPatch, at("services", id), change, version)
}

// Delete ends a service for ever.
func (s Services) Delete(ctx context.Context, id string) error {
	return s.c.call(ctx, http.MethodDelete, at("services", id), nil, 0)
}

// Suspend stops a service until Activate and ends everything it holds.
func (s Services) Suspend(ctx context.Context, id string) (api.Service, error) {
	return send[api.Service](ctx, s.c, http.MethodPost, at("services", id, "suspend"), nil, 0)
}

// Activate lets a suspended service act again.
func (s Services) Activate(ctx context.Context, id string) (api.Service, error) {
	return send[api.Service](ctx, s.c, http.MethodPost, at("services", id, "activate"), nil, 0)
}

// Credentials lists what a service proves itself with.
func (s Services) Credentials(ctx context.Context, id string) (api.Page[api.Credential], error) {
	return list[api.Credential](ctx, s.c, at("services", id, "credentials"), nil, Cursor{})
}

// RevokeCredential ends one credential and what descends from it.
func (s Services) RevokeCredential(ctx context.Context, id, credential string) error {
	return s.c.call(ctx, http.MethodDelete, at("services", id, "credentials", credential), nil, 0)
}
