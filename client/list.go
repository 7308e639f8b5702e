package client

import (
	"context"
	"crypto/rand"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cardea-id/cardea/api"
)

// Filter narrows a list. The keys are the query parameters that the operation
// documents, such as "q" or "state".
type Filter map[string]string

// Cursor says which page of a list to fetch. The zero Cursor is the first page
// of the server's usual size.
type Cursor struct {
	After string // Next of the page before
	Limit int    // at most 500
}

// pageQuery asks for one page of what a filter leaves.
func pageQuery(f Filter, at Cursor) url.Values {
	q := url.Values{}
	for k, v := range f {
		if v != "" {
			q.Set(k, v)
		}
	}
	if at.After != "" {
		q.Set("after", at.After)
	}
	if at.Limit > 0 {
		q.Set("limit", strconv.Itoa(at.Limit))
	}
	return q
}

func list[T any](ctx context.Context, c *Client, path string, f Filter, at Cursor) (api.Page[T], error) {
	var page api.Page[T]
	err := c.do(ctx, request{method: http.MethodGet, path: path, query: pageQuery(f, at)}, &page)
	return page, err
}

// all walks every page of a list. After an error it stops.
func all[T any](ctx context.Context, c *Client, path string, f Filter) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		at := Cursor{Limit: 200}
		for {
			page, err := list[T](ctx, c, path, f, at)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			at.After = page.Next
		}
	}
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	var out T
	err := c.do(ctx, request{method: http.MethodGet, path: path}, &out)
	return out, err
}

func send[T any](ctx context.Context, c *Client, method, path string, body any, match int64) (T, error) {
	var out T
	err := c.do(ctx, request{method: method, path: path, body: body, match: match}, &out)
	return out, err
}

// mint is send for a POST that makes a secret: sent again after a 503, it makes
// no second one.
func mint[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var out T
	err := c.do(ctx, request{method: http.MethodPost, path: path, body: body, key: rand.Text()}, &out)
	return out, err
}

func (c *Client) call(ctx context.Context, method, path string, body any, match int64) error {
	return c.do(ctx, request{method: method, path: path, body: body, match: match}, nil)
}

// at joins escaped path segments.
func at(segments ...string) string {
	var path string
	for _, s := range segments {
		path += "/" + url.PathEscape(s)
	}
	return path
}
