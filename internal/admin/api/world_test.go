package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// world is a program with an operator of each role, in two realms.
type world struct {
	*apptest.Env
	tokens map[string]string // by role; "plain" is nobody's operator
	owner  audit.Actor
	asked  atomic.Int32
}

func newWorld(t *testing.T, e *apptest.Env) *world {
	t.Helper()
	w := &world{Env: e, tokens: map[string]string{}}
	for _, role := range operator.Roles() {
		id := w.program(t, realm.Default, string(role))
		if _, err := e.Operators.Assign(context.Background(), audit.System, realm.Default, id, 0, role); err != nil {
			t.Fatal(err)
		}
		if role == operator.Owner {
			w.owner = audit.Actor{Kind: "service", ID: id}
		}
	}
	w.program(t, realm.Default, "plain")
	w.narrow(t)
	other := w.program(t, apptest.Neighbour, "neighbour")
	if _, err := e.Operators.Assign(context.Background(), audit.System, apptest.Neighbour, other, 0, operator.Owner); err != nil {
		t.Fatal(err)
	}
	return w
}

// program makes a service with a token for the admin API, which is kept under
// name, and gives its id.
func (w *world) program(t *testing.T, in, name string) string {
	t.Helper()
	made, err := w.Clients.Create(context.Background(), audit.System, in, client.Draft{Settings: client.Settings{
		Name: name, Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{wire.Scope, "other"}, Resources: []string{"https://elsewhere.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	issuer := apptest.IssuerOf(in)
	w.tokens[name] = w.token(t, issuer, made, wire.Scope, issuer+wire.Path)
	w.tokens[name+" without scope"] = w.token(t, issuer, made, "other", "https://elsewhere.example")
	w.tokens[name+" for another audience"] = w.token(t, issuer, made, wire.Scope, "https://elsewhere.example")
	return made.Principal
}

// narrow makes a token for the right audience without the right scope.
func (w *world) narrow(t *testing.T) {
	t.Helper()
	audience := apptest.Issuer + wire.Path
	made, err := w.Clients.Create(context.Background(), audit.System, realm.Default, client.Draft{Settings: client.Settings{
		Name: "narrow", Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"other"}, Resources: []string{audience}}})
	if err != nil {
		t.Fatal(err)
	}
	w.tokens["narrow"] = w.token(t, apptest.Issuer, made, "other", audience)
}

func (w *world) token(t *testing.T, issuer string, c client.Changed, scope, resource string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}, "resource": {resource}}
	r := httptest.NewRequest(http.MethodPost, issuer+"/oauth2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(c.ID, string(c.Secret))
	rec := httptest.NewRecorder()
	w.Handler.ServeHTTP(rec, r)
	var answer struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || answer.Access == "" {
		t.Fatalf("token for %s: %d %s", scope, rec.Code, rec.Body)
	}
	return answer.Access
}

// call sends one request to the admin API of the default realm.
func (w *world) call(t *testing.T, who, method, path string, body any, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	var in []byte
	switch b := body.(type) {
	case nil:
	case string:
		in = []byte(b)
	default:
		var err error
		if in, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	r := httptest.NewRequest(method, apptest.Issuer+wire.Path+path, bytes.NewReader(in))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token := w.tokens[who]; token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	} else if who != "" {
		t.Fatalf("there is no token of %q", who)
	}
	// Every request comes from an address of its own: refusals are counted by
	// address.
	n := w.asked.Add(1)
	r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1234", byte(n>>16), byte(n>>8), byte(n))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.Handler.ServeHTTP(rec, r)
	return rec
}

// must decodes an answer that has to be a success.
func must[T any](t *testing.T, rec *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if rec.Code >= 300 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec.Code == http.StatusNoContent {
		return v
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, rec.Body)
	}
	return v
}

// refused checks that an answer is a problem with this status and code.
func refused(t *testing.T, what string, rec *httptest.ResponseRecorder, status int, code string) wire.Problem {
	t.Helper()
	var p wire.Problem
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: not a problem document: %d %s %s", what, rec.Code, rec.Header().Get("Content-Type"), rec.Body)
	}
	if rec.Code != status || p.Status != status || code != "" && p.Code != code {
		t.Errorf("%s: got %d %s, want %d %s (%s)", what, rec.Code, p.Code, status, code, rec.Body)
	}
	return p
}

// inRealm sends one request to the admin API of any realm.
func (w *world) inRealm(t *testing.T, in, who, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, apptest.IssuerOf(in)+wire.Path+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.tokens[who])
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	rec := httptest.NewRecorder()
	w.Handler.ServeHTTP(rec, r)
	return rec
}

// code is the status and the problem of one request.
func (w *world) code(t *testing.T, who, method, path string, body any) (int, string) {
	t.Helper()
	rec := w.call(t, who, method, path, body)
	var p wire.Problem
	_ = json.Unmarshal(rec.Body.Bytes(), &p)
	return rec.Code, p.Code
}
