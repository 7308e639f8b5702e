package oauth

import (
	"regexp"
	"testing"
)

// RFC 6750, section 2.1: b64token.
func TestOnlySomeBytesMakeAToken(t *testing.T) {
	b64token := regexp.MustCompile(`^[A-Za-z0-9\-._~+/=]+$`)
	for i := range 256 {
		token := "a" + string([]byte{byte(i)}) + "b"
		p, present := parsePresented("Bearer " + token)
		if !present || (p.Token == token) != b64token.MatchString(token) || p.Token != token && p.Token != "" {
			t.Errorf("%q is read as %q", token, p.Token)
		}
	}
}
