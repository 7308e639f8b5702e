package web

import (
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
)

const authenticate = "WWW-Authenticate"

// Challenge writes a challenge of WWW-Authenticate (RFC 9110, section 11.6.1): a
// scheme and its parameters, pairs of name and value. A parameter without a value is
// left out, and from values what may not stand in them (RFC 6750, section 3).
func Challenge(scheme string, params ...string) string {
	b := append(make([]byte, 0, 256), scheme...)
	sep := " "
	for i := 0; i+1 < len(params); i += 2 {
		if params[i+1] == "" {
			continue
		}
		b = append(append(append(b, sep...), params[i]...), `="`...)
		for _, c := range []byte(params[i+1]) {
			if c >= ' ' && c <= '~' && c != '"' && c != '\\' {
				b = append(b, c)
			}
		}
		b, sep = append(b, '"'), ", "
	}
	return string(b)
}

// RefuseClient writes an error of an issuer's door for programs as a problem
// document; one about the credential says that an access token with a scope and a
// client's own secret are taken (RFC 6750, section 3; RFC 7617, section 2).
func RefuseClient(w http.ResponseWriter, r *http.Request, err error, issuer, scope string) {
	switch {
	case fault.Is(err, fault.Unauthenticated):
		code := ""
		if strings.HasPrefix(strings.ToLower(r.Header.Get("Authorization")), "bearer ") {
			code = "invalid_token"
		}
		w.Header().Add(authenticate, Challenge("Bearer", "realm", issuer, "scope", scope, "error", code))
		w.Header().Add(authenticate, Challenge("Basic", "realm", issuer, "charset", "UTF-8"))
	case fault.Is(err, fault.Forbidden):
		w.Header().Add(authenticate, Challenge("Bearer", "realm", issuer, "error", "insufficient_scope", "scope", scope))
	}
	Problem(w, r, err)
}
