package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/web"
)

// problem is an error on its way out through huma.
type problem struct {
	wire.Problem
	headers http.Header
}

func (p *problem) Error() string             { return p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) GetHeaders() http.Header   { return p.headers }
func (p *problem) ContentType(string) string { return "application/problem+json" }

// explain words the error of a handler for the caller.
func explain(ctx context.Context, err error) error {
	f, status := web.Explain(ctx, err)
	p := &problem{wire.Problem{Title: http.StatusText(status), Status: status, Code: f.Code, Detail: f.Detail, Errors: f.Fields, RequestID: web.RequestID(ctx)}, http.Header{}}
	web.Retry(p.headers, f)
	var c *challenge
	if errors.As(err, &c) {
		p.headers.Set("WWW-Authenticate", c.header(ctx))
	}
	return p
}

// reword turns the errors that huma makes into problems of ours. They carry the
// offending value, which may be a secret: it stays here, and so does any part
// of a message that quotes it.
func reword(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := &wire.Problem{Title: http.StatusText(m.Status), Status: m.Status, Code: "invalid_request", Detail: "the request cannot be used; see errors", RequestID: web.RequestID(ctx.Context())}
	if m.Status >= 500 {
		p.Code, p.Detail = "internal", "something went wrong here"
		return p, nil
	}
	if len(m.Errors) == 0 {
		p.Detail = m.Detail
	}
	p.Errors = map[string]string{}
	for _, e := range m.Errors {
		if len(p.Errors) == 50 {
			break
		}
		p.Errors[place(e.Location)] = unquoted(e.Message, e.Value)
	}
	return p, nil
}

// place names a field as the caller wrote it: body.name is name.
func place(location string) string {
	if len(location) > 100 {
		location = location[:100]
	}
	location = strings.TrimPrefix(location, "body.")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, location)
}

func unquoted(message string, value any) string {
	message, _, _ = strings.Cut(message, ": ")
	if text := fmt.Sprint(value); value != nil && len(text) > 0 && strings.Contains(message, text) {
		return "is not allowed"
	}
	return message
}

// etag is a version as an entity tag.
func etag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }
