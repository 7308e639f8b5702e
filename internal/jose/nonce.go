package jose

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Nonces makes the nonces that a server wants to see in DPoP proofs (RFC 9449,
// section 8). None is stored: a nonce is a span of time under a MAC, so every
// node with the key knows those of the others. It is taken for as long as a
// proof is, after the span it was made in.
type Nonces struct{ key []byte }

// nonceSpan is how long the same nonce is given out.
const nonceSpan = time.Minute

// nonceBytes is the length of the MAC in a nonce.
const nonceBytes = 16

// NewNonces makes nonces under a key of at least 32 bytes, which serves nothing
// else.
func NewNonces(key []byte) Nonces { return Nonces{key} }

// At is the nonce of an instant.
func (n Nonces) At(now time.Time) string { return n.of(now.Unix() / int64(nonceSpan/time.Second)) }

// Good reports whether a nonce was made in this span, one of the two before it,
// or the next one, by a node whose clock is ahead.
func (n Nonces) Good(nonce string, now time.Time) bool {
	raw, err := decode(nonce)
	if err != nil || len(raw) != 8+nonceBytes {
		return false
	}
	span := int64(binary.BigEndian.Uint64(raw))
	age := now.Unix()/int64(nonceSpan/time.Second) - span
	return age >= -1 && age <= 2 && hmac.Equal([]byte(nonce), []byte(n.of(span)))
}

func (n Nonces) of(span int64) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+sha256.Size), uint64(span))
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte("dpop nonce"))
	mac.Write(b)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(b)[:8+nonceBytes])
}
