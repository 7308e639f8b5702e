package jose

import (
	"errors"
	"fmt"
)

// What can be wrong with a token. Every error of this package wraps one of
// these; its text says what was wrong and never repeats the token.
var (
	ErrMalformed = errors.New("malformed token")                  // not a compact JWS in its one valid encoding
	ErrHeader    = errors.New("forbidden token header")           // a header that would let the token choose its key
	ErrType      = errors.New("token of another type")            // typ is not the expected one
	ErrAlgorithm = errors.New("algorithm not allowed")            // alg is not the one pinned to the key
	ErrKey       = errors.New("unknown signing key")              // no key with this kid
	ErrSignature = errors.New("signature does not verify")        // the signature is wrong
	ErrClaim     = errors.New("claim missing or not as expected") // iss, aud, sub, iat, nbf or another claim
	ErrExpired   = errors.New("token has expired")                // exp has passed
	ErrBadKey    = errors.New("unusable key")                     // a JSON Web Key that is refused
)

func bad(kind error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))
}
