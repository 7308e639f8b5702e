package oauth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Error is a refusal in the protocol's own words (RFC 6749, sections 4.1.2.1
// and 5.2; RFC 6750, section 3.1; OpenID Connect Core, section 3.1.2.6).
type Error struct {
	Status      int
	Code        string
	Description string
	// Challenge is the value of WWW-Authenticate, or "".
	Challenge string
	// OrDPoP says in a second challenge that proofs of possession are taken.
	OrDPoP bool
}

func (e *Error) Error() string { return e.Code + ": " + e.Description }

// refuse is a refusal with status 400, the protocol's default.
func refuse(code, description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Description: description}
}

// badRequest is what is said to a request that cannot be understood.
func badRequest(description string) *Error { return refuse("invalid_request", description) }

// badGrant refuses a code or refresh token. It never says which of its
// bindings was wrong: who holds a stolen one learns nothing.
func badGrant(description string) *Error { return refuse("invalid_grant", description) }

// explain finds the protocol's words for any error. What is not meant for
// callers is logged and becomes a bare server_error.
func explain(r *http.Request, err error) (*Error, *fault.Error) {
	var e *Error
	if errors.As(err, &e) {
		web.Note(r.Context(), "code", e.Code)
		return e, nil
	}
	f, status := web.Explain(r.Context(), err)
	e = &Error{Status: status, Code: "invalid_request", Description: sayable(f.Detail)}
	switch f.Kind {
	case fault.Unavailable, fault.TooMany:
		e.Code = "temporarily_unavailable"
	case fault.Forbidden, fault.Unauthenticated:
		e.Code = "access_denied"
	case fault.Internal:
		e.Code, e.Description = "server_error", ""
	}
	return e, f
}

// sayable makes text fit for error_description: printable ASCII without quote and
// backslash (RFC 6749, section 5.2).
func sayable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return '?'
		}
		return r
	}, text)
}

// fail writes an error of the endpoints that speak JSON.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	e, f := explain(r, err)
	h := w.Header()
	if f != nil {
		web.Retry(h, f)
	}
	if e.Challenge != "" {
		h.Set("WWW-Authenticate", e.Challenge)
	}
	if e.OrDPoP {
		h.Add("WWW-Authenticate", web.Challenge("DPoP", "algs", proofTypes(realm.From(r.Context()))))
	}
	noStore(h)
	h["Content-Type"] = contentJSON
	w.WriteHeader(e.Status)
	_, _ = w.Write(e.json())
}

// json is the body of RFC 6749, section 5.2.
func (e *Error) json() []byte {
	b := appendString(append(make([]byte, 0, 128), `{"error":`...), e.Code)
	if e.Description != "" {
		b = appendString(append(b, `,"error_description":`...), e.Description)
	}
	return append(b, '}')
}
