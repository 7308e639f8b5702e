package oauth

import (
	"crypto/sha256"
	"encoding/base64"
)

// s256 is the code challenge of a verifier (RFC 7636, section 4.2).
func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// validVerifier reports whether v has the length and alphabet of RFC 7636,
// section 4.1.
func validVerifier(v string) bool { return len(v) >= 43 && len(v) <= 128 && unreserved(v) }

// validChallenge reports whether c can be the S256 challenge of any verifier:
// 43 characters of base64url, of which the last carries four bits only.
func validChallenge(c string) bool {
	if len(c) != 43 {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(c)
	return err == nil
}

func unreserved(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~') {
			return false
		}
	}
	return true
}
