package jose

import (
	"crypto/hmac"
	"crypto/sha256"
)

// HS256 is HMAC with SHA-256. It is not among Algorithms: nothing that verifies
// a signature accepts it, and MAC accepts nothing else.
const HS256 = "HS256"

// minMACKey is the least length of a key, in bytes (RFC 7518, section 3.2).
const minMACKey = 32

// MAC is a compact token that somebody authenticated with a secret shared with
// us, read but not believed. It is a type of its own, so that no key set can
// check one and no shared secret a signature.
type MAC struct{ read *Unverified }

// ParseMAC reads a compact token of at most maxBytes whose algorithm is HS256,
// and verifies nothing.
func ParseMAC(token string, maxBytes int) (*MAC, error) {
	u, err := parse(token, maxBytes, sharedSecret)
	if err != nil {
		return nil, err
	}
	return &MAC{u}, nil
}

// Subject returns the unverified sub claim: good for choosing whose secret to
// try, never for anything else.
func (m *MAC) Subject() string { return m.read.Subject() }

// Verify checks the type and the authentication code, in constant time. The
// secret must have at least 256 bits.
func (m *MAC) Verify(secret []byte, types ...string) (*Verified, error) {
	u := m.read
	if !typeIn(u.Typ, types) {
		return nil, bad(ErrType, "%.40q", u.Typ)
	}
	if len(secret) < minMACKey {
		return nil, bad(ErrBadKey, "a shared secret has at least %d bytes", minMACKey)
	}
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(u.signed))
	if !hmac.Equal(h.Sum(nil), u.signature) {
		return nil, ErrSignature
	}
	return &Verified{Alg: u.Alg, Typ: u.Typ, Claims: Claims{u.claims}, Payload: u.payload}, nil
}
