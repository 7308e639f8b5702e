package verify

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// RFC 6750, section 3.
func TestProtectChallenges(t *testing.T) {
	i, v, _ := ready(t, nil)
	handler := v.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(FromContext(r.Context()).Subject))
	}), "read", "write")
	ask := func(headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/orders?access_token="+i.token(0, nil), nil)
		for _, h := range headers {
			r.Header.Add("Authorization", h)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	if w := ask("Bearer " + i.token(0, nil)); w.Code != 200 || w.Body.String() != "usr_1" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("a good token: %d %s", w.Code, w.Body)
	}
	if w := ask("bearer " + i.token(0, nil)); w.Code != 200 {
		t.Errorf("the scheme has no case: %d", w.Code)
	}
	realm := `Bearer realm="` + api + `"`
	for name, c := range map[string]struct {
		headers   []string
		status    int
		challenge string
	}{
		"nothing, or a token in the query": {nil, 401, realm + `, scope="read write"`},
		"another scheme":                   {[]string{"Basic YTpi"}, 401, realm + `, scope="read write"`},
		"two tokens":                       {[]string{"Bearer a", "Bearer b"}, 400, realm + `, error="invalid_request", error_description="send one Authorization header with one token"`},
		"no token":                         {[]string{"Bearer"}, 400, realm + `, error="invalid_request", error_description="send one Authorization header with one token"`},
		"two words":                        {[]string{"Bearer a b"}, 400, realm + `, error="invalid_request", error_description="send one Authorization header with one token"`},
		"forged":                           {[]string{"Bearer a.b.c"}, 401, realm + `, error="invalid_token", error_description="the access token is not valid here"`},
		"revoked":                          {[]string{"Bearer " + i.token(1, nil)}, 401, realm + `, error="invalid_token", error_description="the access token was revoked"`},
		"expired":                          {[]string{"Bearer " + i.token(0, func(c map[string]any) { c["exp"] = 5 })}, 401, realm + `, error="invalid_token", error_description="the access token has expired"`},
		"too little scope":                 {[]string{"Bearer " + i.token(0, func(c map[string]any) { c["scope"] = "read" })}, 403, realm + `, error="insufficient_scope", error_description="the access token does not allow this", scope="read write"`},
	} {
		w := ask(c.headers...)
		if w.Code != c.status || w.Header().Get("WWW-Authenticate") != c.challenge || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", name, w.Code, w.Header())
		}
	}
	i.ahead.Store(int64(6 * time.Second))
	if w := ask("Bearer " + i.token(0, nil)); w.Code != 503 || w.Header().Get("Retry-After") != "1" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("stale: %d %s", w.Code, w.Header())
	}
	if quoted("a\"b\\c\r\nd") != "abcd" || strings.ContainsAny(quoted("é"), "é") {
		t.Error("a quoted-string holds what it must not")
	}
}
