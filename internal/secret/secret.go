// Package secret makes, compares, hashes and seals secrets.
package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"log/slog"
	"strings"
)

// Text is a secret that does not print itself. Converting it with string(t) is
// the one way to its value, so that every place where a secret leaves is seen.
type Text string

func (Text) String() string   { return "[secret]" }
func (Text) GoString() string { return "[secret]" }

// LogValue keeps the secret out of logs.
func (Text) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText refuses: a secret is put into an answer by name, never by
// encoding a struct that happens to hold it.
func (Text) MarshalText() ([]byte, error) { return nil, errors.New("secret: not to be encoded") }

const (
	randomBytes   = 32
	randomChars   = 43 // base64url of 32 bytes
	checksumChars = 7  // base32 of a CRC-32
)

var strictEncoding = base64.RawURLEncoding.Strict()

var sumEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// New returns a fresh secret: the prefix, 256 random bits, and a checksum by
// which scanners tell a leaked secret from chance.
func New(prefix string) Text {
	var b [randomBytes]byte
	rand.Read(b[:])
	return Text(Encode(prefix, b[:]))
}

// Encode gives bytes the outer form of a secret: prefix, base64url, checksum.
func Encode(prefix string, b []byte) string {
	return string(AppendEncode(make([]byte, 0, len(prefix)+base64.RawURLEncoding.EncodedLen(len(b))+checksumChars), prefix, b))
}

// AppendEncode is Encode into memory of the caller's, who makes many.
func AppendEncode(to []byte, prefix string, b []byte) []byte {
	begin := len(to)
	to = base64.RawURLEncoding.AppendEncode(append(to, prefix...), b)
	return appendChecksum(to, to[begin:])
}

// Decode takes apart what Encode made and reports whether prefix, alphabet and
// checksum are right. There is one encoding of each value.
func Decode(prefix, s string) ([]byte, bool) {
	if !strings.HasPrefix(s, prefix) || len(s) < len(prefix)+checksumChars {
		return nil, false
	}
	body, sum := s[:len(s)-checksumChars], s[len(s)-checksumChars:]
	if checksum(body) != sum {
		return nil, false
	}
	b, err := strictEncoding.DecodeString(body[len(prefix):])
	if err != nil || strings.ContainsAny(body, "\r\n") {
		return nil, false
	}
	return b, true
}

// Valid reports whether s has the shape and checksum of a secret from New. It
// says nothing about whether the secret is known.
func Valid(prefix, s string) bool {
	if len(s) != len(prefix)+randomChars+checksumChars {
		return false
	}
	_, ok := Decode(prefix, s)
	return ok
}

func checksum(body string) string { return string(appendChecksum(nil, []byte(body))) }

func appendChecksum(to, body []byte) []byte {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE(body))
	return sumEncoding.AppendEncode(to, sum[:])
}

// Hash returns the SHA-256 of s, which is what is stored: secrets made by New
// have 256 random bits, so there is nothing to guess and no need to be slow.
func Hash(s string) []byte {
	var space [128]byte // those of the usual length are copied to the stack, not to the heap
	h := sha256.Sum256(append(space[:0], s...))
	return h[:]
}

// Equal reports in constant time whether a and b are the same and not empty.
func Equal(a, b []byte) bool {
	return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1
}

// Derive returns 32 bytes that only a holder of key can compute, bound to label
// and parts. Parts are length-prefixed, so that no two lists are confused.
func Derive(key []byte, label string, parts ...string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(canonical(label, parts))
	return m.Sum(nil)
}

// canonical is an injective encoding of label and parts.
func canonical(label string, parts []string) []byte {
	n := 4 + len(label)
	for _, p := range parts {
		n += 4 + len(p)
	}
	b := make([]byte, 0, n)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(label))), label...)
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}
