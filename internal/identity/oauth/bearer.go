package oauth

import (
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// bearer finds the access token of a request and asks whether it is alive (RFC
// 6750, section 2). The token comes in the header or in a form, in one of them
// only, and never in the address.
func (s *Server) bearer(w http.ResponseWriter, r *http.Request, rl *realm.Realm) (*token.Token, error) {
	text, err := bearerText(w, r)
	if err != nil {
		return nil, challenged(rl, err)
	}
	if text == "" {
		// Section 3.1: a request without credentials is told nothing but how
		// to bring some.
		return nil, &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "an access token is needed", Challenge: "Bearer realm=" + quoted(rl.Issuer)}
	}
	t, err := s.tokens.Recognise(r.Context(), rl.Name, text)
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
		return nil, badToken(rl)
	}
	if err != nil {
		return nil, err
	}
	web.Note(r.Context(), "client", t.Client)
	return t, nil
}

func bearerText(w http.ResponseWriter, r *http.Request) (string, error) {
	if strings.Contains(r.URL.RawQuery, "access_token=") {
		return "", badRequest("a token in the address would end in logs and histories; send it in the Authorization header")
	}
	fromHeader := ""
	if lines := r.Header["Authorization"]; len(lines) > 0 {
		text, present := parseBearer(lines[0])
		if len(lines) > 1 || !present || text == "" {
			return "", badRequest("the Authorization header must be of the form: Bearer token")
		}
		fromHeader = text
	}
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") == "" {
		return fromHeader, nil
	}
	params, err := web.Form(w, r)
	if err != nil {
		return "", err
	}
	fromForm := params.Get("access_token")
	if fromHeader != "" && fromForm != "" {
		return "", badRequest("the token was sent in two ways")
	}
	return fromHeader + fromForm, nil
}

// badToken is the answer to a token that is not, or no longer, good.
func badToken(rl *realm.Realm) *Error {
	e := &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "the access token is unknown, expired or revoked"}
	return challenged(rl, e).(*Error)
}

// tooLittle is the answer to a token without the scope that is needed.
func tooLittle(rl *realm.Realm, scope string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Description: "the access token lacks a scope",
		Challenge: "Bearer realm=" + quoted(rl.Issuer) + `, error="insufficient_scope", scope=` + quoted(scope)}
}

// challenged adds to a refusal of ours what RFC 6750, section 3 wants in
// WWW-Authenticate.
func challenged(rl *realm.Realm, err error) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	e.Challenge = "Bearer realm=" + quoted(rl.Issuer) + ", error=" + quoted(e.Code) + ", error_description=" + quoted(e.Description)
	return e
}
