package apptest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// Who may follow the revocation stream: a resource server in the way it is
// registered for, or a token that was issued for it; nobody else.
func TestWhoMayFollowTheStream(t *testing.T) {
	e := Start(t, db.SQLite)
	service := func(id string, change func(*client.Settings)) string {
		s := client.Settings{Name: id, Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"read", "cardea:revocations"},
			Resources: []string{"https://api.example"}}
		change(&s)
		return e.Client(t, "default", id, s)
	}
	api := service("the-api", func(s *client.Settings) { s.ResourceServer = true })
	posts := service("posts", func(s *client.Settings) { s.ResourceServer, s.AuthMethod = true, client.SecretPost })
	other := service("other", func(*client.Settings) {})
	token := func(scope string) string {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
		r := httptest.NewRequest("POST", Issuer+"/oauth2/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("other", other)
		w := httptest.NewRecorder()
		e.Handler.ServeHTTP(w, r)
		_, rest, _ := strings.Cut(w.Body.String(), `"access_token":"`)
		text, _, _ := strings.Cut(rest, `"`)
		return text
	}
	served := httptest.NewServer(e.Handler) // a recorder has no deadlines to set
	defer served.Close()
	for _, c := range []struct {
		name   string
		as     func(*http.Request)
		status int
	}{
		{"nobody", func(*http.Request) {}, 401},
		{"a resource server", func(r *http.Request) { r.SetBasicAuth("the-api", api) }, 200},
		{"a wrong secret", func(r *http.Request) { r.SetBasicAuth("the-api", api[:len(api)-1]) }, 401},
		{"a client that posts its secret", func(r *http.Request) { r.SetBasicAuth("posts", posts) }, 401},
		{"a client that is no resource server", func(r *http.Request) { r.SetBasicAuth("other", other) }, 403},
		{"a token for the stream", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token("cardea:revocations")) }, 200},
		{"a token for something else", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token("read")) }, 401},
	} {
		ctx, stop := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", served.URL+"/status-lists/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		c.as(r)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		stop()
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", c.name, resp.StatusCode, c.status)
		}
		if challenge := resp.Header.Get("WWW-Authenticate"); resp.StatusCode == 401 && !strings.Contains(challenge, "Bearer") {
			t.Errorf("%s: challenge %q", c.name, challenge)
		}
	}
}
