package verify

import "errors"

// The kinds of Error.
var (
	// ErrInvalid: not a token of this issuer for this audience, or forged.
	ErrInvalid = errors.New("invalid token")
	// ErrExpired: genuine, but its time has passed.
	ErrExpired = errors.New("token expired")
	// ErrRevoked: genuine and in time, but killed.
	ErrRevoked = errors.New("token revoked")
	// ErrStale: this verifier cannot know now whether the token was revoked. The
	// caller may try again.
	ErrStale = errors.New("revocation state is stale")
	// ErrScope: genuine, but it does not allow this. Only Protect and Require
	// return it.
	ErrScope = errors.New("insufficient scope")
	// ErrAuthentication: genuine, but its person must sign in anew or better
	// (RFC 9470). Only SignedIn and ProtectSignedIn return it.
	ErrAuthentication = errors.New("insufficient user authentication")
)

// Error says why a token is refused.
type Error struct {
	// Kind is ErrInvalid, ErrExpired, ErrRevoked, ErrStale, ErrScope or
	// ErrAuthentication, or of a request ErrProof, ErrNonce or ErrBound.
	Kind error
	// Detail is for logs and developers. It never contains the token.
	Detail string

	need SignedIn // of ErrAuthentication
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Kind.Error()
	}
	return e.Kind.Error() + ": " + e.Detail
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

func refuse(kind error, detail string) error { return &Error{Kind: kind, Detail: detail} }
