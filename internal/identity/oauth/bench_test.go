package oauth_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// BenchmarkDoor measures the hot endpoints without a network: all but discovery
// pass the gate or the status lists.
func BenchmarkDoor(b *testing.B) {
	e := apptest.Start(b, db.SQLite)
	secret := func(id string, f client.TokenFormat) string {
		return e.Client(b, realm.Default, id, client.Settings{Name: id, Type: client.Service, AccessTokenFormat: f, Scopes: []string{"orders:read"}, Resources: []string{"https://api.example.com"}})
	}
	jwt, opaque := "Basic "+basicOf("jwt", secret("jwt", client.JWT)), "Basic "+basicOf("opaque", secret("opaque", client.Opaque))
	send := func(method, path, body, authorization string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, apptest.Issuer+path, strings.NewReader(body))
		if body != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		e.Handler.ServeHTTP(w, r)
		return w
	}
	own := func(authorization string) string {
		_, rest, _ := strings.Cut(send("POST", "/oauth2/token", "grant_type=client_credentials", authorization).Body.String(), `"access_token":"`)
		token, _, _ := strings.Cut(rest, `"`)
		return token
	}
	token := own(opaque)
	broker := "Basic " + basicOf("broker", e.Client(b, realm.Default, "broker", client.Settings{Name: "broker", Type: client.Service, ResourceServer: true,
		Identifiers: []string{"https://api.example.com"}, GrantTypes: []string{client.ClientCredentials, client.TokenExchange}, ExchangeDelegation: true,
		Scopes: []string{"orders:read"}, Resources: []string{"https://api.example.com"}}))
	exchange := url.Values{"grant_type": {client.TokenExchange}, "subject_token": {own(jwt)}, "subject_token_type": {typeAccess},
		"actor_token": {own(broker)}, "actor_token_type": {typeAccess}}.Encode()
	for _, v := range []struct{ name, method, path, body, authorization string }{
		{"discovery", "GET", "/.well-known/openid-configuration", "", ""},
		{"client credentials, JWT", "POST", "/oauth2/token", "grant_type=client_credentials", jwt},
		{"client credentials, opaque", "POST", "/oauth2/token", "grant_type=client_credentials", opaque},
		{"token exchange", "POST", "/oauth2/token", exchange, broker},
		{"introspection", "POST", "/oauth2/introspect", "token=" + token, opaque},
	} {
		b.Run(v.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if w := send(v.method, v.path, v.body, v.authorization); w.Code != 200 {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
}
