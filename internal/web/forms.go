package web

import (
	"encoding/base64"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/secret"
)

const formPrefix = "cdf_"

// Forms makes and checks the tokens that tie a form to the browser to which it
// was shown: a cookie holds 256 random bits, the form holds their MAC under a
// key that nodes share. Who can set a cookie in a browser still cannot make a
// token for it, and a token says nothing in another browser.
type Forms struct {
	key    []byte
	cookie string
}

// NewForms uses a key of at least 16 bytes and a cookie whose name begins with
// __Host-.
func NewForms(key []byte, cookie string) *Forms {
	if len(key) < 16 {
		panic("web: the key of forms is too short")
	}
	return &Forms{key: key, cookie: cookie}
}

// Token is the token for a form of this page, named by what the form does. It
// marks the browser if it was not.
func (f *Forms) Token(w http.ResponseWriter, r *http.Request, purpose string) string {
	return base64.RawURLEncoding.EncodeToString(f.mac(f.Mark(w, r), purpose))
}

// Mark is the random value that names this browser until it is closed. It sets
// the cookie if there is none.
func (f *Forms) Mark(w http.ResponseWriter, r *http.Request) string {
	browser := f.Browser(r)
	if browser == "" {
		browser = string(secret.New(formPrefix))
		SetCookie(w, f.cookie, browser, 0)
		// A page with two forms asks twice: both must mean the same browser.
		r.Header.Add("Cookie", f.cookie+"="+browser)
	}
	return browser
}

// Check reports whether token was made for this browser and purpose. A browser
// that keeps no cookies is told so: it could try for ever.
func (f *Forms) Check(r *http.Request, purpose, token string) error {
	browser := Cookie(r, f.cookie)
	got, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if browser == "" {
		return fault.New(fault.Forbidden, "cookies_missing", "the cookie of this page did not come along: allow cookies for this site, reload the page and try again")
	}
	if err != nil || !secret.Valid(formPrefix, browser) || !secret.Equal(got, f.mac(browser, purpose)) {
		return fault.New(fault.Forbidden, "form_expired", "this form is no longer valid, reload the page and try again")
	}
	return nil
}

func (f *Forms) mac(browser, purpose string) []byte {
	return secret.Derive(f.key, "form", browser, purpose)
}

// Browser is what Mark gave this browser, "" before.
func (f *Forms) Browser(r *http.Request) string {
	if b := Cookie(r, f.cookie); secret.Valid(formPrefix, b) {
		return b
	}
	return ""
}

// Year is how long cookies live that remember a browser.
const Year = 365 * 24 * time.Hour
