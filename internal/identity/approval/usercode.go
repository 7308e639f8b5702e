package approval

import (
	"crypto/rand"
	"encoding/base64"
	"strings"

	"github.com/cardea-id/cardea/internal/secret"
)

// User codes are of letters that make no words and are not mistaken for others
// (RFC 8628, section 6.1): 20^8 of them, 34 bits.
const (
	codeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	codeLength  = 8
	codeGroup   = 4
)

// maxTyped bounds what is looked at of what somebody typed, in bytes.
const maxTyped = 64

// newUserCode makes a code in its canonical form, without a hyphen.
func newUserCode() string {
	var code [codeLength]byte
	for i := range code {
		code[i] = letter()
	}
	return string(code[:])
}

// letter takes one of the letters, each as likely as the others.
func letter() byte {
	const whole = 256 / len(codeLetters) * len(codeLetters)
	for {
		var b [1]byte
		if rand.Read(b[:]); int(b[0]) < whole {
			return codeLetters[int(b[0])%len(codeLetters)]
		}
	}
}

// ShowCode is how a canonical code is shown to people: XXXX-XXXX.
func ShowCode(code string) string {
	if len(code) != codeLength {
		return code
	}
	return code[:codeGroup] + "-" + code[codeGroup:]
}

// ParseCode reads a code as people type it: in either case, with or without
// hyphens and spaces. It reports false for what cannot be a code.
func ParseCode(typed string) (code string, ok bool) {
	if len(typed) > maxTyped {
		return "", false
	}
	var b strings.Builder
	for _, c := range typed {
		switch {
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		case c == ' ', c == '\t', c == '-', c == '_', c == '.', c >= '\u2010' && c <= '\u2015', c == '\u00a0':
			continue
		}
		if c > 'Z' || !strings.ContainsRune(codeLetters, c) || b.Len() == codeLength {
			return "", false
		}
		b.WriteRune(c)
	}
	return b.String(), b.Len() == codeLength
}

// codeHash is how a code is stored.
func codeHash(code string) string {
	if code == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(secret.Hash(code))
}
