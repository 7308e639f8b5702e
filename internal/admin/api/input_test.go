package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/db"
)

// What could be read in two ways is refused, and nothing that was sent comes
// back. To see the canary, let refusal say the whole message.
func TestBodiesAreReadStrictlyAndNeverEchoed(t *testing.T) {
	w := newWorld(t, apptest.Start(t, db.SQLite))
	const canary = "c4n4ry"
	for what, in := range map[string]string{
		"duplicate key":      `{"name":"a","name":"` + canary + `","type":"web"}`,
		"other case":         `{"Name":"` + canary + `","type":"web"}`,
		"duplicate by case":  `{"name":"a","NAME":"` + canary + `","type":"web"}`,
		"wrong type":         `{"name":"a","type":"web","scopes":"` + canary + `"}`,
		"not in the list":    `{"name":"a","type":"` + canary + `"}`,
		"too long":           `{"name":"` + strings.Repeat(canary, 100) + `","type":"web"}`,
		"too deep":           `{"name":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`,
		"two values":         `{"name":"a","type":"web"}{"name":"` + canary + `"}`,
		"not JSON":           canary,
		"empty":              ``,
		"null":               `null`,
		"an array":           `["` + canary + `"]`,
		"not UTF-8":          "{\"name\":\"" + canary + "\xff\",\"type\":\"web\"}",
		"server-side fields": `{"name":"a","type":"web","principal":"` + canary + `"}`,
		"negative":           `{"name":"a","type":"web","access_token_ttl":-1}`,
		"huge number":        `{"name":"a","type":"web","access_token_ttl":1e400}`,
	} {
		rec := w.call(t, "owner", "POST", "/clients", in)
		if rec.Code != 400 && rec.Code != 422 {
			t.Errorf("%s: got %d %s", what, rec.Code, rec.Body)
		}
		if strings.Contains(rec.Body.String(), canary) {
			t.Errorf("%s: what was sent comes back: %s", what, rec.Body)
		}
		refused(t, what, rec, rec.Code, "")
	}
	big := `{"name":"` + strings.Repeat("a", 1<<20) + `"}`
	refused(t, "more than 1 MiB", w.call(t, "owner", "POST", "/clients", big), http.StatusRequestEntityTooLarge, "too_large")
	refused(t, "a form", w.call(t, "owner", "POST", "/clients", "name=a", "Content-Type", "application/x-www-form-urlencoded"), 400, "invalid_request")
}

func TestChallengesFollowRFC6750(t *testing.T) {
	w := newWorld(t, apptest.Start(t, db.SQLite))
	ask := func(headers ...string) *httptest.ResponseRecorder {
		return w.call(t, "", "GET", "/me", nil, headers...)
	}
	base := `Bearer realm="` + apptest.Issuer + `", scope="cardea:admin", resource_metadata="` + apptest.Issuer + `/.well-known/oauth-protected-resource/api/v1"`
	for what, c := range map[string]struct {
		rec    *httptest.ResponseRecorder
		status int
		want   string
	}{
		"nothing":     {ask(), 401, base},
		"Basic":       {ask("Authorization", "Basic YTpi"), 401, base}, // section 3.1: an unsupported method is told of no error
		"no token":    {ask("Authorization", "Bearer"), 400, base + `, error="invalid_request"`},
		"two words":   {ask("Authorization", "Bearer a b"), 400, base + `, error="invalid_request"`},
		"garbage":     {ask("Authorization", "Bearer garbage"), 401, base + `, error="invalid_token"`},
		"in the URL":  {w.call(t, "", "GET", "/me?access_token="+w.tokens["owner"], nil), 400, base + `, error="invalid_request"`},
		"other realm": {w.call(t, "neighbour", "GET", "/me", nil), 401, base + `, error="invalid_token"`},
	} {
		refused(t, what, c.rec, c.status, "")
		if got := c.rec.Header().Get("WWW-Authenticate"); got != c.want && !strings.HasPrefix(got, c.want+", error_description=") {
			t.Errorf("%s: got challenge %s", what, got)
		}
		if strings.Contains(c.rec.Body.String()+c.rec.Header().Get("WWW-Authenticate"), "garbage") {
			t.Errorf("%s: the token comes back", what)
		}
	}
	rec := w.call(t, "narrow", "GET", "/me", nil)
	refused(t, "without the scope", rec, 403, "insufficient_scope")
	if got := rec.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, base+`, error="insufficient_scope"`) {
		t.Errorf("got challenge %s", got)
	}
}

// AD-02: no answer holds what a client or a person proves itself with, besides
// the one in which it was made.
func TestAnswersHoldNoSecrets(t *testing.T) {
	w := newWorld(t, apptest.Start(t, db.SQLite))
	u := w.Person(t, "default", "ada@example.com")
	made := must[wire.ClientWithSecret](t, w.call(t, "owner", "POST", "/clients", wire.ClientCreate{ClientSettings: wire.ClientSettings{
		Name: "Shop", Type: "web", RedirectURIs: []string{"https://shop.example/cb"}, Scopes: []string{"openid"}}}))
	second := must[wire.ClientSecret](t, w.call(t, "owner", "POST", "/clients/"+made.Client.ID+"/secrets", wire.ClientSecretCreate{}))
	if made.Secret == "" || second.Secret == "" || made.Secret == second.Secret {
		t.Fatalf("got %q and %q", made.Secret, second.Secret)
	}
	refused(t, "a third secret", w.call(t, "owner", "POST", "/clients/"+made.Client.ID+"/secrets", wire.ClientSecretCreate{}), 409, "secrets_exhausted")
	for _, path := range []string{"/clients", "/clients/" + made.Client.ID, "/clients/" + made.Client.ID + "/secrets", "/services/" + made.Client.Principal + "/credentials",
		"/users", "/users/" + u.ID, "/users/" + u.ID + "/credentials", "/signing-keys", "/events?limit=500", "/grants", "/sessions", "/realm", "/operators"} {
		rec := w.call(t, "owner", "GET", path, nil)
		if rec.Code != 200 {
			t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
		}
		for _, canary := range []string{made.Secret, second.Secret, strings.TrimPrefix(made.Secret, "cdk_")[:40], "argon2", "$", `"d":`, "PRIVATE", apptest.Password, "secret_hash", "sealed"} {
			if strings.Contains(rec.Body.String(), canary) {
				t.Errorf("GET %s answers with %q", path, canary)
			}
		}
		if rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("GET %s may be cached", path)
		}
	}
	var raw struct {
		Items []map[string]json.RawMessage `json:"items"`
	}
	page := w.call(t, "owner", "GET", "/clients/"+made.Client.ID+"/secrets", nil)
	if err := json.Unmarshal(page.Body.Bytes(), &raw); err != nil || len(raw.Items) != 2 {
		t.Fatalf("%v %s", err, page.Body)
	}
	for key := range raw.Items[0] {
		if !strings.Contains(" id type name created_at expires_at last_used_at revoked_at ", " "+key+" ") {
			t.Errorf("a credential has a field %q", key)
		}
	}
}

func TestUnknownRoutesAreProblems(t *testing.T) {
	w := newWorld(t, apptest.Start(t, db.SQLite))
	for _, path := range []string{"/nothing", "/users/a/b/c", "/openapi.json", "/docs", "/schemas/User.json"} {
		if rec := w.call(t, "owner", "GET", path, nil); rec.Code != 404 {
			t.Errorf("%s: got %d", path, rec.Code)
		}
	}
	if rec := w.call(t, "owner", "DELETE", "/users", nil); rec.Code != 405 || rec.Header().Get("Allow") == "" {
		t.Errorf("DELETE /users: got %d, Allow %q", rec.Code, rec.Header().Get("Allow"))
	}
}
