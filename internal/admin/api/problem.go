package api

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/web"
)

// refusal turns what huma found wrong into an error of ours. What it found
// carries the offending value, which may be a secret: it stays here, and so does
// any part of a message that quotes it.
func refusal(found *huma.ValidateResult) error {
	f := fault.New(fault.Invalid, "invalid_request", "the request cannot be used; see errors")
	for _, err := range found.Errors {
		if len(f.Fields) == 50 {
			break
		}
		if e, ok := err.(*huma.ErrorDetail); ok {
			f.WithField(place(e.Location), unquoted(e.Message, e.Value))
		}
	}
	return web.Unprocessable(f)
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
