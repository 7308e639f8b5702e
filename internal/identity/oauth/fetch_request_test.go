package oauth

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/web"
)

// TestFetchRequest: a registered address gives the object, if it is of the
// right type and within the bounds.
func TestFetchRequest(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", strings.TrimPrefix(r.URL.RawQuery, "type="))
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/object", http.StatusFound)
			return
		}
		if r.URL.Path == "/large" {
			_, _ = w.Write(make([]byte, 65<<10))
		}
		_, _ = w.Write([]byte("a.b.c\n"))
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s := &Server{fetch: web.NewFetcher(web.FetchOptions{AllowHosts: []string{strings.TrimPrefix(server.URL, "https://")}, TLS: &tls.Config{RootCAs: roots}})}
	for path, want := range map[string]string{
		"/object?type=application/oauth-authz-req+jwt": "a.b.c", "/object?type=application/jwt": "a.b.c",
		"/object?type=application/jwt#47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU": "a.b.c",
		"/object?type=text/html": "", "/moved?type=application/jwt": "", "/large?type=application/jwt": "",
	} {
		a := &authorization{client: &client.Client{Settings: client.Settings{RequestURIs: []string{server.URL + path}}}}
		got, err := s.fetchRequest(t.Context(), a, server.URL+path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v, want %q", path, got, err, want)
		}
		if e, ok := err.(*Error); err != nil && (!ok || e.Code != "invalid_request_uri") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
