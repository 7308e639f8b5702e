// Package chain owns the running hash by which one signature vouches for all that
// was sent on a stream so far.
package chain

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

// Hash is the hash of all that was sent, in its order; zero before anything was.
type Hash [sha256.Size]byte

// Next returns the hash after one more message, the parts of which together must
// have but one meaning.
func (c Hash) Next(parts ...[]byte) (next Hash) {
	h := sha256.New()
	h.Write(c[:])
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(next[:0])
	return next
}

// MarshalText writes the hash as base64url.
func (c Hash) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, c[:]), nil
}

// UnmarshalText reads what MarshalText writes.
func (c *Hash) UnmarshalText(b []byte) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(b))
	if err != nil || len(raw) != len(c) {
		return errors.New("a chain is 32 bytes in base64url")
	}
	copy(c[:], raw)
	return nil
}
