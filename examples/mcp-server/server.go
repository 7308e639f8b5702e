package main

import (
	"encoding/json"
	"net/http"
	"net/url"

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
	resource *url.URL
	path     string       // of the metadata
	metadata http.Handler // where a client learns which authorization server this server trusts
	notes    notes
}

// describe is what this server says about itself (RFC 9728, section 2).
func describe(issuer, resource string) verify.Metadata {
	return verify.Metadata{Resource: resource, AuthorizationServers: []string{issuer}, Scopes: []string{scopeRead, scopeWrite}, Name: "Notes"}
}

// newServer serves m. The verifier must send those it refuses to m.URL.
func newServer(v *verify.Verifier, m verify.Metadata) (*server, error) {
	u, err := url.Parse(m.Resource)
	if err != nil {
		return nil, err
	}
	metadata, err := verify.ProtectedResourceMetadata(m)
	if err != nil {
		return nil, err
	}
	return &server{verifier: v, resource: u, path: m.Path(), metadata: metadata, notes: notes{of: map[string][]string{}}}, nil
}

func (s *server) handler() http.Handler {
	m := http.NewServeMux()
	m.Handle(s.path, s.metadata)
	m.HandleFunc("POST "+s.resource.Path, s.call)
	m.HandleFunc(s.resource.Path, func(w http.ResponseWriter, _ *http.Request) {
		// No stream of the server's own: it answers calls and says nothing else.
		w.Header().Set("Allow", "POST")
		http.Error(w, "this server only answers POST", http.StatusMethodNotAllowed)
	})
	return s.sameOrigin(m)
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
	s.verifier.Challenge(w, err, scopes...)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
