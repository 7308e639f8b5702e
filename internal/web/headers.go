package web

import (
	"net/http"
	"strings"
)

const (
	hNoSniff     = "X-Content-Type-Options"
	hReferrer    = "Referrer-Policy"
	hHSTS        = "Strict-Transport-Security"
	hCSP         = "Content-Security-Policy"
	hCOOP        = "Cross-Origin-Opener-Policy"
	hCORP        = "Cross-Origin-Resource-Policy"
	hAllowOrigin = "Access-Control-Allow-Origin"
	hVary        = "Vary"
)

const (
	bareCSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	pageCSP = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
		"frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'; form-action 'self'"
)

// baseline is what every answer carries. The slices are made once and shared:
// nothing may write into a header's slice, only replace it.
type baseline struct{ noSniff, referrer, csp, hsts []string }

func newBaseline(https bool) baseline {
	b := baseline{noSniff: []string{"nosniff"}, referrer: []string{"no-referrer"}, csp: []string{bareCSP}}
	if https {
		b.hsts = []string{"max-age=63072000"}
	}
	return b
}

func (b *baseline) set(h http.Header) {
	h[hNoSniff] = b.noSniff
	h[hReferrer] = b.referrer
	h[hCSP] = b.csp
	if b.hsts != nil {
		h[hHSTS] = b.hsts
	}
}

// pageHeaders are those of something that a browser shows. A form may lead,
// by redirection too, to this origin and to targets only.
func pageHeaders(h http.Header, targets []string) {
	csp := pageCSP
	for _, t := range targets {
		if s := formSource(t); s != "" {
			csp += " " + s
		}
	}
	h.Set(hCSP, csp)
	h.Set(hNoSniff, "nosniff")
	h.Set(hReferrer, "no-referrer")
	h.Set(hCOOP, "same-origin")
	h.Set(hCORP, "same-origin")
	h.Set("Cache-Control", "no-store")
}

// FormTargets declares where the forms of this page may lead besides this
// origin, as URLs of which the origin counts. Chromium holds every redirection
// after a form to it, those of other sites too: a form whose way leads on from
// a target to who knows where must not be redirected to it.
func FormTargets(w http.ResponseWriter, targets ...string) { pageHeaders(w.Header(), targets) }

// Connects lets the script of this page ask this origin for more.
func Connects(w http.ResponseWriter) {
	w.Header().Set(hCSP, w.Header().Get(hCSP)+"; connect-src 'self'")
}

// Inert is for what was not made for browsers, such as a letter, in a frame of
// this origin's pages. Nothing in it runs, loads or leads anywhere.
func Inert(w http.ResponseWriter) {
	w.Header().Set(hCSP, "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox")
}

// Framed lets pages of every origin show this one in a frame. It is for a page
// that has nothing to click on and nothing to tell but what its script decides.
func Framed(w http.ResponseWriter) {
	h := w.Header()
	h.Set(hCSP, "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors *")
	h.Set(hCORP, "cross-origin")
	h.Del(hCOOP)
}

// Frames declares which addresses the frames of this page load, as URLs of which
// the origin counts.
func Frames(w http.ResponseWriter, addresses []string) {
	csp := w.Header().Get(hCSP) + "; frame-src"
	sources := map[string]bool{"": true}
	for _, a := range addresses {
		if s := formSource(a); !sources[s] {
			sources[s] = true
			csp += " " + s
		}
	}
	w.Header().Set(hCSP, csp)
}

// formSource is the CSP source that admits the URL u: its origin, or its scheme
// alone where the grammar of CSP cannot say the host. "" is a URL that cannot
// be admitted.
func formSource(u string) string {
	scheme, rest, ok := strings.Cut(u, ":")
	scheme = strings.ToLower(scheme)
	if !ok || !isScheme(scheme) || scheme == "javascript" || scheme == "data" || scheme == "blob" {
		return ""
	}
	if scheme != "http" && scheme != "https" {
		return scheme + ":"
	}
	host, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	if strings.HasPrefix(host, "[") {
		return scheme + ":"
	}
	for _, c := range []byte(host) {
		if !isAlnum(c) && c != '.' && c != '-' && c != ':' {
			return ""
		}
	}
	if host == "" {
		return ""
	}
	return scheme + "://" + host
}

// isScheme reports whether s, in lower case, is a scheme of RFC 3986, section 3.1.
func isScheme(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, c := range []byte(s) {
		if !isAlnum(c) && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
