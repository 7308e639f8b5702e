package client

import "strings"

// maxURI bounds every URI in a client's record, in bytes.
const maxURI = 2048

// parts is a URI that passed the canonical form check. The check does not use
// net/url: what we accept has one reading only, in every parser.
type parts struct {
	scheme string
	host   string // as written, IPv6 in brackets; empty for private-use schemes without authority
	port   string // without the colon; empty when absent
	rest   string // path and query, as written
}

// canonical takes uri apart, or says why it has more than one reading.
func canonical(uri string) (parts, string) {
	if uri == "" {
		return parts{}, "is empty"
	}
	if len(uri) > maxURI {
		return parts{}, "is longer than 2048 bytes"
	}
	if why := characters(uri); why != "" {
		return parts{}, why
	}
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || !validScheme(scheme) {
		return parts{}, "does not begin with a lower-case scheme"
	}
	p := parts{scheme: scheme}
	authority, hasAuthority := strings.CutPrefix(rest, "//")
	if !hasAuthority {
		p.rest = rest
		if !strings.HasPrefix(rest, "/") {
			return parts{}, "has no path that begins with a slash"
		}
		return p, segments(p.rest)
	}
	end := strings.IndexAny(authority, "/?")
	if end < 0 {
		end = len(authority)
	}
	p.rest = authority[end:]
	authority = authority[:end]
	if strings.Contains(authority, "@") {
		return parts{}, "carries a user name or password"
	}
	if why := p.splitHost(authority); why != "" {
		return parts{}, why
	}
	return p, segments(p.rest)
}

// characters refuses everything that needs care in any parser: controls,
// spaces, non-ASCII, delimiters that browsers repair, fragments, wildcards and
// broken percent escapes.
func characters(uri string) string {
	for i := 0; i < len(uri); i++ {
		switch c := uri[i]; {
		case c <= ' ' || c >= 0x7f:
			return "contains a control character, a space or a character outside ASCII"
		case c == '#':
			return "has a fragment"
		case c == '*':
			return "contains a wildcard"
		case strings.IndexByte(`"<>\^`+"`{|}", c) >= 0:
			return "contains a character that must be percent-encoded"
		case c == '%':
			if i+2 >= len(uri) || !hex(uri[i+1]) || !hex(uri[i+2]) {
				return "has a broken percent escape"
			}
			if uri[i+1] < '2' || uri[i+1] == '7' && (uri[i+2] == 'f' || uri[i+2] == 'F') {
				return "has an escaped control character"
			}
		}
	}
	return ""
}

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func validScheme(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := 1; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '+') {
			return false
		}
	}
	return true
}

// segments refuses paths that a parser may shorten.
func segments(rest string) string {
	path, _, _ := strings.Cut(rest, "?")
	for _, escaped := range [...]string{"%2e", "%2f", "%5c"} {
		if strings.Contains(strings.ToLower(path), escaped) {
			return "has an escaped dot, slash or backslash in its path"
		}
	}
	for s := range strings.SplitSeq(path, "/") {
		if s == "." || s == ".." {
			return "has a dot segment"
		}
	}
	return ""
}

func (p *parts) splitHost(authority string) string {
	host, port, hasPort := authority, "", false
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return "has a broken IPv6 address"
		}
		host = authority[:end+1]
		if rest := authority[end+1:]; rest != "" {
			port, hasPort = strings.CutPrefix(rest, ":")
			if !hasPort {
				return "has a broken IPv6 address"
			}
		}
		if host != "[::1]" && !ipv6(host[1:end]) {
			return "has an IPv6 address that is not in canonical form"
		}
	} else {
		host, port, hasPort = strings.Cut(authority, ":")
		if why := hostName(host); why != "" {
			return why
		}
	}
	if hasPort && !validPort(port) {
		return "has a port that is not a number between 1 and 65535"
	}
	if p.scheme == "https" && port == "443" || p.scheme == "http" && port == "80" {
		return "names the default port of its scheme"
	}
	p.host, p.port = host, port
	return ""
}

func validPort(s string) bool {
	if len(s) == 0 || len(s) > 5 || s[0] == '0' {
		return false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// loopback reports whether a host reaches the same machine only, and whether
// it says so as an IP literal.
func loopback(host string) (is, literal bool) {
	switch host {
	case "127.0.0.1", "[::1]":
		return true, true
	case "localhost":
		return true, false
	}
	return false, false
}

// origin is the web origin of a URI that passed the check, or "" for private
// schemes.
func (p parts) origin() string {
	if p.scheme != "https" && p.scheme != "http" {
		return ""
	}
	if p.port == "" {
		return p.scheme + "://" + p.host
	}
	return p.scheme + "://" + p.host + ":" + p.port
}

// Origin is the web origin of a redirect URI, or "" for one that has none.
func Origin(uri string) string {
	p, why := canonical(uri)
	if why != "" {
		return ""
	}
	return p.origin()
}

// AllowsRedirect reports whether answers may be sent to uri: only to a string
// that is registered, byte for byte. Of a native client's loopback address the
// port is left out of the comparison, since the system picks it when the
// program starts (RFC 8252, section 7.3).
func (s *Settings) AllowsRedirect(uri string) bool {
	for _, have := range s.RedirectURIs {
		if have == uri {
			return true
		}
		if s.Type == Native && samePortAside(have, uri) {
			return true
		}
	}
	return false
}

// samePortAside compares a registered loopback address with one from a
// request. Everything but the port must be the same bytes.
func samePortAside(have, uri string) bool {
	for _, prefix := range [...]string{"http://127.0.0.1", "http://[::1]"} {
		haveRest, ok := strings.CutPrefix(have, prefix)
		if !ok {
			continue
		}
		rest, ok := strings.CutPrefix(uri, prefix)
		if !ok {
			return false
		}
		haveRest, okHave := skipPort(haveRest)
		rest, okRest := skipPort(rest)
		return okHave && okRest && rest == haveRest
	}
	return false
}

// skipPort drops ":port" from the beginning of s, which must then go on with a
// path, a query or nothing.
func skipPort(s string) (string, bool) {
	if after, ok := strings.CutPrefix(s, ":"); ok {
		end := strings.IndexAny(after, "/?")
		if end < 0 {
			end = len(after)
		}
		if !validPort(after[:end]) {
			return "", false
		}
		s = after[end:]
	}
	return s, s == "" || s[0] == '/' || s[0] == '?'
}
