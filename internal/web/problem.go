package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

var statuses = [...]int{
	fault.Internal: 500, fault.Invalid: 400, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.NotFound: 404,
	fault.Conflict: 409, fault.Precondition: 412, fault.TooLarge: 413, fault.TooMany: 429, fault.Unavailable: 503,
}

// Status is the HTTP status of a failure of kind k.
func Status(k fault.Kind) int {
	if k < 0 || int(k) >= len(statuses) {
		return http.StatusInternalServerError
	}
	return statuses[k]
}

// problem is the body of RFC 9457, section 3. It has no type, which means
// about:blank: the title is that of the status, and code tells them apart.
type problem struct {
	Title   string            `json:"title"`
	Status  int               `json:"status"`
	Code    string            `json:"code"`
	Detail  string            `json:"detail,omitempty"`
	Errors  map[string]string `json:"errors,omitempty"`
	Request string            `json:"request_id,omitempty"`
}

// Problem writes err as RFC 9457 problem details.
func Problem(w http.ResponseWriter, r *http.Request, err error) {
	f, status := Explain(r.Context(), err)
	Retry(w.Header(), f)
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	body, _ := json.Marshal(problem{http.StatusText(status), status, f.Code, f.Detail, f.Fields, RequestID(r.Context())})
	_, _ = w.Write(append(body, '\n'))
}

// Explain turns any error into what the caller may be told and its status. An
// error that is no fault is logged, once, and told as a bare internal error; so
// every door's Fail calls Explain exactly once.
func Explain(ctx context.Context, err error) (*fault.Error, int) {
	var s *statusError
	if errors.As(err, &s) {
		Note(ctx, "code", s.fault.Code)
		return s.fault, s.status
	}
	var f *fault.Error
	if errors.As(err, &f) {
		Note(ctx, "code", f.Code)
		return f, Status(f.Kind)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		// The client went away: nobody reads this, and nothing is wrong here.
		return fault.New(fault.Unavailable, "cancelled", "the request was cancelled"), http.StatusServiceUnavailable
	}
	logger(ctx).LogAttrs(ctx, slog.LevelError, "request failed", slog.String("request", RequestID(ctx)), slog.String("err", err.Error()))
	return fault.New(fault.Internal, "internal", "something went wrong here"), http.StatusInternalServerError
}

// Retry sets Retry-After, in whole seconds rounded up, when f says when. A
// failure of kind Unavailable always says.
func Retry(h http.Header, f *fault.Error) {
	d := f.RetryAfter
	if d <= 0 && f.Kind == fault.Unavailable {
		d = time.Second
	}
	if d > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(d.Seconds()))))
	}
}
