package verify

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SignedIn says how a person must have signed in for a request (RFC 9470). The
// zero value asks for nothing.
type SignedIn struct {
	// ACR are the acceptable levels of assurance, as the issuer names them, the
	// preferred first. Empty: any.
	ACR []string
	// Within is how long ago the sign-in may be, in whole seconds. Zero: however
	// long.
	Within time.Duration
}

// SignedIn returns an *Error of kind ErrAuthentication unless the person behind
// a token signed in as is needed. A token without a person never passes. Hand
// the error to Challenge: it tells the client what to ask the issuer for.
func (v *Verifier) SignedIn(t *Token, need SignedIn) error {
	if len(need.ACR) > 0 && !slices.Contains(need.ACR, t.ACR) {
		return &Error{Kind: ErrAuthentication, Detail: "the sign-in was of another level", need: need}
	}
	if need.Within > 0 && (t.AuthTime.IsZero() || v.c.Now().Sub(t.AuthTime) > need.Within.Truncate(time.Second)) {
		return &Error{Kind: ErrAuthentication, Detail: "the sign-in was too long ago", need: need}
	}
	return nil
}

// ProtectSignedIn is Protect for requests whose person must have signed in well
// enough and lately.
func (v *Verifier) ProtectSignedIn(next http.Handler, need SignedIn, scopes ...string) http.Handler {
	return v.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := v.SignedIn(FromContext(r.Context()), need); err != nil {
			v.Challenge(w, err, scopes...)
			return
		}
		next.ServeHTTP(w, r)
	}), scopes...)
}

// params are what a challenge adds (RFC 9470, section 3).
func (s SignedIn) params() string {
	var b strings.Builder
	if len(s.ACR) > 0 {
		b.WriteString(`, acr_values="` + quoted(strings.Join(s.ACR, " ")) + `"`)
	}
	if s.Within > 0 {
		b.WriteString(`, max_age="` + strconv.FormatInt(int64(s.Within/time.Second), 10) + `"`)
	}
	return b.String()
}
