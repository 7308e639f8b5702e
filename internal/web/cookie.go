package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxCookie = 4 << 10

// SetCookie sets a cookie of this host alone: the name begins with __Host-,
// and it is Secure, HttpOnly and SameSite=Lax with path "/" (browsers take
// http://localhost for secure). A lifetime of zero ends with the browser. It
// panics when name or value could not be read back: both are ours.
func SetCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	mustBeOurs(name, value)
	line := name + "=" + value + "; Path=/; Secure; HttpOnly; SameSite=Lax"
	if life > 0 {
		line += "; Max-Age=" + strconv.Itoa(int(life/time.Second))
	}
	w.Header().Add("Set-Cookie", line)
}

// mustBeOurs panics when a cookie could not be read back.
func mustBeOurs(name, value string) {
	if !strings.HasPrefix(name, "__Host-") || !isToken(name) || !isCookieValue(value) || len(name)+len(value) > maxCookie {
		panic("web: cookie " + strconv.Quote(name) + " cannot be set like this")
	}
}

// SetOpenCookie is SetCookie for a value that gives nobody anything: scripts may
// read it, and browsers send it also from frames on pages of other sites.
func SetOpenCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	mustBeOurs(name, value)
	w.Header().Add("Set-Cookie", name+"="+value+"; Path=/; Secure; SameSite=None; Max-Age="+strconv.Itoa(int(life/time.Second)))
}

// ClearOpenCookie makes the browser forget what SetOpenCookie set.
func ClearOpenCookie(w http.ResponseWriter, name string) {
	w.Header().Add("Set-Cookie", name+"=; Path=/; Max-Age=0; Secure; SameSite=None")
}

// ClearCookie makes the browser forget a cookie.
func ClearCookie(w http.ResponseWriter, name string) {
	w.Header().Add("Set-Cookie", name+"=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
}

// Cookie is the value of a cookie, "" when there is none. A malformed or
// oversized cookie, and one that came twice, is none.
func Cookie(r *http.Request, name string) string {
	value, found := "", false
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			n, v, ok := strings.Cut(strings.TrimSpace(part), "=")
			if !ok || n != name {
				continue
			}
			if found {
				return ""
			}
			value, found = v, true
		}
	}
	if len(value) > maxCookie || !isCookieValue(value) {
		return ""
	}
	return value
}

// isCookieValue reports whether v is made of cookie-octets of RFC 6265, section
// 4.1.1, without the quotes.
func isCookieValue(v string) bool {
	for _, c := range []byte(v) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\' {
			return false
		}
	}
	return true
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
