package edge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cardea-id/cardea/edge"
	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/local"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/verify"
)

const api = "https://till.example"

const schema = `
entity user in [team] { level?: Long };
entity team in [team];
entity folder in [folder];
entity payment in [folder] { status?: String };
entity invoice { status?: String };
action read, refund appliesTo { principal: user, resource: payment, context: { acr?: String } };
action open appliesTo { principal: user, resource: invoice };
`

const policies = `
@id("frozen") @reason("only active payments are refunded")
forbid (principal, action == Action::"refund", resource) unless { resource has status && resource.status == "active" };
@id("high") permit (principal, action == Action::"read", resource) when { principal has level && principal.level > %d };
`

const roles = `
payment:
  viewer: { permissions: [read] }
  clerk: { implies: [viewer], permissions: [refund] }
folder:
  viewer: {}
  clerk: { implies: [viewer] }
`

// world is a server, and a way to it that can be cut.
type world struct {
	*testing.T
	*apptest.Env
	secret string
	http   *http.Client
	way    *way
	at     audit.Position
}

// way carries connections until it is cut.
type way struct {
	address string
	mu      sync.Mutex
	cut     bool
	conns   map[net.Conn]bool
}

func (w *way) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return nil, fmt.Errorf("the way is cut")
	}
	c, err := new(net.Dialer).DialContext(ctx, network, w.address)
	if err == nil {
		w.conns[c] = true
	}
	return c, err
}

// move heals the way, to another node.
func (w *way) move(address string) {
	w.mu.Lock()
	w.address = address
	w.mu.Unlock()
	w.set(false)
}

func (w *way) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for c := range w.conns {
			c.Close()
		}
		clear(w.conns)
	}
}

func begin(t *testing.T) *world {
	t.Helper()
	return on(t, apptest.Start(t, db.SQLite))
}

func on(t *testing.T, e *apptest.Env) *world {
	t.Helper()
	site := httptest.NewServer(e.Handler)
	t.Cleanup(func() { site.CloseClientConnections(); site.Close() })
	w := &world{T: t, Env: e, way: &way{address: site.Listener.Addr().String(), conns: map[net.Conn]bool{}}}
	carrier := &http.Transport{DialTLSContext: w.way.dial}
	t.Cleanup(carrier.CloseIdleConnections)
	w.http = &http.Client{Transport: carrier}
	w.secret = e.Client(t, realm.Default, "till-edge", client.Settings{Name: "Edge", Type: client.Service, GrantTypes: []string{client.ClientCredentials},
		Scopes: []string{"cardea:edge", "cardea:decide"}, Resources: []string{api}, Identifiers: []string{api}, ResourceServer: true})
	w.apply(3)
	return w
}

func (w *world) apply(level int) {
	w.Helper()
	files, problems := folder.Open(fstest.MapFS{"schema.cedarschema": {Data: []byte(schema)}, "roles.yaml": {Data: []byte(roles)},
		"policies/all.cedar": {Data: fmt.Appendf(nil, policies, level)}})
	if len(problems) > 0 {
		w.T.Fatal(problems)
	}
	if _, err := w.Policies.Apply(w.Context(), audit.System, realm.Default, version.Change{Files: files, Message: "test"}); err != nil {
		w.Fatal(err)
	}
	w.at = w.App.Log.Applied()
}

func (w *world) config() edge.Config {
	return edge.Config{Issuer: apptest.Issuer, Credentials: verify.ClientSecret("till-edge", w.secret), HTTPClient: w.http, Now: w.Clock.Now, Audience: api}
}

// open starts an edge and waits until it has joined.
func (w *world) open(c edge.Config) *edge.Edge {
	w.Helper()
	e, err := edge.Open(context.Background(), c)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { e.Close() })
	return e
}

func (w *world) joined(e *edge.Edge) *edge.Edge {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	if err := e.Wait(ctx); err != nil {
		w.Fatal(err)
	}
	return e
}

func (w *world) write(c graph.Change) error {
	done, err := w.Facts.Write(w.Context(), audit.System, realm.Default, relation.Batch{Change: c})
	if err == nil {
		w.at = done.Revision
	}
	return err
}

func (w *world) mustWrite(c graph.Change) {
	w.Helper()
	if err := w.write(c); err != nil {
		w.Fatal(err)
	}
}

// reach waits until an edge knows what was written last.
func (w *world) reach(e *edge.Edge) {
	w.Helper()
	for range 30 {
		if _, _, err := e.At(w.Context(), w.at.Revision()); err == nil {
			return
		}
	}
	w.Fatalf("the edge does not reach %s: %+v", w.at, e.Health())
}

// same holds an edge to the hash of what the server knows.
func (w *world) same(e *edge.Edge) {
	w.Helper()
	w.reach(e)
	snap, _, err := w.Snapshots.At(w.Context(), realm.Default, w.at)
	if err != nil {
		w.Fatal(err)
	}
	c, err := replica.Digest(snap)
	if err != nil {
		w.Fatal(err)
	}
	want, _ := c.MarshalText()
	if revision, got, err := e.Digest(); err != nil || got != string(want) {
		w.Fatalf("at %s the edge holds something else than the server at %s: %v", revision, w.at, err)
	}
}

func user(id string) graph.Entity    { return graph.Entity{Type: "user", ID: id} }
func payment(id string) graph.Entity { return graph.Entity{Type: "payment", ID: id} }

func status(id, v string) graph.Change {
	return graph.Change{Set: []graph.Attribute{{Entity: payment(id), Name: "status", Value: v}}}
}

func may(w *world, e *edge.Edge, q edge.Question) bool {
	q.MinRevision = w.at.String()
	return e.Decide(w.Context(), q).Allowed
}

func refund(who graph.Entity, p string) edge.Question {
	return edge.Question{Subject: who, Action: "refund", Resource: payment(p)}
}

// Facts, policies and people change, the stream is cut and joined again: after
// everything that is acknowledged the edge holds what the server holds, by hash,
// and says what the server says. The seed is printed.
func TestAnEdgeIsTheServer(t *testing.T) {
	t.Parallel()
	w := begin(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 5))
	dir := t.TempDir()
	c := w.config()
	c.Dir = dir
	e := w.joined(w.open(c))
	sliced := w.config()
	sliced.Types = []string{"payment"}
	part := w.joined(w.open(sliced))
	people := []*principal.Principal{w.Person(t, realm.Default, "ann@example.com"), w.Person(t, realm.Default, "bob@example.com")}
	w.at = w.App.Log.Applied()
	who := []graph.Entity{user(people[0].ID), user(people[1].ID), user("u1"), user("u2")}
	name := func(typ string) graph.Entity {
		if typ == "user" {
			return who[r.IntN(len(who))]
		}
		return graph.Entity{Type: typ, ID: fmt.Sprintf("%c%d", typ[0], r.IntN(4))}
	}
	suspended := false
	for round := range 60 {
		var err error
		switch r.IntN(12) {
		case 0:
			w.apply(r.IntN(9))
		case 1:
			if suspended = !suspended; suspended {
				err = w.People.Suspend(t.Context(), audit.System, realm.Default, people[0].ID, "test")
			} else {
				err = w.People.Activate(t.Context(), audit.System, realm.Default, people[0].ID)
			}
			w.at = w.App.Log.Applied()
		case 2:
			w.way.set(true)
			w.way.set(false)
			continue
		case 3:
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			e = w.joined(w.open(c))
		case 4:
			_ = w.write(graph.Change{Drop: []graph.Entity{name([]string{"team", "folder", "payment"}[r.IntN(3)])}})
		default:
			var change graph.Change
			for range 1 + r.IntN(4) {
				x := []graph.Tuple{{Subject: name("user"), Relation: "member", Object: name("team")}, {Subject: name("payment"), Relation: "parent", Object: name("folder")},
					{Subject: name("team"), Relation: "clerk", Object: name("folder")}, {Subject: name("user"), Relation: "viewer", Object: name("payment")},
					{Subject: name("team"), Relation: "member", Object: name("team")}}[r.IntN(5)]
				if r.IntN(3) == 0 {
					change.Remove = append(change.Remove, x)
				} else {
					change.Add = append(change.Add, x)
				}
			}
			change.Set = append(change.Set, graph.Attribute{Entity: name("payment"), Name: "status", Value: []string{"active", "canceled"}[r.IntN(2)]},
				graph.Attribute{Entity: graph.Entity{Type: "invoice", ID: "i1"}, Name: "status", Value: fmt.Sprint(round)})
			_ = w.write(change) // some make a circle and are refused
		}
		if err != nil {
			t.Fatal(err)
		}
		w.same(e)
		w.reach(part)
		for _, subject := range who {
			for p := range 4 {
				q := refund(subject, fmt.Sprintf("p%d", p))
				q.Action = []string{"refund", "read"}[r.IntN(2)]
				want := w.Snapshots.Decide(t.Context(), realm.Default, w.at, &policy.Question{Subject: q.Subject, Action: q.Action, Resource: q.Resource, At: w.DB.Now()})
				if got, sliced := may(w, e, q), may(w, part, q); got != want.Allowed || sliced != want.Allowed {
					t.Fatalf("seed %d round %d: %+v: server %v, edge %v, slice %v", seed, round, q, want.Allowed, got, sliced)
				}
			}
		}
	}
	if a := part.Decide(t.Context(), edge.Question{Subject: user("u1"), Action: "open", Resource: graph.Entity{Type: "invoice", ID: "i1"}}); a.Allowed {
		t.Error("a slice of payments decides about invoices")
	}
}

// A payment goes from active to canceled; the same live token is refused at the
// server and at the edge by the next question. And a token that is revoked, or
// whose person is suspended, is refused, also after a start while the edge is cut
// off.
func TestTokensDoNotCarryPermissions(t *testing.T) {
	t.Parallel()
	w := begin(t)
	c := w.config()
	c.Dir = t.TempDir()
	e := w.joined(w.open(c))
	w.Client(t, realm.Default, "web", client.Settings{Name: "Web", Type: client.Web, FirstParty: true, RedirectURIs: []string{"https://app.example.com/cb"},
		GrantTypes: []string{client.AuthorizationCode}, Scopes: []string{"pay"}, Resources: []string{api}})
	ada := w.Person(t, realm.Default, "ada@example.com")
	text, grantID := w.signedIn(ada)
	w.mustWrite(graph.Change{Set: status("p1", "active").Set, Add: []graph.Tuple{{Subject: user(ada.ID), Relation: "clerk", Object: payment("p1")}}})
	ask := func() (bool, edge.Answer) {
		q := refund(user(ada.ID), "p1")
		q.Token, q.MinRevision = text, w.at.String()
		server, err := verify.NewDecisions(verify.DecisionsConfig{Issuer: apptest.Issuer, Credentials: verify.ClientSecret("till-edge", w.secret), HTTPClient: w.http})
		if err != nil {
			t.Fatal(err)
		}
		d, err := server.Decide(t.Context(), verify.Question{Subject: verify.Entity{Type: "user", ID: ada.ID}, Action: "refund", Resource: verify.Entity{Type: "payment", ID: "p1"}, Token: text, MinRevision: q.MinRevision})
		if err != nil {
			t.Fatal(err)
		}
		return d.Allowed, e.Decide(t.Context(), q)
	}
	for i := range 6 {
		now := []string{"canceled", "active"}[i%2]
		w.mustWrite(status("p1", now))
		began := time.Now()
		server, here := ask()
		if server != (now == "active") || here.Allowed != server || here.Upstream {
			t.Fatalf("%s: server %v, edge %+v", now, server, here)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the edge knew it after %s", took)
		}
	}
	other := refund(user("somebody-else"), "p1")
	other.Token = text
	if a := e.Decide(t.Context(), other); a.Allowed || a.Refused == "" {
		t.Errorf("somebody else's token: %+v", a)
	}

	// Cut off, and started again: which tokens died meanwhile is not known.
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	w.way.set(true)
	if err := w.Grants.Revoke(t.Context(), audit.System, realm.Default, grantID, "test"); err != nil {
		t.Fatal(err)
	}
	e = w.open(c)
	q := refund(user(ada.ID), "p1")
	if a := e.Decide(t.Context(), q); !a.Allowed {
		t.Fatalf("cut off, the edge does not go on: %+v", a)
	}
	q.Token = text
	if a := e.Decide(t.Context(), q); a.Allowed || !strings.Contains(a.Refused, "revoked") {
		t.Errorf("a token before the edge knows which are revoked: %+v", a)
	}
	w.way.set(false)
	w.joined(e)
	// What a newcomer begins with may be a second old, and what died since follows it.
	for end := time.After(5 * time.Second); ; {
		a := e.Decide(t.Context(), q)
		if !a.Allowed && strings.Contains(a.Refused, "revoked") {
			break
		}
		select {
		case <-end:
			t.Fatalf("a revoked token: %+v", a)
		case <-time.After(time.Millisecond):
		}
	}
	if err := w.People.Suspend(t.Context(), audit.System, realm.Default, ada.ID, "test"); err != nil {
		t.Fatal(err)
	}
	w.at = w.App.Log.Applied()
	if may(w, e, refund(user(ada.ID), "p1")) {
		t.Error("whoever is suspended may do something at the edge")
	}
}

func (w *world) signedIn(who *principal.Principal) (text, grantID string) {
	w.Helper()
	return w.signedInAt("web", who, token.Binding{})
}

// signedInAt is signedIn at some client, with a token that is bound to something.
func (w *world) signedInAt(at string, who *principal.Principal, bound token.Binding) (text, grantID string) {
	w.Helper()
	ctx := context.Background()
	creds, err := w.Credentials.List(ctx, realm.Default, who.ID)
	if err != nil || len(creds) == 0 {
		w.Fatal(creds, err)
	}
	s, err := w.Sessions.Begin(ctx, audit.System, realm.Default, session.New{Principal: who.ID, Credential: creds[0].ID, ACR: "aal1", AMR: []string{"pwd"}})
	if err != nil {
		w.Fatal(err)
	}
	slot, err := w.Grants.Reserve(ctx, realm.Default, grant.ForGrants)
	if err != nil {
		w.Fatal(err)
	}
	var g *grant.Grant
	err = w.DB.UpdateRC(ctx, realm.Default, func(tx *db.Tx) error {
		g, _, err = w.Grants.CreateTx(tx, audit.System, slot, grant.New{Kind: grant.Authorization, Principal: who.ID, Client: at, Session: s.ID,
			Scopes: []string{"pay"}, Audience: []string{api}, ACR: "aal1", AMR: []string{"pwd"}, AuthTime: w.Clock.Now()})
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	issued, err := w.Tokens.Issue(ctx, audit.System, token.Request{Grant: g, Scopes: []string{"pay"}, Audience: []string{api}, Bound: bound})
	if err != nil {
		w.Fatal(err)
	}
	return issued.Access, g.ID
}

// Cut off for a minute while everything changes: what is answered is marked or
// denied once it is older than allowed, and after the way is healed every edge
// holds what the server holds, by hash.
func TestCutOffUnderChange(t *testing.T) {
	t.Parallel()
	w := begin(t)
	c := w.config()
	c.MaxStaleness, c.Actions = 10*time.Second, map[string]edge.Staleness{"read": {Max: 5 * time.Second, Mark: true}}
	w.mustWrite(graph.Change{Set: status("p1", "active").Set, Add: []graph.Tuple{{Subject: user("ann"), Relation: "clerk", Object: payment("p1")}}})
	var edges []*edge.Edge
	for range 5 {
		edges = append(edges, w.open(c))
	}
	for _, e := range edges {
		w.same(w.joined(e))
	}
	w.way.set(true)
	for i := range 20 {
		w.mustWrite(status("p1", []string{"active", "canceled"}[i%2]))
	}
	for second := range 60 {
		w.Clock.Advance(time.Second)
		a := edges[0].Decide(t.Context(), refund(user("ann"), "p1"))
		if old := second >= 12; old && (a.Allowed || a.Refused == "") { // one second for the last sign of life on its way, one for rounding
			t.Fatalf("after %d s: %+v", second+1, a)
		} else if second < 8 && !a.Allowed {
			t.Fatalf("after %d s: %+v", second+1, a)
		}
		q := refund(user("ann"), "p1")
		q.Action = "read"
		if a := edges[0].Decide(t.Context(), q); !a.Allowed || second > 7 && !a.Stale {
			t.Fatalf("reading after %d s: %+v", second+1, a)
		}
	}
	if _, _, err := edges[0].At(t.Context(), w.at.Revision()); err == nil {
		t.Error("a revision is reached that cannot be known")
	}
	for range 60 { // what was missed is older now than clocks may differ
		w.Clock.Advance(time.Second)
	}
	w.way.set(false)
	for _, e := range edges {
		w.same(w.joined(e))
		if a := e.Decide(t.Context(), refund(user("ann"), "p1")); a.Allowed || a.Refused != "" {
			t.Errorf("healed: %+v", a)
		}
	}
}

// What is on disk is a copy: whatever is cut or changed in it, an edge that starts
// with it has a state that the server once had, and soon the present one.
func TestATruncatedStoreIsNoTruth(t *testing.T) {
	t.Parallel()
	w := begin(t)
	c := w.config()
	c.Dir, c.Audience = t.TempDir(), ""
	e := w.joined(w.open(c))
	known := map[string]string{"0.0": ""}
	for i := range 12 {
		w.mustWrite(graph.Change{Set: status(fmt.Sprintf("p%d", i%3), fmt.Sprint("s", i)).Set, Add: []graph.Tuple{{Subject: user(fmt.Sprint("u", i)), Relation: "viewer", Object: payment("p1")}}})
		w.same(e)
		revision, digest, err := e.Digest()
		if err != nil {
			t.Fatal(err)
		}
		known[revision] = digest
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.Dir, "facts")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edge.Open(t.Context(), edge.Config{}); err == nil {
		t.Error("an edge without an issuer")
	}
	if info, err := os.Stat(c.Dir); err != nil || info.Mode().Perm()&0o077 != 0 && os.Getuid() != 0 {
		t.Error("others may read the directory")
	}
	w.way.set(true)
	digests := map[string]bool{}
	for _, d := range known {
		digests[d] = true
	}
	r := rand.New(rand.NewPCG(1, 2))
	var last *edge.Edge
	for i := range 60 {
		broken := slices.Clone(whole)
		if i%2 == 0 {
			broken = broken[:r.IntN(len(broken))]
		} else {
			broken[r.IntN(len(broken))] ^= 1 << r.IntN(8)
		}
		if err := os.WriteFile(file, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if last != nil {
			last.Close()
		}
		last = w.open(c)
		if _, digest, err := last.Digest(); err != nil {
			t.Fatal(err)
		} else if h := last.Health(); h.Ready && !digests[digest] && h.Tuples > 0 {
			t.Fatalf("attempt %d: a state that the server never had: %+v", i, h)
		}
	}
	w.way.set(false)
	w.joined(last)
	w.same(last)
	if _, err := edge.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "another edge") {
		t.Errorf("two edges in one directory: %v", err)
	}
}

// Over its socket an edge speaks the server's AuthZEN; decisions reach the server's
// log, and a question that needs what is not known here is asked there.
func TestTheDoorOfAnEdge(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.mustWrite(graph.Change{Set: append(status("p1", "active").Set, status("p2", "canceled").Set...), Add: []graph.Tuple{
		{Subject: user("ann"), Relation: "clerk", Object: payment("p1")}, {Subject: user("ann"), Relation: "clerk", Object: payment("p2")}}})
	c := w.config()
	c.Dir, c.AskUpstream, c.LogDecisions, c.Audience = t.TempDir(), true, true, ""
	e := w.joined(w.open(c))
	w.reach(e)
	handler, err := local.Handler(local.Options{Edge: e, Base: "http://localhost", Detail: "reasons", Key: "knock", Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	post := func(path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://localhost/access/v1"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer knock")
		if change != nil {
			change(r)
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		return rec
	}
	const one = `{"subject":{"type":"user","id":"ann"},"action":{"name":"refund"},"resource":{"type":"payment","id":"p1"}}`
	a := post("/evaluation", one, nil)
	if !strings.Contains(a.Body.String(), `"decision":true`) || a.Header().Get("Cardea-Revision") == "" || a.Header().Get(local.HeaderAge) == "" {
		t.Errorf("%d %s %v", a.Code, a.Body, a.Header())
	}
	var answered struct {
		Context struct{ ID string }
	}
	if err := json.Unmarshal(a.Body.Bytes(), &answered); err != nil {
		t.Fatal(err)
	}
	if a := post("/search/resource", `{"subject":{"type":"user","id":"ann"},"action":{"name":"refund"},"resource":{"type":"payment"}}`, nil); !strings.Contains(a.Body.String(), `"results":[{"type":"payment","id":"p1"}]`) {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	for name, x := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"no key":       {func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"a wrong key":  {func(r *http.Request) { r.Header.Set("Authorization", "Bearer knack") }, 401},
		"another host": {func(r *http.Request) { r.Host = "evil.example" }, 403},
		"not JSON":     {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400},
	} {
		if a := post("/evaluation", one, x.change); a.Code != x.status {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
	// A page on another site may not: it would have to ask whether it may first.
	ask := func(r *http.Request) {
		r.Method = "OPTIONS"
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
	}
	if a := post("/evaluation", "", ask); a.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page: %v", a.Header())
	}
	if a := post("/evaluation", `{}`, nil); a.Code != 400 {
		t.Errorf("nothing asked: %d", a.Code)
	}
	health := httptest.NewRecorder()
	handler.ServeHTTP(health, httptest.NewRequest("GET", "http://localhost"+local.PathHealth, nil))
	if !strings.Contains(health.Body.String(), `"connected":true`) {
		t.Errorf("%d %s", health.Code, health.Body)
	}

	look := func(key string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "http://localhost"+local.PathDigest, nil)
		r.Header.Set("Authorization", "Bearer "+key)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		return rec
	}
	if _, digest, err := e.Digest(); err != nil || !strings.Contains(look("knock").Body.String(), `"digest":"`+digest+`"`) || look("knack").Code != 401 {
		t.Errorf("%s, %s, %v; %d", look("knock").Body, digest, err, look("knack").Code)
	}

	// The decision gets to the server.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for found := false; !found; {
		if err := w.Journal.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		for x, err := range w.Journal.Replay(ctx, realm.Default, w.Clock.Now().Add(-time.Hour), w.Clock.Now().Add(time.Hour)) {
			if err != nil {
				t.Fatal(err)
			}
			found = found || x.ID == answered.Context.ID && x.Client == "till-edge" && x.Answer.Allowed
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the decision is not in the server's log: %+v", e.Health())
		}
	}

	// What is not known here yet is asked of the server: the stream is cut, and
	// other questions are not.
	far := func(r *http.Request) { r.Header.Set("Min-Revision", w.at.String()) }
	w.way.set(true)
	w.mustWrite(status("p1", "canceled"))
	if a := post("/evaluation", one, far); !strings.Contains(a.Body.String(), `"decision":false`) || !strings.Contains(a.Body.String(), "not reached") {
		t.Errorf("a revision that cannot be had: %s", a.Body)
	}
	if a := post("/evaluation", one, nil); !strings.Contains(a.Body.String(), `"decision":true`) {
		t.Errorf("within the staleness: %s", a.Body)
	}
}

// Whoever may not be an edge gets nothing.
func TestWhoMayBeAnEdge(t *testing.T) {
	t.Parallel()
	w := begin(t)
	plain := w.Client(t, realm.Default, "plain", client.Settings{Name: "Plain", Type: client.Service, GrantTypes: []string{client.ClientCredentials},
		Scopes: []string{"pay"}, Resources: []string{api}, ResourceServer: true})
	for name, x := range map[string]struct {
		id, secret, path string
		status           int
	}{
		"nobody":             {"", "", "/stream", 401},
		"a wrong secret":     {"till-edge", "wrong", "/stream", 401},
		"without the scope":  {"plain", plain, "/stream", 403},
		"an edge":            {"till-edge", w.secret, "/stream", 200},
		"an unknown type":    {"till-edge", w.secret, "/stream?types=rocket", 400},
		"a broken place":     {"till-edge", w.secret, "/stream?revision=x", 400},
		"another past":       {"till-edge", w.secret, "/stream?revision=9.9&line=x&seq=1&chain=" + strings.Repeat("A", 43), 200},
		"the neighbour's":    {"till-edge", w.secret, "", 401},
		"its own token only": {"", "x.y.z", "/stream", 401},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		address := apptest.Issuer + "/access/v1/edge" + x.path
		if x.path == "" {
			address = apptest.IssuerOf(apptest.Neighbour) + "/access/v1/edge/stream"
		}
		r, err := http.NewRequestWithContext(ctx, "GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if x.id != "" {
			r.SetBasicAuth(x.id, x.secret)
		} else if x.secret != "" {
			r.Header.Set("Authorization", "Bearer "+x.secret)
		}
		res, err := w.http.Do(r)
		if err != nil {
			t.Fatal(name, err)
		}
		if res.StatusCode != x.status || (res.Header.Get("WWW-Authenticate") == "") != (x.status != 401 && x.status != 403) {
			t.Errorf("%s: %s %s", name, res.Status, res.Header.Get("WWW-Authenticate"))
		}
		if name == "another past" {
			if kind, payload, err := replica.ReadFrame(res.Body); err != nil || kind != replica.KindBegin || !strings.Contains(string(payload), replica.ModeSnapshot) {
				t.Errorf("%s: %c %s %v", name, kind, payload, err)
			}
		}
		cancel()
		res.Body.Close()
	}
}

// half is a way on which streams do not come through, if it is told so.
type half struct {
	next http.RoundTripper
	deaf atomic.Bool
}

func (h *half) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.deaf.Load() && strings.HasSuffix(r.URL.Path, "/stream") {
		return nil, errors.New("no streams come through here")
	}
	return h.next.RoundTrip(r)
}

// A question that needs what an edge does not know yet is asked upstream, if that is
// wanted, possible and allowed; else it is denied.
func TestWhatAnEdgeDoesNotKnowYet(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.mustWrite(graph.Change{Set: status("p1", "active").Set, Add: []graph.Tuple{{Subject: user("ann"), Relation: "clerk", Object: payment("p1")}}})
	alone := w.Client(t, realm.Default, "lone-edge", client.Settings{Name: "Edge", Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"cardea:edge"}, Resources: []string{api}})
	way := &half{next: w.http.Transport}
	open := func(credentials verify.Credentials, upstream bool) *edge.Edge {
		c := w.config()
		c.HTTPClient, c.Credentials, c.AskUpstream, c.Audience = &http.Client{Transport: way}, credentials, upstream, ""
		e := w.joined(w.open(c))
		w.reach(e)
		e.Hasten()
		return e
	}
	asks, refused, silent := open(verify.ClientSecret("till-edge", w.secret), true), open(verify.ClientSecret("lone-edge", alone), true), open(verify.ClientSecret("till-edge", w.secret), false)
	way.deaf.Store(true)
	w.way.set(true)
	w.way.set(false)
	for _, now := range []string{"canceled", "active"} {
		w.mustWrite(status("p1", now))
		q := refund(user("ann"), "p1")
		q.MinRevision = w.at.String()
		if a := asks.Decide(t.Context(), q); a.Allowed != (now == "active") || !a.Upstream || a.Refused != "" || a.Revision == "" {
			t.Errorf("%s, asked upstream: %+v", now, a)
		}
		for name, e := range map[string]*edge.Edge{"refused upstream": refused, "not asked": silent} {
			if a := e.Decide(t.Context(), q); a.Allowed || a.Upstream || !strings.Contains(a.Refused, "not reached") {
				t.Errorf("%s, %s: %+v", now, name, a)
			}
		}
	}
	q := refund(user("ann"), "p1")
	q.MinRevision = "1.999999"
	if a := asks.Decide(t.Context(), q); a.Allowed || a.Upstream || a.Refused == "" {
		t.Errorf("a revision that the server has not either: %+v", a)
	}
	q.MinRevision = w.at.String()
	w.way.set(true)
	if a := asks.Decide(t.Context(), q); a.Allowed || a.Upstream || a.Refused == "" {
		t.Errorf("nobody upstream: %+v", a)
	}
	q.MinRevision = ""
	if a := asks.Decide(t.Context(), q); !a.Allowed || a.Upstream {
		t.Errorf("what is known is enough: %+v", a)
	}
}

// Two nodes are behind one address. An edge that comes to the other one goes on from
// where it stands, never back, and holds what both hold.
func TestAnEdgeGoesOnAtAnotherNode(t *testing.T) {
	t.Parallel()
	e := apptest.Start(t, db.Postgres)
	w := on(t, e)
	other := httptest.NewServer(e.Node(t).Handler)
	t.Cleanup(func() { other.CloseClientConnections(); other.Close() })
	nodes := []string{w.way.address, other.Listener.Addr().String()}
	c := w.config()
	c.Dir, c.Audience = t.TempDir(), ""
	whole := w.joined(w.open(c))
	c.Dir, c.Types = t.TempDir(), []string{"payment"}
	part := w.joined(w.open(c))
	last := int64(0)
	for i := range 4 {
		w.mustWrite(graph.Change{Set: status("p1", []string{"active", "canceled"}[i%2]).Set, Add: []graph.Tuple{{Subject: user(fmt.Sprint("u", i)), Relation: "clerk", Object: payment("p1")}}})
		w.way.set(true)
		w.mustWrite(graph.Change{Remove: []graph.Tuple{{Subject: user(fmt.Sprint("u", i-1)), Relation: "clerk", Object: payment("p1")}}})
		w.way.move(nodes[(i+1)%2])
		w.same(whole)
		w.reach(part)
		for _, x := range []*edge.Edge{whole, part} {
			if now, before := may(w, x, refund(user(fmt.Sprint("u", i)), "p1")), may(w, x, refund(user(fmt.Sprint("u", i-1)), "p1")); now != (i%2 == 0) || before {
				t.Fatalf("round %d: %v %v", i, now, before)
			}
		}
		_, revision, err := whole.At(t.Context(), 0)
		if err != nil || revision < last || revision < w.at.Revision() {
			t.Fatalf("round %d: at revision %d, was at %d: %v", i, revision, last, err)
		}
		last = revision
	}
}

// What a token is bound to cannot be shown in a question, and whom a pairwise id
// means is the server's to know: such tokens are refused, and the reason is told.
func TestTokensThatAnEdgeCannotRead(t *testing.T) {
	t.Parallel()
	w := begin(t)
	for id, subject := range map[string]client.SubjectType{"web": "", "private": client.Pairwise} {
		w.Client(t, realm.Default, id, client.Settings{Name: id, Type: client.Web, FirstParty: true, RedirectURIs: []string{"https://app.example.com/cb"},
			GrantTypes: []string{client.AuthorizationCode}, Scopes: []string{"pay"}, Resources: []string{api}, SubjectType: subject})
	}
	ada := w.Person(t, realm.Default, "ada@example.com")
	w.mustWrite(graph.Change{Set: status("p1", "active").Set, Add: []graph.Tuple{{Subject: user(ada.ID), Relation: "clerk", Object: payment("p1")}}})
	e := w.joined(w.open(w.config()))
	door, err := local.Handler(local.Options{Edge: e, Base: "http://localhost", Detail: "reasons", Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	thumb := strings.Repeat("A", 43)
	for name, x := range map[string]struct {
		client string
		bound  token.Binding
		why    string // "" where it is taken
	}{
		"a bearer token":         {"web", token.Binding{}, ""},
		"bound to a key":         {"web", token.Binding{JKT: thumb}, "bound to a key"},
		"bound to a certificate": {"web", token.Binding{X5T: thumb}, "bound to a key or certificate"},
		"a pairwise subject":     {"private", token.Binding{}, "name of the application's own"},
	} {
		q := refund(user(ada.ID), "p1")
		q.Token, _ = w.signedInAt(x.client, ada, x.bound)
		if a := e.Decide(t.Context(), q); a.Allowed != (x.why == "") || !strings.Contains(a.Refused, x.why) {
			t.Errorf("%s: %+v", name, a)
		}
		r := httptest.NewRequest("POST", "http://localhost/access/v1/evaluation", strings.NewReader(fmt.Sprintf(
			`{"subject":{"type":"user","id":%q},"action":{"name":"refund"},"resource":{"type":"payment","id":"p1"},"context":{"access_token":%q}}`, ada.ID, q.Token)))
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		door.ServeHTTP(rec, r)
		if body := rec.Body.String(); !strings.Contains(body, fmt.Sprintf(`"decision":%v`, x.why == "")) || !strings.Contains(body, x.why) {
			t.Errorf("%s, at the door: %s", name, body)
		}
	}
}

// An edge that holds other facts than the server, though as many and at the same
// revision, finds it by the next sign of life, and asks for all of them anew.
func TestAnEdgeThatDiffersStartsOver(t *testing.T) {
	t.Parallel()
	for name, types := range map[string][]string{"of the whole realm": nil, "of a slice": {"payment"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			differs(t, types)
		})
	}
}

func differs(t *testing.T, types []string) {
	w := begin(t)
	w.mustWrite(graph.Change{Set: status("p1", "canceled").Set, Add: []graph.Tuple{{Subject: user("ann"), Relation: "clerk", Object: payment("p1")}}})
	c := w.config()
	c.Dir, c.Audience, c.Types = t.TempDir(), "", types
	e := w.joined(w.open(c))
	w.reach(e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := edge.Forge(c.Dir, c.Issuer, types, status("p1", "active")); err != nil {
		t.Fatal(err)
	}
	w.way.set(true)
	e = w.open(c)
	if a := e.Decide(t.Context(), refund(user("ann"), "p1")); !a.Allowed {
		t.Fatalf("nothing was forged: %+v", a)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	w.way.set(false)
	troubles := make(chan error, 100)
	c.OnError = func(err error) { troubles <- err }
	e = w.joined(w.open(c))
	if err := <-troubles; !errors.Is(err, replica.ErrFacts) {
		t.Errorf("the edge says %v", err)
	}
	w.mustWrite(status("p2", "active"))
	w.reach(e)
	if a := e.Decide(t.Context(), refund(user("ann"), "p1")); a.Allowed {
		t.Errorf("what was forged counts: %+v", a)
	}
}

// What was known before says nothing about how old it is once news have come.
func TestNewsMakeNothingYounger(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.mustWrite(graph.Change{Set: status("p1", "active").Set, Add: []graph.Tuple{{Subject: user("ann"), Relation: "clerk", Object: payment("p1")}}})
	c := w.config()
	c.Audience = ""
	e := w.joined(w.open(c))
	w.reach(e)
	w.way.set(true)
	w.Clock.Advance(time.Minute)
	before := e.Fresh()
	w.way.set(false)
	w.mustWrite(status("p1", "canceled"))
	w.reach(e)
	if refused, _ := before("refund", false); refused == "" {
		t.Error("what was noted before the news counts as new")
	}
	if refused, _ := e.Fresh()("refund", false); refused != "" {
		t.Errorf("after the news: %s", refused)
	}
}

// liar is a way on which every head is given another signature.
type liar struct{ next http.RoundTripper }

func (l liar) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/edge/stream") {
		return res, err
	}
	body, out := res.Body, (*io.PipeWriter)(nil)
	res.Body, out = io.Pipe()
	go func() {
		defer body.Close()
		for {
			kind, payload, err := replica.ReadFrame(body)
			if err != nil {
				_ = out.CloseWithError(err)
				return
			}
			if kind == replica.KindHead {
				signature := payload[bytes.LastIndexByte(payload, '.')+1:]
				signature[4] = map[bool]byte{true: 'B', false: 'A'}[signature[4] == 'A']
			}
			if _, err := out.Write(replica.AppendFrame(nil, kind, payload)); err != nil {
				return
			}
		}
	}()
	return res, nil
}

// Whoever is between an edge and the server cannot say what the realm did not sign.
func TestHeadsThatTheRealmDidNotSignCountForNothing(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.mustWrite(graph.Change{Set: status("p1", "active").Set, Add: []graph.Tuple{{Subject: user("ann"), Relation: "clerk", Object: payment("p1")}}})
	troubles := make(chan error, 100)
	c := w.config()
	c.Audience, c.HTTPClient, c.OnError = "", &http.Client{Transport: liar{w.http.Transport}}, func(err error) { troubles <- err }
	e := w.open(c)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case err := <-troubles:
		if !strings.Contains(err.Error(), "not signed by the realm") {
			t.Errorf("the edge says %v", err)
		}
	case <-ctx.Done():
		t.Error("nothing troubles the edge")
	}
	if a := e.Decide(t.Context(), refund(user("ann"), "p1")); a.Allowed {
		t.Errorf("the edge decides by it: %+v", a)
	}
}

// mute is a way on which nothing is heard but facts, if it is told so.
type mute struct {
	next http.RoundTripper
	on   atomic.Bool
}

func (m *mute) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.on.Load() && r.Method == http.MethodGet && !strings.HasSuffix(r.URL.Path, "/edge/stream") {
		return nil, errors.New("only facts come through here")
	}
	return m.next.RoundTrip(r)
}

// Where facts come and revocations do not, questions with a token are as old as what
// is known of revocations.
func TestTokensAreAsOldAsRevocations(t *testing.T) {
	t.Parallel()
	w := begin(t)
	way := &mute{next: w.http.Transport}
	c := w.config()
	c.HTTPClient = &http.Client{Transport: way}
	e := w.joined(w.open(c))
	w.Client(t, realm.Default, "web", client.Settings{Name: "Web", Type: client.Web, FirstParty: true, RedirectURIs: []string{"https://app.example.com/cb"},
		GrantTypes: []string{client.AuthorizationCode}, Scopes: []string{"pay"}, Resources: []string{api}})
	ada := w.Person(t, realm.Default, "ada@example.com")
	text, _ := w.signedIn(ada)
	w.mustWrite(graph.Change{Set: status("p1", "active").Set, Add: []graph.Tuple{{Subject: user(ada.ID), Relation: "clerk", Object: payment("p1")}}})
	q := refund(user(ada.ID), "p1")
	q.Token, q.MinRevision = text, w.at.String()
	for end := time.After(10 * time.Second); ; { // until revocations are known
		a := e.Decide(t.Context(), q)
		if a.Allowed {
			break
		}
		select {
		case <-end:
			t.Fatalf("a living token: %+v", a)
		case <-time.After(time.Millisecond):
		}
	}
	way.on.Store(true)
	w.way.set(true)
	w.way.set(false)
	w.Clock.Advance(time.Minute)
	w.mustWrite(status("p2", "active"))
	w.reach(e)
	if a := e.Decide(t.Context(), q); a.Allowed || !strings.Contains(a.Refused, "old") {
		t.Errorf("a token, a minute after revocations were heard: %+v", a)
	}
	q.Token = ""
	if a := e.Decide(t.Context(), q); !a.Allowed {
		t.Errorf("without a token: %+v", a)
	}
}
