package oauth

import (
	"net/http"
	"unicode/utf8"
)

// Header values are shared between answers and never changed.
var (
	contentJSON  = []string{"application/json"}
	valueNoStore = []string{"no-store"}
	valueNoCache = []string{"no-cache"}
)

// noStore keeps an answer out of every cache (RFC 6749, section 5.1).
func noStore(h http.Header) {
	h["Cache-Control"] = valueNoStore
	h["Pragma"] = valueNoCache
}

// writeJSON writes an encoded object that must not be stored.
func writeJSON(w http.ResponseWriter, body []byte) error {
	h := w.Header()
	noStore(h)
	h["Content-Type"] = contentJSON
	_, err := w.Write(body)
	return err
}

// answerRoom has room for the answers that are made most often. It is not larger
// than what net/http copies into a buffer of its own: what it is handed beyond that
// it may still send when the handler has returned.
type answerRoom [2048]byte

// room lends memory for an answer, until it is given back once that is written.
func (s *Server) room() *answerRoom {
	if r, ok := s.rooms.Get().(*answerRoom); ok {
		return r
	}
	return new(answerRoom)
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || r == '\u2028' || r == '\u2029' {
				b = append(b, `\u`...)
				b = append(b, hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			} else {
				b = append(b, s[i:i+n]...)
			}
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c == 0x7f || c == '<' || c == '>' || c == '&':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}

// appendStrings appends a JSON array of strings.
func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}
