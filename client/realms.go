package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/cardea-id/cardea/api"
)

// Realms are the issuers of an installation. Only owners of the default realm
// see others than their own.
type Realms struct{ c *Client }

// List gives one page.
func (r Realms) List(ctx context.Context, c Cursor) (api.Page[api.Realm], error) {
	return list[api.Realm](ctx, r.c, "/realms", nil, c)
}

// All walks every page of List.
func (r Realms) All(ctx context.Context) iter.Seq2[api.Realm, error] {
	return all[api.Realm](ctx, r.c, "/realms", nil)
}

// Current gives the realm of this client.
func (r Realms) Current(ctx context.Context) (api.Realm, error) {
	return get[api.Realm](ctx, r.c, "/realm")
}

// UpdateCurrent changes the realm of this client; version 0 does not ask
// whether it changed meanwhile.
func (r Realms) UpdateCurrent(ctx context.Context, version int64, change api.RealmUpdate) (api.Realm, error) {
	return send[api.Realm](ctx, r.c, http.MethodPatch, "/realm", change, version)
}

// Get gives one realm.
func (r Realms) Get(ctx context.Context, name string) (api.Realm, error) {
	return get[api.Realm](ctx, r.c, at("realms", name))
}

// Create makes a realm and the link that sets it up.
func (r Realms) Create(ctx context.Context, n api.RealmCreate) (api.RealmCreated, error) {
	return send[api.RealmCreated](ctx, r.c, http.MethodPost, "/realms", n, 0)
}

// Update changes a realm; version 0 does not ask whether it changed meanwhile.
func (r Realms) Update(ctx context.Context, name string, version int64, change api.RealmUpdate) (api.Realm, error) {
	return send[api.Realm](ctx, r.c, http.MethodPatch, at("realms", name), change, version)
}

// Delete ends a realm for ever, with every token it issued.
func (r Realms) Delete(ctx context.Context, name string) error {
	return r.c.call(ctx, http.MethodDelete, at("realms", name), nil, 0)
}

// SetupLink makes another set-up link for a realm that never had an operator.
func (r Realms) SetupLink(ctx context.Context, name string) (api.SecretLink, error) {
	return send[api.SecretLink](ctx, r.c, http.MethodPost, at("realms", name, "setup-link"), nil, 0)
}

// Operators are the principals that may administer the realm.
type Operators struct{ c *Client }

// Me says who asks, and what they may do.
func (o Operators) Me(ctx context.Context) (api.Me, error) { return get[api.Me](ctx, o.c, "/me") }

// List gives one page.
func (o Operators) List(ctx context.Context, c Cursor) (api.Page[api.Operator], error) {
	return list[api.Operator](ctx, o.c, "/operators", nil, c)
}

// All walks every page of List.
func (o Operators) All(ctx context.Context) iter.Seq2[api.Operator, error] {
	return all[api.Operator](ctx, o.c, "/operators", nil)
}

// Assign gives a principal a role; version 0 does not ask whether it changed
// meanwhile.
func (o Operators) Assign(ctx context.Context, principal string, version int64, role string) (api.Operator, error) {
	return send[api.Operator](ctx, o.c, http.MethodPut, at("operators", principal), api.OperatorPut{Role: role}, version)
}

// Remove takes every right from an operator.
func (o Operators) Remove(ctx context.Context, principal string) error {
	return o.c.call(ctx, http.MethodDelete, at("operators", principal), nil, 0)
}

// Events are the realm's event log.
type Events struct{ c *Client }

// List gives one page, the newest first. Filters: target, actor, action (a
// prefix), since, until (RFC 3339).
func (e Events) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Event], error) {
	return list[api.Event](ctx, e.c, "/events", f, c)
}

// All walks every page of List.
func (e Events) All(ctx context.Context, f Filter) iter.Seq2[api.Event, error] {
	return all[api.Event](ctx, e.c, "/events", f)
}

// Verify checks the whole log against its hash tree, and activity against the log.
// That takes as many requests as it takes.
func (e Events) Verify(ctx context.Context) (api.LogVerified, error) {
	return e.VerifySteps(ctx, "", func(api.LogVerified) {})
}

// VerifySteps is Verify, and tells what was found after each step but the last. It
// begins after a step that an earlier call told of, by the Next of it, or with "" at
// the beginning. While others are before it, it waits, and tells why as the Problem.
func (e Events) VerifySteps(ctx context.Context, after string, progress func(soFar api.LogVerified)) (api.LogVerified, error) {
	soFar := api.LogVerified{Next: after}
	for {
		q := url.Values{}
		if soFar.Next != "" {
			q.Set("after", soFar.Next)
		}
		var v api.LogVerified
		err := e.c.do(ctx, request{method: http.MethodPost, path: "/events/verify", query: q}, &v)
		var p *Problem
		if errors.As(err, &p) && p.Status == http.StatusTooManyRequests {
			soFar.Problem = p.Error()
			progress(soFar)
			if late := e.c.wait(ctx, max(p.RetryAfter, time.Second)); late != nil {
				return v, errors.Join(err, late)
			}
			continue
		}
		if err != nil || v.Next == "" {
			return v, err
		}
		soFar = v
		progress(v)
	}
}

// Activity is what happens too often for an event each.
type Activity struct{ c *Client }

// List gives one page, the newest first. Filters: action (a prefix), actor, target,
// client, session, ip, jti, since, until (RFC 3339). A page may be empty
// and still have a Next.
func (a Activity) List(ctx context.Context, f Filter, c Cursor) (api.ActivityPage, error) {
	var page api.ActivityPage
	err := a.c.do(ctx, request{method: http.MethodGet, path: "/activity", query: pageQuery(f, c)}, &page)
	return page, err
}
