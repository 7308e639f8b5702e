package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/client"
)

// pretender is a server whose metadata says what a test wants, and which
// counts the tokens that it was sent.
type pretender struct {
	*httptest.Server
	metadata map[string]string
	status   int
	refusal  string
	posted   int
}

func newPretender(t *testing.T) *pretender {
	p := &pretender{status: http.StatusOK}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			p.posted++
			w.WriteHeader(p.status)
			io.WriteString(w, p.refusal)
			return
		}
		_ = json.NewEncoder(w).Encode(p.metadata)
	}))
	t.Cleanup(p.Close)
	p.metadata = map[string]string{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize",
		"token_endpoint": p.URL + "/token", "revocation_endpoint": p.URL + "/revoke"}
	return p
}

func newConsole(t *testing.T) (c *console, opened *[]string) {
	t.Helper()
	home := t.TempDir()
	opened = new([]string)
	return &console{getenv: func(name string) string { return map[string]string{"CARDEA_HOME": home}[name] },
		in: strings.NewReader(""), out: new(bytes.Buffer), err: new(bytes.Buffer),
		openBrowser: func(u string) error { *opened = append(*opened, u); return nil }}, opened
}

// Metadata cannot send the browser, a code or a token anywhere but to the
// server that the user named.
func TestMetadataCannotLeadElsewhere(t *testing.T) {
	for _, endpoint := range []string{"authorization_endpoint", "token_endpoint", "revocation_endpoint"} {
		for _, address := range []string{"", "https://evil.example/x", "http://127.0.0.1:1/x", "file:///etc/passwd", "javascript:alert(1)", "-flag", "/relative", "http://ada@HOST/x", "http://HOST/x#y"} {
			p := newPretender(t)
			address = strings.Replace(address, "HOST", strings.TrimPrefix(p.URL, "http://"), 1)
			p.metadata[endpoint] = address
			c, opened := newConsole(t)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			_, err := c.loginInBrowser(ctx, p.URL, false, client.StepUp{})
			if err == nil || !strings.Contains(err.Error(), endpoint) || len(*opened) != 0 {
				t.Errorf("login with %s %q: opened %q, %v", endpoint, address, *opened, err)
			}
			if _, err := refresh(ctx, p.URL, login{Refresh: "r"}); err == nil {
				t.Errorf("refresh with %s %q", endpoint, address)
			}
			if err := revoke(ctx, p.URL, login{Refresh: "r"}); err == nil {
				t.Errorf("logout with %s %q", endpoint, address)
			}
			cancel()
			if p.posted != 0 {
				t.Errorf("%s %q: a token was sent", endpoint, address)
			}
		}
	}
}

// Whoever logs in at an application instead of its issuer is told so.
func TestAnAddressThatIsNoIssuer(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"nothing there": http.NotFound,
		"a page":        func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html>") },
	} {
		server := httptest.NewServer(answer)
		if _, err := discover(t.Context(), server.URL); err == nil || !strings.Contains(err.Error(), server.URL+" is no issuer") {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
}

func TestIssuersAreEncryptedOrHere(t *testing.T) {
	for _, issuer := range []string{"http://id.example.com", "ftp://id.example.com", "id.example.com", "http://localhost.example.com", "https://ada@id.example.com", "https://id.example.com?x", "https://id.example.com#x", "https:///x"} {
		// The context has ended: whatever asks the network fails otherwise.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := discover(ctx, issuer); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	for in, want := range map[string]string{"https://ID.example.com:443/realms/a": "https://id.example.com", "http://localhost:8080": "http://localhost:8080",
		"http://127.0.0.1:80": "http://127.0.0.1", "http://[::1]:8080/x": "http://[::1]:8080"} {
		if got, err := origin(in); err != nil || got != want {
			t.Errorf("%s: got %q, %v", in, got, err)
		}
	}
}

// A server that cannot be asked now has not ended anybody's login.
func TestOnlyARefusalEndsALogin(t *testing.T) {
	for what, x := range map[string]struct {
		status  int
		refusal string
		ended   bool
	}{
		"refused":          {http.StatusBadRequest, `{"error":"invalid_grant","error_description":"the token was revoked"}`, true},
		"busy":             {http.StatusServiceUnavailable, `{"error":"temporarily_unavailable"}`, false},
		"a proxy's answer": {http.StatusBadGateway, `<h1>Bad gateway</h1>`, false},
	} {
		p := newPretender(t)
		p.status, p.refusal = x.status, x.refusal
		c, _ := newConsole(t)
		store, err := c.tokens()
		if err != nil {
			t.Fatal(err)
		}
		store.Logins[p.URL] = login{Access: "a", Refresh: "r", Expires: time.Now().Add(-time.Minute)}
		if err := store.save(); err != nil {
			t.Fatal(err)
		}
		_, err = c.freshToken(context.Background(), p.URL)
		if err == nil || strings.Contains(err.Error(), "has ended") != x.ended || strings.Contains(err.Error(), "cardea login") != x.ended {
			t.Errorf("%s: %v", what, err)
		}
		p.Close()
		if _, err = c.freshToken(context.Background(), p.URL); err == nil || strings.Contains(err.Error(), "has ended") {
			t.Errorf("nobody answers: %v", err)
		}
	}
}

// An issuer means the same with and without a slash at its end, as in login.
func TestIssuerMayEndInASlash(t *testing.T) {
	c, _ := newConsole(t)
	store, err := c.tokens()
	if err != nil {
		t.Fatal(err)
	}
	store.Logins["https://id.example.com"] = login{Access: "a", Expires: time.Now().Add(time.Hour)}
	if err := store.save(); err != nil {
		t.Fatal(err)
	}
	c.remote.issuer = "https://id.example.com/"
	if _, err := c.admin(); err != nil {
		t.Error(err)
	}
}
