package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cardea-id/cardea/api"
)

// Decisions are what was decided about access, what is granted and not needed,
// and who can do what. To ask for a decision in an application, use package
// verify.
type Decisions struct{ c *Client }

// List gives one page, the newest first. Filters: subject_type, subject_id,
// action, resource_type, resource_id, allowed (true or false), client, request_id,
// policy, session, grant, since, until. A page may be empty and still have a Next.
func (d Decisions) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Decision], error) {
	return list[api.Decision](ctx, d.c, "/access/decisions", f, c)
}

// All walks every page of List.
func (d Decisions) All(ctx context.Context, f Filter) iter.Seq2[api.Decision, error] {
	return all[api.Decision](ctx, d.c, "/access/decisions", f)
}

// Explain tells why a decision was as it was, from the sign-in to the grant.
func (d Decisions) Explain(ctx context.Context, id string) (api.DecisionExplained, error) {
	return get[api.DecisionExplained](ctx, d.c, at("access", "decisions", id))
}

// Ask tells what the policies would answer now. Nothing is written down.
func (d Decisions) Ask(ctx context.Context, q api.AccessQuestion) (api.AccessAnswer, error) {
	return send[api.AccessAnswer](ctx, d.c, http.MethodPost, "/access/ask", q, 0)
}

// Filter tells which condition an application would get for the rows of its table.
// Nothing is written down. Applications ask with package verify.
func (d Decisions) Filter(ctx context.Context, q api.AccessFilterQuestion) (api.AccessFilter, error) {
	return send[api.AccessFilter](ctx, d.c, http.MethodPost, "/access/filter", q, 0)
}

// Unused tells which roles nobody needed for days, and which permit more than was
// needed. after is Next of the page before.
func (d Decisions) Unused(ctx context.Context, days int, c Cursor) (api.AccessUsage, error) {
	q := url.Values{"days": {strconv.Itoa(days)}}
	c.into(q)
	var out api.AccessUsage
	err := d.c.do(ctx, request{method: http.MethodGet, path: "/access/unused", query: q}, &out)
	return out, err
}

// Review gives one page of who can do what. Filters: subject_type, resource_type,
// action.
func (d Decisions) Review(ctx context.Context, f Filter, c Cursor) (api.AccessReview, error) {
	q := url.Values{}
	for k, v := range f {
		if v != "" {
			q.Set(k, v)
		}
	}
	c.into(q)
	var out api.AccessReview
	err := d.c.do(ctx, request{method: http.MethodGet, path: "/access/review", query: q}, &out)
	return out, err
}

func (c Cursor) into(q url.Values) {
	if c.After != "" {
		q.Set("after", c.After)
	}
	if c.Limit > 0 {
		q.Set("limit", strconv.Itoa(c.Limit))
	}
}
