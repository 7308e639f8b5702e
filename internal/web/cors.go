package web

import (
	"net/http"
	"strings"
)

// CORS says which scripts of other origins may read an answer. Credentials are
// never allowed: no answer that depends on a cookie is for another origin.
type CORS struct {
	Any     bool                                      // every origin: the answer is public
	Allow   func(r *http.Request, origin string) bool // else these
	Methods string                                    // such as "GET, POST"
	Headers string                                    // request headers, such as "Authorization, Content-Type"
	Expose  string                                    // response headers that scripts may read
}

// Made once and shared, like those of the baseline.
var anyOrigin, varyOrigin = []string{"*"}, []string{"Origin"}[:1:1]

// answer adds what lets the asking origin read this answer.
func (c *CORS) answer(h http.Header, r *http.Request) bool {
	if c.Any {
		h[hAllowOrigin] = anyOrigin
		return true
	}
	switch {
	case r.Method == http.MethodPost:
		// No cache keeps an answer that does not say how long (RFC 9110, section 9.3.3).
	case h[hVary] == nil:
		h[hVary] = varyOrigin
	default:
		h.Add(hVary, "Origin")
	}
	sent := r.Header["Origin"]
	if len(sent) == 0 {
		return false // as most, from no browser
	}
	origin := sent[0]
	if origin == "" || origin == "null" || c.Allow == nil || !c.Allow(r, origin) {
		return false
	}
	h.Set(hAllowOrigin, origin)
	if c.Expose != "" {
		h.Set("Access-Control-Expose-Headers", c.Expose)
	}
	return true
}

// preflight answers what a browser asks before it sends the request.
func (c *CORS) preflight(h http.Header, r *http.Request) {
	if !c.answer(h, r) || r.Header.Get("Access-Control-Request-Method") == "" {
		return
	}
	h.Set("Access-Control-Allow-Methods", c.Methods)
	if c.Headers != "" {
		h.Set("Access-Control-Allow-Headers", c.Headers)
	}
	h.Set("Access-Control-Max-Age", "600")
}

// Origin is the origin of a URL as browsers write it, "" when u has none.
func Origin(u string) string {
	scheme, rest, ok := strings.Cut(u, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, "?")
	host, _, _ = strings.Cut(host, "#")
	if host == "" || strings.Contains(host, "@") {
		return ""
	}
	host = strings.ToLower(host)
	if scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host
}
