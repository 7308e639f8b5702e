package api

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/once"
)

// nothing is the input of an operation that takes none, and the output of one
// that answers 204.
type nothing struct{}

// ByID names the thing that an operation is about. Inputs that are embedded are
// exported, because huma looks into no others.
type ByID struct {
	ID string `path:"id" maxLength:"320"`
}

// Matching carries the version that a change insists on.
type Matching struct {
	IfMatch string `header:"If-Match" maxLength:"40" doc:"The ETag that was read. The change is refused with 412 when somebody else made one meanwhile."`
}

// version is 0 when the caller does not insist.
func (m Matching) version() (int64, error) {
	if m.IfMatch == "" || m.IfMatch == "*" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.Trim(m.IfMatch, `"`), 10, 64)
	if err != nil || n < 1 || etag(n) != m.IfMatch {
		return 0, fault.New(fault.Invalid, "if_match_invalid", "If-Match is not an ETag of this API").WithField("header.If-Match", `want a number in quotes, such as "3"`)
	}
	return n, nil
}

// Repeatable lets a request that makes a secret be sent again.
type Repeatable struct {
	Key string `header:"Idempotency-Key" minLength:"16" maxLength:"255" doc:"A text that nobody else would make up, such as a UUID. For ten minutes, the same request with the same key makes nothing new and gets the same answer (draft-ietf-httpapi-idempotency-key-header). Without it, a request that is sent again makes another secret."`
}

// repeatable does an operation that makes a secret, or gives what it answered before.
// about is the thing that the path names.
func repeatable[T any](ctx context.Context, s *Server, c *Caller, in Repeatable, operation, about string, body any, do func(tx *db.Tx) (T, error)) (out T, err error) {
	content, err := json.Marshal(body)
	if err != nil {
		return out, err
	}
	q := once.Request{By: c.By.ID, Operation: operation + " " + about, Key: in.Key, Content: content}
	answer, err := s.Answers.Once(ctx, c.Realm.Name, q, func(tx *db.Tx) ([]byte, error) {
		made, err := do(tx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(made)
	})
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(answer, &out)
}

// Paging says which page of a list is asked for.
type Paging struct {
	After string `query:"after" maxLength:"1024" doc:"next of the page before."`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// answer is one resource with its version.
type answer[T any] struct {
	ETag string `header:"ETag" doc:"The version, for If-Match."`
	Body T
}

func versioned[T any](v T, version int64) *answer[T] { return &answer[T]{etag(version), v} }

// plainAnswer is something without a version.
type plainAnswer[T any] struct{ Body T }

func plain[T any](v T) *plainAnswer[T] { return &plainAnswer[T]{v} }

// page is one page of a list.
type page[T any] struct{ Body wire.Page[T] }

// paged converts what a core listed.
func paged[C, T any](items []C, next string, convert func(C) T) *page[T] {
	out := make([]T, len(items))
	for i, item := range items {
		out[i] = convert(item)
	}
	return &page[T]{wire.Page[T]{Items: out, Next: next}}
}

// optional is nil for the zero time, which the wire leaves out.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func given(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
