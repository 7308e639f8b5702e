package client

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// StepUp is the sign-in that an operation takes (RFC 9470): at least of this
// assurance and no older. A zero value is no demand.
type StepUp struct {
	ACR    string
	MaxAge time.Duration
}

// WithStepUp has again called when an operation takes another sign-in than the
// token shows. When it returns nil, the request is sent once more, with the token
// that the source gives then.
func WithStepUp(again func(ctx context.Context, s StepUp) error) Option {
	return func(c *Client) { c.again = again }
}

var (
	acrValues = regexp.MustCompile(`[ ,]acr_values="([!-~]+)"`)
	maxAge    = regexp.MustCompile(`[ ,]max_age="?([0-9]{1,9})`)
)

// StepUp is the sign-in that would do, if that is what the API asks for.
func (p *Problem) StepUp() (s StepUp, asked bool) {
	if p.Status != http.StatusUnauthorized || p.Code != "insufficient_user_authentication" {
		return s, false
	}
	if m := acrValues.FindStringSubmatch(p.Challenge); m != nil {
		s.ACR = m[1]
	}
	if m := maxAge.FindStringSubmatch(p.Challenge); m != nil {
		seconds, _ := strconv.Atoi(m[1])
		s.MaxAge = time.Duration(seconds) * time.Second
	}
	return s, true
}
