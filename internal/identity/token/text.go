package token

import (
	"encoding/json"
	"unicode/utf8"
)

// The functions below write JSON without reflection: an access token is made
// on every request.

// appendText writes a string. All but the plainest is left to encoding/json.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // strings always marshal
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// appendWords writes a list as one string with blanks, as scope is written.
func appendWords(b []byte, words []string) []byte {
	b = append(b, '"')
	for i, w := range words {
		if i > 0 {
			b = append(b, ' ')
		}
		quoted := appendText(nil, w)
		b = append(b, quoted[1:len(quoted)-1]...)
	}
	return append(b, '"')
}

func appendList(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

// appendAudience writes aud: a string if it names one, else a list (RFC 7519,
// section 4.1.3).
func appendAudience(b []byte, audience []string) []byte {
	if len(audience) == 1 {
		return appendText(b, audience[0])
	}
	return appendList(b, audience)
}
