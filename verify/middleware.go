package verify

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/jose"
)

type contextKey struct{}

// FromContext returns the token that Protect verified for this request, or nil.
func FromContext(ctx context.Context) *Token {
	t, _ := ctx.Value(contextKey{}).(*Token)
	return t
}

// Protect lets requests through that carry a valid token with every one of
// scopes, as Bearer or, if it is bound to a key, as DPoP with a proof (RFC 9449);
// a token that is bound to a certificate needs that, too (RFC 8705). It puts the token into their context. Others are answered with
// the challenge of RFC 6750, section 3 or RFC 9449, section 7.1; if the verifier is stale, with 503,
// because that is not the token's fault. Only the Authorization header counts:
// tokens in a query or a form are ignored.
func (v *Verifier) Protect(next http.Handler, scopes ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, err := v.Request(r, scopes...)
		if err != nil {
			v.Challenge(w, err, scopes...)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, t)))
	})
}

// errNoToken and errTwoTokens are how a request can fail before there is a
// token to judge.
var (
	errNoToken   = errors.New("no access token")
	errTwoTokens = errors.New("more than one Authorization header, or none that is well-formed")
)

// Request verifies the token of a request, what it is bound to, and that it has every one of
// scopes. Hand its error to Challenge.
func (v *Verifier) Request(r *http.Request, scopes ...string) (*Token, error) {
	p, err := present(r.Header.Values("Authorization"))
	if err != nil {
		return nil, err
	}
	t, err := v.living(r.Context(), p.token)
	if err != nil {
		return nil, err
	}
	if err := v.bound(r, p, t); err != nil {
		return nil, err
	}
	return t, t.Require(scopes...)
}

// present reads the token from the Authorization headers of a request.
func present(headers []string) (presented, error) {
	if len(headers) == 0 {
		return presented{}, errNoToken
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 {
		return presented{}, errTwoTokens
	}
	dpop := strings.EqualFold(scheme, "DPoP")
	if !dpop && !strings.EqualFold(scheme, "Bearer") {
		return presented{}, errNoToken
	}
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return presented{}, errTwoTokens
	}
	return presented{token, dpop}, nil
}

// Challenge answers a request that Request refused: status, WWW-Authenticate
// with realm, error and scope (RFC 6750, section 3), and a one-line body.
func (v *Verifier) Challenge(w http.ResponseWriter, err error, scopes ...string) {
	status, code, text := http.StatusUnauthorized, "invalid_token", "the access token is not valid here"
	switch {
	case errors.Is(err, errNoToken):
		code, text = "", "an access token is needed"
	case errors.Is(err, ErrProof):
		code, text = "invalid_dpop_proof", "the DPoP proof is missing, wrong, too old or was used before"
	case errors.Is(err, ErrNonce):
		code, text = "use_dpop_nonce", "the DPoP proof needs the nonce of the DPoP-Nonce header"
	case errors.Is(err, ErrBound):
		text = "the access token is bound to a key or certificate that was not shown, or not to the one shown"
	case errors.Is(err, errTwoTokens):
		status, code, text = http.StatusBadRequest, "invalid_request", "send one Authorization header with one token"
	case errors.Is(err, ErrExpired):
		text = "the access token has expired"
	case errors.Is(err, ErrRevoked):
		text = "the access token was revoked"
	case errors.Is(err, ErrScope):
		status, code, text = http.StatusForbidden, "insufficient_scope", "the access token does not allow this"
	case errors.Is(err, ErrAuthentication):
		code, text = "insufficient_user_authentication", "sign in again, or in a stronger way"
	case errors.Is(err, ErrStale):
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "it cannot be told at the moment whether the access token was revoked", http.StatusServiceUnavailable)
		return
	}
	scheme := "Bearer"
	if errors.Is(err, ErrProof) || errors.Is(err, ErrNonce) || errors.Is(err, ErrBound) {
		scheme = "DPoP"
		if v.c.DPoPNonceKey != nil {
			w.Header().Set("DPoP-Nonce", v.nonces.At(v.c.Now()))
		}
	}
	challenge := scheme + ` realm="` + quoted(v.c.Audience) + `"`
	if code != "" {
		challenge += `, error="` + code + `", error_description="` + text + `"`
	}
	if e := (*Error)(nil); errors.As(err, &e) && e.Kind == ErrAuthentication {
		challenge += e.need.params()
	}
	if len(scopes) > 0 && (code == "" || code == "insufficient_scope") {
		challenge += `, scope="` + quoted(strings.Join(scopes, " ")) + `"`
	}
	if v.c.ResourceMetadata != "" { // RFC 9728, section 5.1
		challenge += `, resource_metadata="` + quoted(v.c.ResourceMetadata) + `"`
	}
	algs := `algs="` + strings.Join(jose.Algorithms(), " ") + `"`
	if scheme == "DPoP" {
		challenge += ", " + algs
	}
	w.Header().Set("WWW-Authenticate", challenge)
	if code == "" {
		w.Header().Add("WWW-Authenticate", "DPoP "+algs)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}

// quoted leaves out what may not stand in a quoted-string.
func quoted(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '"' || c == '\\' || c < ' ' || c > '~' {
			return -1
		}
		return c
	}, s)
}
