package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// Jobs are work that is done in the background.
type Jobs struct{ c *Client }

// List gives one page, the newest first. Filters: state, kind, target, subject.
func (j Jobs) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Job], error) {
	return list[api.Job](ctx, j.c, "/jobs", f, c)
}

// All walks every page of List.
func (j Jobs) All(ctx context.Context, f Filter) iter.Seq2[api.Job, error] {
	return all[api.Job](ctx, j.c, "/jobs", f)
}

// Get gives one job.
func (j Jobs) Get(ctx context.Context, id string) (api.Job, error) {
	return get[api.Job](ctx, j.c, at("jobs", id))
}

// Retry does a job now: one that waits, or one that was given up.
func (j Jobs) Retry(ctx context.Context, id string) error {
	return j.c.call(ctx, http.MethodPost, at("jobs", id, "retry"), nil, 0)
}

// Discard leaves a job undone.
func (j Jobs) Discard(ctx context.Context, id string) error {
	return j.c.call(ctx, http.MethodPost, at("jobs", id, "discard"), nil, 0)
}
