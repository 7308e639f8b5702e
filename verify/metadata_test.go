package verify

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// RFC 9728, section 3.1: the well-known part goes between host and path.
func TestMetadataHasItsPlace(t *testing.T) {
	for resource, want := range map[string][2]string{
		"https://api.example.com":           {"/.well-known/oauth-protected-resource", "https://api.example.com/.well-known/oauth-protected-resource"},
		"https://api.example.com/":          {"/.well-known/oauth-protected-resource", "https://api.example.com/.well-known/oauth-protected-resource"},
		"https://api.example.com:8443/a/b":  {"/.well-known/oauth-protected-resource/a/b", "https://api.example.com:8443/.well-known/oauth-protected-resource/a/b"},
		"https://api.example.com/mcp?k=v":   {"/.well-known/oauth-protected-resource/mcp", "https://api.example.com/.well-known/oauth-protected-resource/mcp?k=v"},
		"http://localhost:8080/mcp":         {"/.well-known/oauth-protected-resource/mcp", "http://localhost:8080/.well-known/oauth-protected-resource/mcp"},
		"http://api.example.com":            {"", ""},
		"https://api.example.com/#fragment": {"", ""},
		"https://user@api.example.com":      {"", ""},
		"urn:example:api":                   {"", ""},
		"":                                  {"", ""},
	} {
		m := Metadata{Resource: resource, AuthorizationServers: []string{"https://id.example.com"}}
		if m.Path() != want[0] || m.URL() != want[1] {
			t.Errorf("%q: at %q, %q", resource, m.Path(), m.URL())
		}
		if _, err := ProtectedResourceMetadata(m); (err == nil) != (want[0] != "") {
			t.Errorf("%q: %v", resource, err)
		}
	}
	for _, servers := range [][]string{nil, {"id.example.com"}, {"http://id.example.com"}} {
		if _, err := ProtectedResourceMetadata(Metadata{Resource: "https://api.example.com", AuthorizationServers: servers}); err == nil {
			t.Errorf("authorization servers %v", servers)
		}
	}
}

// RFC 9728, section 3.2: the document is for everybody, and can only be read.
func TestMetadataIsServed(t *testing.T) {
	h, err := ProtectedResourceMetadata(Metadata{Resource: "https://api.example.com/mcp", AuthorizationServers: []string{"https://id.example.com"}, Scopes: []string{"read", "write"},
		Name: "Tools", Documentation: "https://api.example.com/docs", DPoPRequired: true})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "https://api.example.com/.well-known/oauth-protected-resource/mcp", nil))
		if w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %v", method, w.Header())
		}
		return w
	}
	w := ask("GET")
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	delete(m, "dpop_signing_alg_values_supported")
	want := `{"authorization_servers":["https://id.example.com"],"bearer_methods_supported":["header"],"dpop_bound_access_tokens_required":true,` +
		`"resource":"https://api.example.com/mcp","resource_documentation":"https://api.example.com/docs","resource_name":"Tools","scopes_supported":["read","write"]}`
	if got, _ := json.Marshal(m); string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if w := ask("OPTIONS"); w.Code != http.StatusNoContent {
		t.Errorf("OPTIONS: %d", w.Code)
	}
	if w := ask("POST"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", w.Code)
	}
}

// RFC 9728, section 5.1: every challenge says where the metadata is, if there is any.
func TestChallengesLeadToTheMetadata(t *testing.T) {
	for _, metadata := range []string{"", "https://api.example.com/.well-known/oauth-protected-resource/mcp"} {
		c, err := Config{Issuer: "https://id.example.com", Audience: "https://api.example.com/mcp", Mode: Poll, ResourceMetadata: metadata}.checked()
		if err != nil {
			t.Fatal(err)
		}
		v := &Verifier{c: c}
		for _, refusal := range []error{errNoToken, ErrExpired, ErrScope, ErrProof} {
			w := httptest.NewRecorder()
			v.Challenge(w, refusal, "read")
			got := w.Header().Get("WWW-Authenticate")
			if metadata == "" && strings.Contains(got, "resource_metadata") || metadata != "" && !strings.Contains(got, `, resource_metadata="`+metadata+`"`) {
				t.Errorf("%v, metadata %q: %s", refusal, metadata, got)
			}
		}
	}
	if _, err := (Config{Issuer: "https://id.example.com", Audience: "a", Mode: Poll, ResourceMetadata: "/.well-known/x"}).checked(); err == nil {
		t.Error("an address without host was taken")
	}
}
