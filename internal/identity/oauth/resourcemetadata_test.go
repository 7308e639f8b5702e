package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// RFC 8414, section 2.1: the signed copy says what the document says, and is
// signed by a published key.
func TestSignedMetadata(t *testing.T) {
	run(t, func(d *door) {
		var doc map[string]any
		if err := json.Unmarshal(d.get("/.well-known/oauth-authorization-server", "").Body.Bytes(), &doc); err != nil {
			d.Fatal(err)
		}
		signed, _ := doc["signed_metadata"].(string)
		set, err := jose.ParseSet(d.get("/oauth2/jwks", "").Body.Bytes())
		if err != nil {
			d.Fatal(err)
		}
		if _, err := jose.Verify(signed, jose.Want{Typ: []string{"oauth-authorization-server+jwt"}, Keys: set, Alg: "ES256"}); err != nil {
			d.Fatal(err)
		}
		claims := d.claims(signed)
		if claims["issuer"] != d.issuer() || claims["iss"] != d.issuer() || claims["iat"] == nil {
			d.Errorf("issuer %v, iss %v, iat %v", claims["issuer"], claims["iss"], claims["iat"])
		}
		for name, want := range doc {
			a, _ := json.Marshal(want)
			b, _ := json.Marshal(claims[name])
			if name != "signed_metadata" && string(a) != string(b) {
				d.Errorf("%s: signed as %s, is %s", name, b, a)
			}
		}
		if claims["signed_metadata"] != nil {
			d.Error("the signed copy holds a signed copy")
		}
	})
}

// RFC 9728: each resource is described under its own name, at the address that
// is made of it, and a registered API where it can be passed on from.
func TestProtectedResources(t *testing.T) {
	run(t, func(d *door) {
		d.Client(d.T, d.realm, "orders", client.Settings{Name: "Orders", Type: client.Service, ResourceServer: true, ResourceScopes: []string{"orders:read", "orders:write"},
			Identifiers: []string{"https://orders.example.com", "https://orders.example.com/v2"}, TermsURI: "https://orders.example.com/terms"})
		d.Client(d.T, d.realm, "nameless", client.Settings{Name: "Nameless", Type: client.Service, ResourceServer: true})
		d.app("app")
		path := strings.TrimPrefix(d.issuer(), apptest.Issuer)
		read := func(target string) (m map[string]any) {
			d.Helper()
			r := httptest.NewRequest("GET", target, nil)
			r.Header.Set("Origin", "https://anywhere.example.com")
			w := httptest.NewRecorder()
			d.Handler.ServeHTTP(w, r)
			if w.Code == http.StatusNotFound {
				return nil
			}
			if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
				d.Fatalf("%s: %d %v %s", target, w.Code, w.Header(), w.Body)
			}
			return m
		}
		wellKnown := apptest.Issuer + "/.well-known/oauth-protected-resource" + path
		for target, want := range map[string]string{
			wellKnown:                               `{"authorization_servers":["ISSUER"],"bearer_methods_supported":["header","body"],"resource":"ISSUER","resource_name":"Userinfo"}`,
			wellKnown + "/api/v1":                   `{"authorization_servers":["ISSUER"],"bearer_methods_supported":["header"],"resource":"ISSUER/api/v1","resource_name":"Cardea admin API","scopes_supported":["cardea:admin"]}`,
			wellKnown + "/status-lists":             `{"authorization_servers":["ISSUER"],"bearer_methods_supported":["header"],"resource":"ISSUER/status-lists","resource_name":"Revocation stream","scopes_supported":["cardea:revocations"]}`,
			d.issuer() + "/oauth2/resources/orders": `{"authorization_servers":["ISSUER"],"bearer_methods_supported":["header"],"resource":"https://orders.example.com","resource_name":"Orders","resource_tos_uri":"https://orders.example.com/terms","scopes_supported":["orders:read","orders:write"]}`,
			d.issuer() + "/oauth2/resources/orders?resource=" + url.QueryEscape("https://orders.example.com/v2"): `{"authorization_servers":["ISSUER"],"bearer_methods_supported":["header"],"resource":"https://orders.example.com/v2","resource_name":"Orders","resource_tos_uri":"https://orders.example.com/terms","scopes_supported":["orders:read","orders:write"]}`,
		} {
			m := read(target)
			delete(m, "dpop_signing_alg_values_supported")
			delete(m, "tls_client_certificate_bound_access_tokens")
			if target == wellKnown {
				if scopes, _ := m["scopes_supported"].([]any); !slices.Contains(scopes, any("openid")) {
					d.Errorf("userinfo: %v", m)
				}
				delete(m, "scopes_supported")
			}
			if got, _ := json.Marshal(m); string(got) != strings.ReplaceAll(want, "ISSUER", d.issuer()) {
				d.Errorf("%s: %s", target, got)
			}
		}
		for _, target := range []string{wellKnown + "/other", wellKnown + "/api", wellKnown + "/api/v1/users", d.issuer() + "/oauth2/resources/nameless", d.issuer() + "/oauth2/resources/app",
			d.issuer() + "/oauth2/resources/nobody", d.issuer() + "/oauth2/resources/orders?resource=https%3A%2F%2Fother.example.com"} {
			if m := read(target); m != nil {
				d.Errorf("%s: %v", target, m)
			}
		}
		// The admin API leads to its own.
		if got := d.do("GET", "/api/v1/me", "").Header().Get("WWW-Authenticate"); !strings.Contains(got, `, resource_metadata="`+wellKnown+`/api/v1"`) {
			d.Errorf("challenge %s", got)
		}
		// What discovery lists has a description, with the same name.
		var doc struct {
			Resources []string `json:"protected_resources"`
		}
		if err := json.Unmarshal(d.get("/.well-known/openid-configuration", "").Body.Bytes(), &doc); err != nil || len(doc.Resources) != 6 {
			d.Fatal(doc, err)
		}
		for _, name := range doc.Resources {
			if m := read(apptest.Issuer + "/.well-known/oauth-protected-resource" + strings.TrimPrefix(name, apptest.Issuer)); m["resource"] != name {
				d.Errorf("%s: %v", name, m)
			}
		}
	})
}
