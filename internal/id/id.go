// Package id makes identifiers that sort by creation time and name their kind,
// such as usr_0198f2c4a1b3kq7m2x9d5tz8wr.
package id

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var encoding = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// length of the part after the prefix: 128 bits in base 32.
const length = 26

// New returns a fresh identifier of the given kind: 48 bits of time in
// milliseconds, then 80 random bits.
func New(kind string, now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:])
	return Of(kind, b)
}

// First returns what sorts before every identifier of the given kind that was made
// at an instant or later.
func First(kind string, at time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(min(max(at.UnixMilli(), 0), 1<<48-1))<<16)
	return kind + "_" + encoding.EncodeToString(b[:])
}

// Source makes identifiers for one goroutine at a time. It takes randomness for several
// at once, which makes them cheaper. The zero value is ready.
type Source struct {
	random [160]byte
	left   int
}

// New is [New].
func (s *Source) New(kind string, now time.Time) string {
	if s.left == 0 {
		rand.Read(s.random[:])
		s.left = len(s.random)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	s.left -= copy(b[6:], s.random[s.left-10:s.left])
	return Of(kind, b)
}

// Valid reports whether s has the shape of an identifier of the given kind.
func Valid(kind, s string) bool {
	if len(s) != len(kind)+1+length || s[:len(kind)] != kind || s[len(kind)] != '_' {
		return false
	}
	for _, c := range []byte(s[len(kind)+1:]) {
		if !inAlphabet[c] {
			return false
		}
	}
	return true
}

var inAlphabet = func() (set [256]bool) {
	for _, c := range []byte(alphabet) {
		set[c] = true
	}
	return set
}()

// Bytes returns the 128 bits of an identifier of the given kind, if it is one that
// could be made: [Of] gives it back.
func Bytes(kind, s string) (b [16]byte, ok bool) {
	if len(s) != len(kind)+1+length || s[:len(kind)] != kind || s[len(kind)] != '_' {
		return b, false
	}
	bits, n, at := uint64(0), 0, 0
	for _, c := range []byte(s[len(kind)+1:]) {
		if !inAlphabet[c] {
			return b, false
		}
		bits = bits<<5 | uint64(values[c])
		if n += 5; n >= 8 {
			n -= 8
			b[at] = byte(bits >> n)
			at++
		}
	}
	return b, bits&(1<<n-1) == 0
}

// Of returns the identifier of a kind that has these bits.
func Of(kind string, b [16]byte) string {
	one := append(append(make([]byte, 0, 8+1+length), kind...), '_') // kinds are short
	return string(encoding.AppendEncode(one, b[:]))
}

// values of the characters of the alphabet.
var values = func() (of [256]byte) {
	for i, c := range []byte(alphabet) {
		of[c] = byte(i)
	}
	return of
}()

// Kind returns the kind that s names, or "" if it has none.
func Kind(s string) string {
	kind, _, ok := strings.Cut(s, "_")
	if !ok {
		return ""
	}
	return kind
}

// Time returns the millisecond at which an identifier of the given kind was made.
func Time(kind, s string) (at time.Time, ok bool) {
	if !Valid(kind, s) {
		return time.Time{}, false
	}
	b, err := encoding.DecodeString(s[len(kind)+1:])
	if err != nil {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:8]) >> 16)).UTC(), true
}
