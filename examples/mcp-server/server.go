package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/cardea-id/cardea/verify"
)

// The scopes of this server. Every call needs the first; a tool may need more.
const (
	scopeRead  = "notes:read"
	scopeWrite = "notes:write"
)

// server is a resource server (RFC 9728) that speaks MCP over Streamable HTTP.
type server struct {
	verifier *verify.Verifier
	issuer   string
	resource *url.URL
	notes    notes
}

func newServer(v *verify.Verifier, issuer string, resource *url.URL) *server {
	return &server{verifier: v, issuer: issuer, resource: resource, notes: notes{of: map[string][]string{}}}
}

func (s *server) handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET "+s.metadataURL().Path, s.metadata)
	m.HandleFunc("POST "+s.resource.Path, s.call)
	m.HandleFunc(s.resource.Path, func(w http.ResponseWriter, _ *http.Request) {
		// No stream of the server's own: it answers calls and says nothing else.
		w.Header().Set("Allow", "POST")
		http.Error(w, "this server only answers POST", http.StatusMethodNotAllowed)
	})
	return s.sameOrigin(m)
}

// metadataURL is where a client learns which authorization server this server
// trusts: the well-known path goes before the resource's own (RFC 9728, section
// 3.1).
func (s *server) metadataURL() *url.URL {
	return &url.URL{Scheme: s.resource.Scheme, Host: s.resource.Host, Path: "/.well-known/oauth-protected-resource" + strings.TrimSuffix(s.resource.Path, "/")}
}

// metadata is RFC 9728, section 3.2.
func (s *server) metadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	reply(w, map[string]any{
		"resource":                                   s.resource.String(),
		"authorization_servers":                      []string{s.issuer},
		"scopes_supported":                           []string{scopeRead, scopeWrite},
		"bearer_methods_supported":                   []string{"header"},
		"resource_name":                              "Notes",
		"dpop_signing_alg_values_supported":          []string{"ES256", "EdDSA", "RS256", "PS256"},
		"dpop_bound_access_tokens_required":          false,
		"tls_client_certificate_bound_access_tokens": false,
	})
}

// sameOrigin refuses scripts of web pages, which could reach a server on this
// machine by a name of theirs (DNS rebinding).
func (s *server) sameOrigin(next http.Handler) http.Handler {
	own := s.resource.Scheme + "://" + s.resource.Host
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o := r.Header.Get("Origin"); o != "" && o != own && r.URL.Path == s.resource.Path {
			http.Error(w, "no calls from pages of other origins", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers a request without the right token: with what scopes it needs
// and where to learn how to get one.
func (s *server) refuse(w http.ResponseWriter, err error, scopes ...string) {
	s.verifier.Challenge(&pointing{ResponseWriter: w, to: s.metadataURL().String()}, err, scopes...)
}

// pointing adds resource_metadata (RFC 9728, section 5.1) to a challenge.
type pointing struct {
	http.ResponseWriter
	to string
}

func (p *pointing) WriteHeader(status int) {
	lines := p.Header()["Www-Authenticate"]
	if len(lines) > 0 {
		lines[0] += `, resource_metadata="` + p.to + `"`
	}
	p.ResponseWriter.WriteHeader(status)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
