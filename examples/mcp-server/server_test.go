package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/verify"
)

func testServer(t *testing.T) *server {
	t.Helper()
	about := describe("https://id.example", "https://notes.example/mcp")
	v, err := verify.New(context.Background(), verify.Config{Issuer: "https://id.example", Audience: about.Resource, ResourceMetadata: about.URL(), Mode: verify.Poll})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	s, err := newServer(v, about)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// RFC 9728: who comes without a token learns where to get one, and for what.
func TestStrangersLearnWhereToAsk(t *testing.T) {
	h := testServer(t).handler()
	do := func(method, path string, head ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "https://notes.example"+path, strings.NewReader("{}"))
		for i := 0; i+1 < len(head); i += 2 {
			r.Header.Set(head[i], head[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := do("POST", "/mcp")
	challenge := w.Header().Get("WWW-Authenticate")
	const there = "https://notes.example/.well-known/oauth-protected-resource/mcp"
	if w.Code != 401 || !strings.Contains(challenge, `resource_metadata="`+there+`"`) || !strings.Contains(challenge, `scope="notes:read"`) || !strings.HasPrefix(challenge, "Bearer ") {
		t.Errorf("%d %q", w.Code, challenge)
	}
	w = do("GET", strings.TrimPrefix(there, "https://notes.example"))
	var m struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || m.Resource != "https://notes.example/mcp" || len(m.Servers) != 1 || m.Servers[0] != "https://id.example" {
		t.Errorf("%s %v", w.Body, err)
	}
	if w := do("GET", "/mcp"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
	if w := do("POST", "/mcp", "Origin", "https://evil.example"); w.Code != http.StatusForbidden {
		t.Errorf("a page of another origin: %d", w.Code)
	}
}

func TestMessages(t *testing.T) {
	s := testServer(t)
	reader := &verify.Token{Subject: "ada", Scopes: []string{scopeRead}}
	writer := &verify.Token{Subject: "ada", Scopes: []string{scopeRead, scopeWrite}}
	other := &verify.Token{Subject: "bob", Scopes: []string{scopeRead}}
	for _, v := range []struct {
		token        *verify.Token
		method, args string
		status       int
		want         string
	}{
		{reader, "initialize", `{"protocolVersion":"2025-06-18"}`, 200, `"protocolVersion":"2025-06-18"`},
		{reader, "initialize", `{"protocolVersion":"1999-01-01"}`, 200, `"protocolVersion":"2025-11-25"`},
		{reader, "ping", `{}`, 200, `"result":{}`},
		{reader, "tools/list", ``, 200, `"name":"add_note"`},
		{reader, "tools/call", `{"name":"list_notes"}`, 200, "no notes yet"},
		{reader, "tools/call", `{"name":"add_note","arguments":{"text":"x"}}`, 403, "does not allow"},
		{writer, "tools/call", `{"name":"add_note","arguments":{}}`, 200, `-32602`},
		{writer, "tools/call", `{"name":"add_note","arguments":{"text":"hinges"}}`, 200, "Noted"},
		{reader, "tools/call", `{"name":"list_notes"}`, 200, "hinges"},
		{other, "tools/call", `{"name":"list_notes"}`, 200, "no notes yet"},
		{reader, "tools/call", `{"name":"drop_table"}`, 200, `-32602`},
		{reader, "tools/call", `[]`, 200, `-32602`},
		{reader, "sampling/createMessage", `{}`, 200, `-32601`},
	} {
		w := httptest.NewRecorder()
		s.answer(w, v.token, message{Version: "2.0", ID: json.RawMessage("1"), Method: v.method, Params: json.RawMessage(v.args)})
		if w.Code != v.status || !strings.Contains(w.Body.String(), v.want) {
			t.Errorf("%s %s: %d %s", v.method, v.args, w.Code, w.Body)
		}
		if v.status == 403 && !strings.Contains(w.Header().Get("WWW-Authenticate"), `scope="notes:read notes:write"`) {
			t.Errorf("it is not told what is missing: %v", w.Header())
		}
	}
}
