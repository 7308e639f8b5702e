package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The API says which sign-in would do, and the request is sent once more with
// what came of it.
func TestARequestIsSentAgainAfterASignIn(t *testing.T) {
	token := "old"
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") != "Bearer new" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("WWW-Authenticate", `Bearer realm="x", error="insufficient_user_authentication", error_description="d", acr_values="aal2", max_age="900"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"code":"insufficient_user_authentication","detail":"sign in again"}`))
			return
		}
		if want := "/api/v1/users/usr_x/credentials/crd_x"; r.URL.Path != want {
			t.Errorf("asked %s, want %s", r.URL.Path, want)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	source := WithTokenSource(func(context.Context) (string, error) { return token, nil })
	var asked []StepUp
	c, err := New(server.URL, source, WithStepUp(func(_ context.Context, s StepUp) error {
		asked, token = append(asked, s), "new"
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Users.RevokeCredential(t.Context(), "usr_x", "crd_x"); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 1 || asked[0] != (StepUp{"aal2", 15 * time.Minute}) || len(seen) != 2 {
		t.Errorf("asked %+v and sent %q", asked, seen)
	}
	// Where the new sign-in will not do either, once is enough; and without any the
	// refusal is the answer.
	asked, seen = nil, nil
	c, err = New(server.URL, WithToken("old"), WithStepUp(func(_ context.Context, s StepUp) error { asked = append(asked, s); return nil }))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Users.RevokeCredential(t.Context(), "usr_x", "crd_x"); !IsStatus(err, http.StatusUnauthorized) || len(asked) != 1 || len(seen) != 2 {
		t.Errorf("%v after asking %d times", err, len(asked))
	}
	if c, err = New(server.URL, WithToken("old")); err != nil {
		t.Fatal(err)
	}
	var p *Problem
	if err := c.Users.RevokeCredential(t.Context(), "usr_x", "crd_x"); !errors.As(err, &p) || p.Code != "insufficient_user_authentication" {
		t.Errorf("without a way to sign in: %v", err)
	}
}
