package oauth

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// parseBasic reads the credentials of an Authorization header. present is
// whether it names the Basic scheme at all; ok is whether id and secret could
// be read. Both parts are form-encoded inside (RFC 6749, section 2.3.1).
func parseBasic(header string) (id, secret string, present, ok bool) {
	const prefix = "basic "
	if len(header) < len(prefix) || !strings.EqualFold(header[:len(prefix)], prefix) {
		return "", "", false, false
	}
	text, err := base64.StdEncoding.Strict().DecodeString(strings.TrimLeft(header[len(prefix):], " "))
	if err != nil {
		return "", "", true, false
	}
	rawID, rawSecret, found := strings.Cut(string(text), ":")
	if !found {
		return "", "", true, false
	}
	id, errID := url.QueryUnescape(rawID)
	secret, errSecret := url.QueryUnescape(rawSecret)
	return id, secret, true, errID == nil && errSecret == nil
}

// parseBearer reads the token of an Authorization header (RFC 6750, section
// 2.1). present is whether it names the Bearer scheme at all.
func parseBearer(header string) (token string, present bool) {
	const prefix = "bearer "
	if len(header) < len(prefix) || !strings.EqualFold(header[:len(prefix)], prefix) {
		return "", false
	}
	token = strings.TrimLeft(header[len(prefix):], " ")
	for i := 0; i < len(token); i++ {
		c := token[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+/=", c) >= 0) {
			return "", true
		}
	}
	return token, true
}

// BearerToken reads the access token in the header of a request as this door
// does (RFC 6750, section 2.1). ok is whether there is one that can be read.
func BearerToken(r *http.Request) (token string, ok bool) {
	lines := r.Header["Authorization"]
	if len(lines) != 1 {
		return "", false
	}
	token, present := parseBearer(lines[0])
	return token, present && token != ""
}
