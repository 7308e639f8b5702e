package apptest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// BenchmarkEndpoints is what each hot endpoint costs without the network: the
// whole handler, from the request as parsed to the answer's last byte.
func BenchmarkEndpoints(b *testing.B) {
	e := StartCostly(b, db.SQLite)
	const api = "https://api.example"
	jwt := e.Client(b, "default", "bench-jwt", client.Settings{Name: "JWT", Type: client.Service, GrantTypes: []string{client.ClientCredentials},
		Scopes: []string{"read"}, Resources: []string{api}})
	opaque := e.Client(b, "default", "bench-opaque", client.Settings{Name: "Opaque", Type: client.Service, GrantTypes: []string{client.ClientCredentials},
		Scopes: []string{"read"}, Resources: []string{api}, AccessTokenFormat: client.Opaque, ResourceServer: true})
	do := func(method, path, user, secret, form string) *http.Response {
		var body io.Reader
		if form != "" {
			body = strings.NewReader(form)
		}
		r := httptest.NewRequest(method, "http://localhost:8080"+path, body)
		if form != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth(user, secret)
		}
		w := httptest.NewRecorder()
		e.Handler.ServeHTTP(w, r)
		return w.Result()
	}
	ask := "grant_type=client_credentials&scope=read"
	var token struct {
		Access string `json:"access_token"`
	}
	resp := do("POST", "/oauth2/token", "bench-opaque", opaque, ask)
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil || token.Access == "" {
		b.Fatalf("%d: no token: %v", resp.StatusCode, err)
	}
	for _, bench := range []struct{ name, method, path, user, secret, form string }{
		{"discovery", "GET", "/.well-known/openid-configuration", "", "", ""},
		{"jwks", "GET", "/oauth2/jwks", "", "", ""},
		{"client_credentials/jwt", "POST", "/oauth2/token", "bench-jwt", jwt, ask},
		{"client_credentials/opaque", "POST", "/oauth2/token", "bench-opaque", opaque, ask},
		{"introspect", "POST", "/oauth2/introspect", "bench-opaque", opaque, "token=" + token.Access},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := httptest.NewRequest(bench.method, "http://localhost:8080"+bench.path, nil)
			if bench.form != "" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.SetBasicAuth(bench.user, bench.secret)
				r.ContentLength = int64(len(bench.form))
			}
			w := nobody{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				in := *r
				in.Body = io.NopCloser(strings.NewReader(bench.form))
				clear(w.header)
				e.Handler.ServeHTTP(&w, &in)
				if w.status != 200 {
					b.Fatal(w.status)
				}
			}
		})
	}
}

// nobody reads an answer.
type nobody struct {
	header http.Header
	status int
}

func (w *nobody) Header() http.Header         { return w.header }
func (w *nobody) WriteHeader(status int)      { w.status = status }
func (w *nobody) Write(b []byte) (int, error) { return len(b), nil }
