package client

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/api"
)

// Problem is a request that the API refused, in the words of RFC 9457.
type Problem struct {
	api.Problem
	RetryAfter time.Duration // from the header; zero when there was none
	Challenge  string        // WWW-Authenticate of a 401 or 403, if any
}

// Error is one line for people: the detail, and what is wrong with which field.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	var fields []string
	for name, why := range p.Errors {
		if !strings.Contains(text, why) {
			fields = append(fields, name+": "+why)
		}
	}
	if len(fields) == 0 {
		return text
	}
	slices.Sort(fields)
	for _, promise := range []string{"; see errors", "; see the fields"} { // which follow
		text = strings.TrimSuffix(text, promise)
	}
	return text + " (" + strings.Join(fields, "; ") + ")"
}

// IsStatus reports whether err is a Problem with the given HTTP status.
func IsStatus(err error, status int) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == status
}

// problemFrom reads what a refusal says. An answer that is not a problem
// document, perhaps from a proxy, still becomes one.
func problemFrom(res *http.Response, data []byte) *Problem {
	p := &Problem{Challenge: res.Header.Get("WWW-Authenticate")}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") || json.Unmarshal(data, &p.Problem) != nil {
		p.Problem = api.Problem{Title: http.StatusText(res.StatusCode), Detail: "the server answered " + res.Status}
	}
	p.Status = res.StatusCode
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}
