package authzen_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/authzen"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// desk is the whole program with the certification fixture for every realm.
type desk struct {
	testing.TB
	*apptest.Env
	realm   string
	token   string // of the caller
	set     *policy.Set
	graph   *graph.Graph
	at      audit.Position
	secrets map[string]string // of clients
	grants  map[string]string // of access tokens
}

const api = "https://api.example.com"

func run(t *testing.T, fn func(d *desk)) {
	t.Helper()
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		d := open(t, e)
		fn(d)
	})
}

func open(t *testing.T, e *apptest.Env) *desk { return prepare(t, e) }

func prepare(t testing.TB, e *apptest.Env) *desk {
	t.Helper()
	d := &desk{TB: t, Env: e, realm: realm.Default, set: compile(t, fixture), at: audit.Position{Epoch: 1, Seq: 7}, secrets: map[string]string{}, grants: map[string]string{}}
	d.graph = certification(t)
	e.Snapshot = func(_ context.Context, name string, min audit.Position) (*policy.Snapshot, audit.Position, error) {
		if d.at.Before(min) && min.Seq >= 1_000_000 {
			return nil, audit.Position{}, fault.New(fault.Unavailable, authzen.CodeRevision, "not reached")
		}
		return policy.NewSnapshot(d.set, d.graph, d.at.Seq), d.at, nil
	}
	d.service("pep", client.Settings{})
	d.token = d.own("pep")
	return d
}

// service registers a client that may ask, and keeps its secret.
func (d *desk) service(id string, s client.Settings) {
	d.Helper()
	s.Name, s.Type, s.Scopes = id, client.Service, append(s.Scopes, authzen.Scope)
	s.GrantTypes = append(s.GrantTypes, client.ClientCredentials)
	s.ResourceServer, s.Identifiers, s.Resources = true, []string{api + "/" + id}, []string{api + "/" + id}
	d.secrets[id] = d.Client(d.TB, d.realm, id, s)
}

// own gets a service an access token for the decision service.
func (d *desk) own(id string) string {
	d.Helper()
	return d.request(id, d.issuer()+authzen.Path, authzen.Scope)
}

func (d *desk) request(id, audience, scope string) string {
	d.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}, "resource": {audience}}
	r := httptest.NewRequest("POST", d.issuer()+"/oauth2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, d.secrets[id])
	w := httptest.NewRecorder()
	d.Handler.ServeHTTP(w, r)
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Token == "" {
		d.Fatalf("no token: %d %s", w.Code, w.Body)
	}
	return got.Token
}

func (d *desk) issuer() string { return apptest.IssuerOf(d.realm) }

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	T testing.TB
}

// post sends a body as the caller.
func (d *desk) post(path, body string, change ...func(r *http.Request)) answer {
	d.Helper()
	r := httptest.NewRequest("POST", d.issuer()+authzen.Path+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if d.token != "" {
		r.Header.Set("Authorization", "Bearer "+d.token)
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	d.Handler.ServeHTTP(w, r)
	return answer{w, d.TB}
}

// json is the answer's body, which must be an object.
func (a answer) json() map[string]any {
	a.T.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.Body.Bytes(), &m); err != nil {
		a.T.Fatalf("%d %s: %v", a.Code, a.Body, err)
	}
	return m
}

// decision is whether a 200 permits.
func (a answer) decision() bool {
	a.T.Helper()
	m := a.json()
	yes, ok := m["decision"].(bool)
	if a.Code != 200 || !ok || a.Header().Get("Content-Type") != "application/json" {
		a.T.Fatalf("not a decision: %d %s %s", a.Code, a.Header(), a.Body)
	}
	if c, has := m["context"]; has {
		if _, isObject := c.(map[string]any); !isObject {
			a.T.Fatalf("context is no object: %s", a.Body)
		}
	}
	return yes
}

// decisions are those of a batch.
func (a answer) decisions() (all []bool) {
	a.T.Helper()
	list, ok := a.json()["evaluations"].([]any)
	if a.Code != 200 || !ok {
		a.T.Fatalf("not a batch: %d %s", a.Code, a.Body)
	}
	for _, one := range list {
		yes, ok := one.(map[string]any)["decision"].(bool)
		if !ok {
			a.T.Fatalf("not a decision: %v", one)
		}
		all = append(all, yes)
	}
	return all
}

// found are the ids or names of a search, and the token of the next page.
func (a answer) found() (all []string, next string) {
	a.T.Helper()
	m := a.json()
	list, ok := m["results"].([]any)
	if a.Code != 200 || !ok {
		a.T.Fatalf("not a search: %d %s", a.Code, a.Body)
	}
	for _, one := range list {
		o := one.(map[string]any)
		for _, member := range []string{"id", "name"} {
			if text, ok := o[member].(string); ok {
				all = append(all, text)
			}
		}
	}
	page, _ := m["page"].(map[string]any)
	next, _ = page["next_token"].(string)
	return all, next
}

func (a answer) expect(what string, status int, texts ...string) answer {
	a.T.Helper()
	if a.Code != status {
		a.T.Errorf("%s: %d %s, want %d", what, a.Code, a.Body, status)
	}
	for _, text := range texts {
		if !strings.Contains(a.Body.String(), text) {
			a.T.Errorf("%s: %q is missing in %s", what, text, a.Body)
		}
	}
	return a
}

const fixture = "../../../examples/policies/authzen/"

func compile(t testing.TB, dir string) *policy.Set {
	t.Helper()
	read := func(name string) policy.File {
		text, err := os.ReadFile(dir + name)
		if err != nil {
			t.Fatal(err)
		}
		return policy.File{Name: name, Text: text}
	}
	set, err := policy.Compile(policy.Source{Schema: read("schema.cedarschema"), Policies: []policy.File{read("policies/records.cedar")},
		Roles: policy.Roles{File: "roles.yaml", Types: []policy.RoleType{{Type: "record", Roles: []policy.Role{
			{Name: "reader", Permissions: []string{"read"}}, {Name: "owner", Implies: []string{"reader"}, Permissions: []string{"write"}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func user(id string) policy.Entity   { return policy.Entity{Type: "user", ID: id} }
func record(id string) policy.Entity { return policy.Entity{Type: "record", ID: id} }

// certification are the facts of the certification scenario.
func certification(t testing.TB) *graph.Graph {
	t.Helper()
	return grown(t, graph.Empty(), graph.Change{
		Add: []graph.Tuple{{Subject: user("alice"), Relation: "owner", Object: record("record-1")}, {Subject: user("bob"), Relation: "reader", Object: record("record-1")}},
		Set: []graph.Attribute{{Entity: user("bob"), Name: "role", Value: "admin"}, {Entity: record("record-1"), Name: "status", Value: "active"},
			{Entity: record("record-2"), Name: "status", Value: "archived"}},
	})
}

func grown(t testing.TB, g *graph.Graph, c graph.Change) *graph.Graph {
	t.Helper()
	g, err := g.Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// metadata is what the realm's decision point says of itself.
func (d *desk) metadata() map[string]any {
	d.Helper()
	at := strings.TrimSuffix(d.issuer(), path(d.issuer())) + "/.well-known/authzen-configuration" + path(d.issuer())
	w := httptest.NewRecorder()
	d.Handler.ServeHTTP(w, httptest.NewRequest("GET", at, nil))
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		d.Fatalf("metadata: %d %v %s", w.Code, w.Header(), w.Body)
	}
	return answer{w, d.TB}.json()
}

func path(issuer string) string {
	u, _ := url.Parse(issuer)
	return u.Path
}

// signed reads a signed document of the realm.
func (d *desk) signed(text string) map[string]any {
	d.Helper()
	keys, err := d.Ring.Verifiers(context.Background(), d.realm)
	if err != nil {
		d.Fatal(err)
	}
	v, err := jose.Verify(text, jose.Want{Typ: []string{"authzen-configuration+jwt"}, Keys: keys})
	if err != nil {
		d.Fatal(err)
	}
	claims := map[string]any{}
	for _, name := range []string{"iss", "policy_decision_point", "access_evaluation_endpoint", "access_evaluations_endpoint", "search_subject_endpoint", "search_resource_endpoint", "search_action_endpoint", "signed_metadata"} {
		if !v.Claims.Has(name) {
			continue
		}
		if claims[name], err = v.Claims.String(name); err != nil {
			d.Fatal(err)
		}
	}
	return claims
}
