package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// stateOf is the browser state that an answer sets, and whether it sets one.
func (d *door) stateOf(w *httptest.ResponseRecorder) (value string, set bool) {
	d.Helper()
	for _, line := range w.Header().Values("Set-Cookie") {
		rest, ok := strings.CutPrefix(line, "__Host-cardea.state-"+d.realm+"=")
		if !ok {
			continue
		}
		value, attributes, _ := strings.Cut(rest, ";")
		if strings.Contains(attributes, "HttpOnly") || !strings.Contains(attributes, "; Secure; SameSite=None") || !strings.Contains(attributes, "Path=/;") {
			d.Errorf("the cookie is set with %q", attributes)
		}
		return value, true
	}
	return "", false
}

// hashed is session_state as the frame's script computes it.
func hashed(id, origin, state, salt string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{id, origin, state, salt}, " ")))
	return base64.RawURLEncoding.EncodeToString(sum[:]) + "." + salt
}

// OpenID Connect Session Management 1.0, section 3: session_state is a salted
// hash of client, origin and the state of the browser, which changes with who is
// signed in, says nothing of them and opens nothing.
func TestSessionState(t *testing.T) {
	run(t, func(d *door) {
		d.app("app")
		d.app("other")
		ask := func(cookie, id string, pairs ...string) (told, state string) {
			d.Helper()
			w := d.get("/oauth2/authorize?"+request(id, pairs...).Encode(), cookie)
			state, _ = d.stateOf(w)
			return d.answer(w).Get("session_state"), state
		}
		cookie := d.signIn(d.ada)
		told, state := ask(cookie, "app")
		_, salt, _ := strings.Cut(told, ".")
		if len(state) < 20 || told != hashed("app", "https://app.example.com", state, salt) {
			d.Fatalf("session_state %q with state %q", told, state)
		}
		if strings.Contains(cookie, state) || d.authorize("__Host-cardea-"+d.realm+"="+state, request("app", "prompt", "none")).Has("code") {
			d.Error("the state signs somebody in")
		}
		again, set := ask(cookie+"; __Host-cardea.state-"+d.realm+"="+state, "app")
		_, otherSalt, _ := strings.Cut(again, ".")
		if set != "" || otherSalt == salt || again != hashed("app", "https://app.example.com", state, otherSalt) {
			d.Errorf("the same browser again: %q, set %q", again, set)
		}
		if foreign, _ := ask(cookie, "other"); foreign == "" || strings.HasPrefix(foreign, told[:43]) {
			d.Errorf("another client: %q", foreign)
		}
		if _, second := ask(d.signIn(d.ada), "app"); second == state || second == "" {
			d.Error("another session has the same state")
		}
		if told, _ := ask(cookie, "app", "scope", "orders:read"); told != "" {
			d.Errorf("without openid: %q", told)
		}
		// Nobody is signed in any more: what the browser holds is taken away.
		w := d.get("/oauth2/authorize?"+request("app", "prompt", "none").Encode(), "__Host-cardea.state-"+d.realm+"="+state)
		if got, set := d.stateOf(w); !set || got != "" || d.answer(w).Get("error") != "login_required" {
			d.Errorf("after the end: set %v %q", set, got)
		}
	})
}

// WB-01: one page may be framed, and it has nothing in it but its script.
func TestTheCheckSessionFrame(t *testing.T) {
	run(t, func(d *door) {
		w := d.get("/checksession", "")
		policy := w.Header().Get("Content-Security-Policy")
		if w.Code != http.StatusOK || !strings.Contains(policy, "frame-ancestors *") || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "script-src 'self'") ||
			strings.Contains(policy, "unsafe") || w.Header().Get("X-Frame-Options") != "" || w.Header().Get("Cross-Origin-Opener-Policy") != "" {
			d.Errorf("%d %v", w.Code, w.Header())
		}
		m := regexp.MustCompile(`<script src="([^"]+)" data-cookie="__Host-cardea\.state-` + d.realm + `">`).FindStringSubmatch(w.Body.String())
		if m == nil || strings.Contains(w.Body.String(), "<form") || strings.Contains(w.Body.String(), "<a ") {
			d.Fatalf("%s", w.Body)
		}
		script := d.get(strings.TrimPrefix(m[1], strings.TrimPrefix(d.issuer(), "https://id.cardea.test")), "")
		if script.Code != http.StatusOK || !strings.Contains(script.Body.String(), "postMessage") {
			d.Errorf("%s: %d", m[1], script.Code)
		}
		for _, path := range []string{"/", "/signin", "/signout", "/signedout", "/accounts", "/oauth2/logout"} {
			if policy := d.get(path, "").Header().Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") {
				d.Errorf("%s may be framed: %q", path, policy)
			}
		}
	})
}
