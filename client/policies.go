package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/cardea-id/cardea/api"
)

// Policies are the policy folder of the realm, in versions.
type Policies struct{ c *Client }

// List gives one page of versions, the newest first.
func (p Policies) List(ctx context.Context, c Cursor) (api.Page[api.PolicyVersion], error) {
	return list[api.PolicyVersion](ctx, p.c, "/access/policy/versions", nil, c)
}

// Get reads a version with its files. "current" is the one that counts.
func (p Policies) Get(ctx context.Context, version string) (api.PolicyVersion, error) {
	return get[api.PolicyVersion](ctx, p.c, at("access", "policy", "versions", version))
}

// BuiltIn reads the policies about Cardea's own administration.
func (p Policies) BuiltIn(ctx context.Context) (api.BuiltInPolicy, error) {
	return get[api.BuiltInPolicy](ctx, p.c, "/access/policy/built-in")
}

// Plan says what a folder would do.
func (p Policies) Plan(ctx context.Context, r api.PolicyPlanRequest) (api.PolicyPlan, error) {
	return send[api.PolicyPlan](ctx, p.c, http.MethodPost, "/access/policy/plan", r, 0)
}

// Apply makes a folder the one that counts.
func (p Policies) Apply(ctx context.Context, a api.PolicyApply) (api.PolicyVersion, error) {
	return send[api.PolicyVersion](ctx, p.c, http.MethodPost, "/access/policy/versions", a, 0)
}

// Rollback applies an old version anew.
func (p Policies) Rollback(ctx context.Context, version, message string) (api.PolicyVersion, error) {
	return send[api.PolicyVersion](ctx, p.c, http.MethodPost, at("access", "policy", "versions", version, "rollback"), api.PolicyRollback{Message: message}, 0)
}

// Diff says how two versions differ.
func (p Policies) Diff(ctx context.Context, from, to string) ([]api.PolicyDifference, error) {
	var out api.Page[api.PolicyDifference]
	err := p.c.do(ctx, request{method: http.MethodGet, path: "/access/policy/diff", query: url.Values{"from": {from}, "to": {to}}}, &out)
	return out.Items, err
}

// Source is where the folder is followed.
func (p Policies) Source(ctx context.Context) (api.PolicySource, error) {
	return get[api.PolicySource](ctx, p.c, "/access/policy/source")
}

// Follow has the folder followed.
func (p Policies) Follow(ctx context.Context, s api.PolicySourcePut) (api.PolicySource, error) {
	return send[api.PolicySource](ctx, p.c, http.MethodPut, "/access/policy/source", s, 0)
}

// Look looks at the source now.
func (p Policies) Look(ctx context.Context) (api.PolicySource, error) {
	return send[api.PolicySource](ctx, p.c, http.MethodPost, "/access/policy/source/look", nil, 0)
}

// Unfollow ends following.
func (p Policies) Unfollow(ctx context.Context) error {
	return p.c.call(ctx, http.MethodDelete, "/access/policy/source", nil, 0)
}
