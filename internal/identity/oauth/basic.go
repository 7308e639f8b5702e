package oauth

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

var basicEncoding = base64.StdEncoding.Strict()

// parseBasic reads the credentials of an Authorization header. present is
// whether it names the Basic scheme at all; ok is whether id and secret could
// be read. Both parts are form-encoded inside (RFC 6749, section 2.3.1).
func parseBasic(header string) (id, secret string, present, ok bool) {
	const prefix = "basic "
	if len(header) < len(prefix) || !strings.EqualFold(header[:len(prefix)], prefix) {
		return "", "", false, false
	}
	var space, coded [256]byte // the usual lengths need no more
	text, err := basicEncoding.AppendDecode(space[:0], append(coded[:0], strings.TrimLeft(header[len(prefix):], " ")...))
	if err != nil {
		return "", "", true, false
	}
	rawID, rawSecret, found := strings.Cut(string(text), ":")
	if !found {
		return "", "", true, false
	}
	if bytes.IndexByte(text, '%') < 0 && bytes.IndexByte(text, '+') < 0 {
		return rawID, rawSecret, true, true // as nearly all are
	}
	id, errID := url.QueryUnescape(rawID)
	secret, errSecret := url.QueryUnescape(rawSecret)
	return id, secret, true, errID == nil && errSecret == nil
}

// inToken are the characters of a token (RFC 6750, section 2.1).
var inToken = func() (set [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=") {
		set[c] = true
	}
	return set
}()

// parsePresented reads the token of an Authorization header (RFC 6750, section
// 2.1; RFC 9449, section 7.1). present is whether it names one of the schemes.
func parsePresented(header string) (p Presented, present bool) {
	scheme, token, _ := strings.Cut(header, " ")
	if p.DPoP = strings.EqualFold(scheme, "DPoP"); !p.DPoP && !strings.EqualFold(scheme, "Bearer") {
		return Presented{}, false
	}
	token = strings.TrimLeft(token, " ")
	for i := 0; i < len(token); i++ {
		if !inToken[token[i]] {
			return p, true
		}
	}
	p.Token = token
	return p, true
}

// ReadPresented reads the access token in the header of a request as this door
// does. ok is whether there is one that can be read.
func ReadPresented(r *http.Request) (p Presented, ok bool) {
	lines := r.Header["Authorization"]
	if len(lines) != 1 {
		return Presented{}, false
	}
	p, present := parsePresented(lines[0])
	return p, present && p.Token != ""
}
