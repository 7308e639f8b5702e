package verify

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// Authorize is Protect for handlers whose callers' rights the issuer's decision
// service knows. It verifies the token of a request locally, asks about, which
// maps the request to an action and a resource, and lets through what the service
// permits. A no is answered 403, or with the challenge of RFC 9470 where a better
// or fresher sign-in would make it a yes. Where no decision can be had the answer
// is 503: nothing is let through unasked.
//
// The subject is the token's, unless about names one; the token goes with the
// question, so that policies know how its person signed in. The decision is in the
// context of the request: see DecisionFrom.
func (v *Verifier) Authorize(next http.Handler, d *Decisions, about func(r *http.Request, t *Token) Question, scopes ...string) http.Handler {
	return v.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := FromContext(r.Context())
		q := about(r, t)
		if q.Subject.Type == "" && q.Subject.ID == "" {
			q.Subject.Type, q.Subject.ID = subjectType(t.Subject), t.Subject
		}
		if q.Token == "" {
			if p, err := present(r.Header.Values("Authorization")); err == nil {
				q.Token = p.token
			}
		}
		decision, err := d.Decide(r.Context(), q)
		switch {
		case err != nil:
			v.undecided(w, err)
		case decision.Allowed:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), decisionKey{}, &decision)))
		case decision.StepUp != nil:
			v.Challenge(w, &Error{Kind: ErrAuthentication, Detail: "the policies want another sign-in", need: *decision.StepUp}, scopes...)
		default:
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "you may not do this", http.StatusForbidden)
		}
	}), scopes...)
}

// subjectType is the type under which policies know the subject of a token. Whoever
// has an id for this API alone is a person.
func subjectType(id string) string {
	switch kind, _, _ := strings.Cut(id, "_"); kind {
	case "svc":
		return "service"
	case "wkl":
		return "workload"
	case "agt":
		return "agent"
	}
	return "user"
}

func (v *Verifier) undecided(w http.ResponseWriter, err error) {
	if v.c.OnError != nil && !errors.Is(err, context.Canceled) {
		v.c.OnError(err)
	}
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "it cannot be told at the moment whether this is allowed", http.StatusServiceUnavailable)
}

type decisionKey struct{}

// DecisionFrom returns the decision that let this request through, or nil.
func DecisionFrom(ctx context.Context) *Decision {
	d, _ := ctx.Value(decisionKey{}).(*Decision)
	return d
}

// MethodAction names an action by the method of a request: read (GET, HEAD,
// OPTIONS), create (POST), write (PUT, PATCH) or delete. Any other is its own name,
// which no policy knows unless it was meant.
func MethodAction(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return "read"
	case http.MethodPost:
		return "create"
	case http.MethodPut, http.MethodPatch:
		return "write"
	case http.MethodDelete:
		return "delete"
	}
	return method
}
