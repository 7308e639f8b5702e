package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// pushing posts an authorization request to the PAR endpoint, with the client's
// secret if it has one; head holds more headers.
func (d *door) pushing(id, secret string, v url.Values, head ...string) *httptest.ResponseRecorder {
	d.Helper()
	if secret != "" {
		head = append(head, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(id+":"+secret)))
	}
	return d.do("POST", "/oauth2/par", v.Encode(), head...)
}

// push pushes a request that must be taken, and returns the authorization
// request that names it.
func (d *door) push(id, secret string, v url.Values, head ...string) url.Values {
	d.Helper()
	w := d.pushing(id, secret, v, head...)
	var got struct {
		URI     string `json:"request_uri"`
		Expires int    `json:"expires_in"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusCreated {
		d.Fatalf("pushed request: %d %s", w.Code, w.Body)
	}
	if !strings.HasPrefix(got.URI, "urn:ietf:params:oauth:request_uri:") || got.Expires != 60 || w.Header().Get("Cache-Control") != "no-store" {
		d.Errorf("pushed request: %+v %v", got, w.Header())
	}
	return url.Values{"client_id": {id}, "request_uri": {got.URI}}
}

// shown reports that the person is told, and the browser sent nowhere.
func (d *door) shown(what string, w *httptest.ResponseRecorder) {
	d.Helper()
	if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		d.Errorf("%s: %d %v, want a page", what, w.Code, w.Header())
	}
}

func (d *door) opened(cookie string, v url.Values) *httptest.ResponseRecorder {
	d.Helper()
	return d.get("/oauth2/authorize?"+v.Encode(), cookie)
}

// TestPushedRequests: AZ-10. A pushed request is good once, for its client, for
// a minute, and says what the client said and not what the browser adds.
func TestPushedRequests(t *testing.T) {
	run(t, func(d *door) {
		secret, other := d.app("app"), d.app("other")
		cookie := d.signIn(d.ada)
		named := d.push("app", secret, request("app", "scope", "openid orders:read"))
		d.shown("another client", d.opened(cookie, values(named, "client_id", "other")))
		d.shown("another name", d.opened(cookie, values(named, "request_uri", flip(named.Get("request_uri")))))
		d.shown("no client", d.opened(cookie, values(named, "client_id", "")))
		got := d.authorize(cookie, values(named, "scope", "openid orders:write", "redirect_uri", callback+"2", "state", "s-2"))
		if got.Get("state") != "s-1" || got.Get("iss") != d.issuer() {
			d.Errorf("answer: %v", got)
		}
		if tokens := d.redeem("app", secret, got.Get("code")); tokens.Scope != "openid orders:read" {
			d.Errorf("tokens: %+v", tokens)
		}
		d.shown("a second use", d.opened(cookie, named))

		late := d.push("app", secret, request("app"))
		d.Clock.Advance(61 * time.Second)
		d.shown("after a minute", d.opened(cookie, late))

		ended := d.push("app", secret, request("app", "prompt", "none"))
		if got := d.authorize("", ended); got.Get("error") != "login_required" {
			d.Errorf("prompt=none: %v", got)
		}
		d.shown("after an error", d.opened(cookie, ended))

		w := d.pushing("app", secret, request("app", "client_id", "other"))
		d.refuse(d.read(w), 400, "invalid_request")
		d.refuse(d.read(d.pushing("app", other, request("app"))), 401, "invalid_client")
	})
}

// TestPushedRequestsAreChecked: what is wrong the client hears when it pushes,
// in the words of the token endpoint.
func TestPushedRequestsAreChecked(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		d.app("page", public)
		for name, c := range map[string]struct {
			pairs []string
			code  string
		}{
			"redirect":      {[]string{"redirect_uri", "https://evil.example.com/cb"}, "invalid_request"},
			"no redirect":   {[]string{"redirect_uri", ""}, "invalid_request"},
			"response type": {[]string{"response_type", "token"}, "unsupported_response_type"},
			"scope":         {[]string{"scope", "openid nonsense"}, "invalid_scope"},
			"no PKCE":       {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
			"plain":         {[]string{"code_challenge_method", "plain"}, "invalid_request"},
			"resource":      {[]string{"resource", "https://unknown.example.com"}, "invalid_target"},
			"a reference":   {[]string{"request_uri", "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"},
			"prompt":        {[]string{"prompt", "none login"}, "invalid_request"},
			"registration":  {[]string{"registration", "{}"}, "registration_not_supported"},
		} {
			w := d.pushing("app", secret, request("app", c.pairs...))
			d.Logf("%s", name)
			d.refuse(d.read(w), 400, c.code)
		}
		d.refuse(d.read(d.pushing("app", flip(secret), request("app"))), 401, "invalid_client")
		d.refuse(d.read(d.do("POST", "/oauth2/par?"+request("app").Encode(), "x=y")), 400, "invalid_request")
		d.refuse(d.read(d.do("POST", "/oauth2/par", request("app").Encode())), 401, "invalid_client")
		if w := d.do("GET", "/oauth2/par?"+request("app").Encode(), ""); w.Code != http.StatusMethodNotAllowed {
			d.Errorf("GET: %d", w.Code)
		}

		// Larger than an address may be, smaller than 64 KiB.
		long := strings.Repeat("x", 20<<10)
		if got := d.authorize(d.signIn(d.ada), d.push("app", secret, request("app", "x", long))); !got.Has("code") {
			d.Errorf("20 KiB: %v", got)
		}
		d.refuse(d.read(d.pushing("page", "", request("page", "x", long))), 400, "invalid_request")
		d.push("page", "", request("page"))
		if w := d.pushing("app", secret, request("app", "x", strings.Repeat("x", 64<<10))); w.Code != http.StatusRequestEntityTooLarge {
			d.Errorf("64 KiB: %d %s", w.Code, w.Body)
		}
	})
}

// TestPushedRequestStaysInItsBrowser: while somebody signs in, the address can
// be opened again in the same browser and in no other; one answer ends it.
func TestPushedRequestStaysInItsBrowser(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app", func(s *client.Settings) { s.FirstParty = false })
		b := d.browser()
		named := d.push("app", secret, request("app"))
		begun := d.opened("", named)
		for _, secret := range []string{"s-1", "n-1", url.QueryEscape(callback), s256(verifier)} {
			if told := fmt.Sprint(begun.Header()); strings.Contains(told, secret) {
				d.Errorf("%s goes through the browser: %s", secret, told)
			}
		}
		named = d.push("app", secret, request("app"))
		first := b.open(named)
		d.shown("another browser, signed in", d.opened(d.signIn(d.ada), named))
		d.shown("another browser", d.browser().open(named))
		d.Clock.Advance(5 * time.Minute)
		again := b.open(named)
		asked := b.password(again)
		if got := d.answer(b.submit(asked, "do", "allow")); !got.Has("code") || got.Get("state") != "s-1" {
			d.Errorf("%v", got)
		}
		d.shown("opened after its end", b.open(named))
		// The other tab's flow rests on a request that was answered.
		d.shown("the first tab", b.password(first))

		denied := d.push("app", secret, request("app", "prompt", "consent"))
		if got := d.answer(b.submit(b.open(denied), "do", "deny")); got.Get("error") != "access_denied" {
			d.Errorf("%v", got)
		}
		d.shown("after a no", b.open(denied))
	})
}

// TestPushedRequestsCanBeRequired: a client that pushes is not answered
// otherwise.
func TestPushedRequestsCanBeRequired(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app", func(s *client.Settings) { s.RequirePushedRequests = true })
		cookie := d.signIn(d.ada)
		if got := d.authorize(cookie, request("app")); got.Get("error") != "invalid_request" || got.Has("code") {
			d.Errorf("through the browser: %v", got)
		}
		if got := d.authorize(cookie, d.push("app", secret, request("app"))); !got.Has("code") {
			d.Errorf("pushed: %v", got)
		}
	})
}

// TestPushedRequestBindsToTheKeyShown: RFC 9449, section 10.1.
func TestPushedRequestBindsToTheKeyShown(t *testing.T) {
	run(t, func(d *door) {
		d.app("app", public)
		cookie, p, other := d.signIn(d.ada), d.prover(), d.prover()
		proof := func(p *prover) string { return p.proof("POST", "/oauth2/par", "") }
		d.refuse(d.read(d.pushing("app", "", request("app", "dpop_jkt", other.jkt), "DPoP", proof(p))), 400, "invalid_dpop_proof")
		d.refuse(d.read(d.pushing("app", "", request("app"), "DPoP", p.proof("POST", "/oauth2/token", ""))), 400, "invalid_dpop_proof")
		code := d.code(cookie, d.push("app", "", request("app", "dpop_jkt", p.jkt), "DPoP", proof(p)))
		v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
		d.refuse(d.ask(v), 400, "invalid_grant")
		d.refuse(d.ask(v, other.proof("POST", "/oauth2/token", "")), 400, "invalid_grant")
		if got := d.ask(v, p.proof("POST", "/oauth2/token", "")); got.Type != "DPoP" {
			d.Errorf("with the key: %+v", got)
		}
	})
}

// TestPushedRequestOnceUnderConcurrency: AZ-10. Of 32 browsers that bring one
// request at once, half of them signed in, on two nodes where there can be two,
// one gets a code or one sign-in begins.
func TestPushedRequestOnceUnderConcurrency(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		cookie := d.signIn(d.ada)
		nodes := []*door{d}
		if d.DB.Engine() == db.Postgres {
			second := *d
			second.Env = d.Node(d.T)
			nodes = append(nodes, &second)
		}
		for name, with := range map[string]func(i int) string{
			"signed in": func(int) string { return cookie },
			"nobody":    func(int) string { return "" },
			"both": func(i int) string {
				if i%3 == 0 {
					return cookie
				}
				return ""
			},
		} {
			named := d.push("app", secret, request("app"))
			got := make([]*httptest.ResponseRecorder, 32)
			var all sync.WaitGroup
			for i := range got {
				all.Go(func() { got[i] = nodes[i%len(nodes)].opened(with(i), named) })
			}
			all.Wait()
			codes, begun := 0, 0
			for _, w := range got {
				switch to := w.Header().Get("Location"); {
				case strings.Contains(to, "code="):
					codes++
				case strings.Contains(to, "/signin?flow="):
					begun++
				case w.Code != http.StatusBadRequest && w.Code != http.StatusServiceUnavailable:
					d.Errorf("%s: %d %s %s", name, w.Code, to, w.Body)
				}
			}
			// A sign-in that began is worth nothing once a code was given.
			if codes > 1 || begun > 1 || codes+begun == 0 {
				d.Errorf("%s: %d codes, %d sign-ins", name, codes, begun)
			}
		}
	})
}
