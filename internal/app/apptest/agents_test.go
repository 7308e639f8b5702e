package apptest

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

const shopRego = `# Who may refund.
package shop.refunds

import rego.v1

default allow := false

allow if data.cardea.rules.may(input.subject, "refund", input.resource)
`

// remote is an agent as the server sees it.
type remote struct {
	*Env
	t      *testing.T
	secret string
}

func openShop(t *testing.T, e *Env, name string, files ...folder.File) {
	t.Helper()
	all := append(folder.Files{{Path: "schema.cedarschema", Text: []byte(tillSchema)}, {Path: "roles.yaml", Text: []byte(tillRoles)}, {Path: "policies/till.cedar", Text: []byte(tillPolicies)}}, files...)
	if _, err := e.Policies.Apply(context.Background(), audit.System, name, version.Change{Files: all}); err != nil {
		t.Fatal(err)
	}
}

func newRemote(t *testing.T, e *Env) *remote {
	t.Helper()
	return &remote{e, t, e.Client(t, realm.Default, "opa", client.Settings{Name: "opa", Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"cardea:agent"}})}
}

// get fetches below the door, with what the agent has.
func (a *remote) get(node *Env, path, tag string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", Issuer+"/opa/v1/"+path, nil)
	r.SetBasicAuth("opa", a.secret)
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	node.Handler.ServeHTTP(rec, r)
	return rec
}

// files unpacks a bundle.
func (a *remote) files(rec *httptest.ResponseRecorder) map[string]string {
	a.t.Helper()
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/vnd.openpolicyagent.bundles" {
		a.t.Fatalf("%d %s %s", rec.Code, rec.Header().Get("Content-Type"), rec.Body)
	}
	z, err := gzip.NewReader(rec.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	all := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			a.t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			a.t.Fatal(err)
		}
		all[strings.TrimPrefix(h.Name, "/")] = string(text)
	}
}

func decoded(t *testing.T, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// bare is facts without what stands for nothing: empty objects and ended roles.
func bare(v any) any {
	all, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for name, x := range all {
		x = bare(x)
		if m, is := x.(map[string]any); is && len(m) == 0 || x == json.Number("1") {
			continue
		}
		out[name] = x
	}
	return out
}

// patched applies a delta as agents do: upsert makes what is missing above, remove
// needs what it removes.
func patched(t *testing.T, facts map[string]any, text string) {
	t.Helper()
	var p struct {
		Data []struct {
			Op, Path string
			Value    any
		}
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&p); err != nil || len(p.Data) == 0 {
		t.Fatalf("a delta without steps: %v %s", err, text)
	}
	for _, step := range p.Data {
		below, ours := strings.CutPrefix(step.Path, "/cardea/facts/")
		if !ours {
			t.Fatalf("a step outside of the facts: %s", step.Path)
		}
		parts := strings.Split(below, "/")
		for i, raw := range parts {
			plain, err := url.PathUnescape(raw)
			if err != nil {
				t.Fatal(err)
			}
			parts[i] = strings.ReplaceAll(strings.ReplaceAll(plain, "~1", "/"), "~0", "~")
		}
		at := facts
		for _, p := range parts[:len(parts)-1] {
			next, ok := at[p].(map[string]any)
			if !ok {
				if step.Op != "upsert" {
					t.Fatalf("%s of %s: nothing is there", step.Op, step.Path)
				}
				next = map[string]any{}
				at[p] = next
			}
			at = next
		}
		last := parts[len(parts)-1]
		switch _, there := at[last]; {
		case step.Op == "upsert":
			at[last] = step.Value
		case step.Op == "remove" && there:
			delete(at, last)
		default:
			t.Fatalf("%s of %s: nothing is there", step.Op, step.Path)
		}
	}
}

func dig(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func TestAgentsFollowFactsByDeltas(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		a, ctx := newRemote(t, e), context.Background()
		openShop(t, e, realm.Default)
		person := e.Person(t, realm.Default, "ann@example.com")
		group, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Group, Name: "clerks"})
		if err != nil {
			t.Fatal(err)
		}
		write := func(c graph.Change) {
			t.Helper()
			if _, err := e.Facts.Write(ctx, audit.System, realm.Default, relation.Batch{Change: c}); err != nil {
				t.Fatal(err)
			}
		}
		ann, clerks := graph.Entity{Type: "user", ID: person.ID}, graph.Entity{Type: "group", ID: group.ID}
		odd := graph.Entity{Type: "payment", ID: "a/b~1%2f.. ü\"'{}"}
		write(graph.Change{Add: []graph.Tuple{{Subject: clerks, Relation: "clerk", Object: payment17}}})

		first := a.get(e, "bundles/facts.tar.gz", "")
		files := a.files(first)
		tag := first.Header().Get("ETag")
		held := decoded(t, files["cardea/facts/data.json"])
		if dig(held, "roles", "payment/17", "group/"+group.ID, "clerk") == nil || dig(held, "principals", "user/"+person.ID, "status") != "active" {
			t.Fatalf("facts: %s", files["cardea/facts/data.json"])
		}
		if roots := dig(decoded(t, files[".manifest"]), "roots"); !reflect.DeepEqual(roots, []any{"cardea/facts"}) {
			t.Errorf("roots: %v", roots)
		}
		if rec := a.get(e, "bundles/facts.tar.gz", tag, "Prefer", "modes=snapshot,delta"); rec.Code != 304 || rec.Header().Get("ETag") != tag {
			t.Fatalf("nothing changed: %d %s", rec.Code, rec.Header().Get("ETag"))
		}

		// After each change the agent that patches what it has knows what a newcomer gets.
		follow := func(what string) {
			t.Helper()
			rec := a.get(e, "bundles/facts.tar.gz", tag, "Prefer", "modes=snapshot,delta;wait=20")
			got := a.files(rec)
			if got["patch.json"] == "" || len(got) != 2 {
				t.Fatalf("%s: no delta: %v", what, slices.Collect(maps.Keys(got)))
			}
			patched(t, held, got["patch.json"])
			tag = rec.Header().Get("ETag")
			fresh := a.get(e, "bundles/facts.tar.gz", "")
			want := decoded(t, a.files(fresh)["cardea/facts/data.json"])
			if !reflect.DeepEqual(bare(held), bare(want)) {
				t.Fatalf("%s: patched\n%v\nfresh\n%v", what, held, want)
			}
			if fresh.Header().Get("ETag") != tag {
				t.Errorf("%s: tags %s and %s", what, tag, fresh.Header().Get("ETag"))
			}
		}
		do := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		do(e.People.AddMember(ctx, audit.System, realm.Default, group.ID, person.ID, ""))
		follow("a membership")
		write(graph.Change{Add: []graph.Tuple{{Subject: ann, Relation: "clerk", Object: odd}, {Subject: odd, Relation: graph.Parent, Object: payment17, Expires: 4102444800000}},
			Set: []graph.Attribute{{Entity: odd, Name: "status", Value: "active"}, {Entity: odd, Name: "sum", Value: json.Number("1.50")}}})
		follow("relations and attributes of an odd name")
		write(graph.Change{Remove: []graph.Tuple{{Subject: ann, Relation: "clerk", Object: odd}}, Unset: []graph.Attribute{{Entity: odd, Name: "sum"}}})
		follow("a removal")
		write(graph.Change{Drop: []graph.Entity{odd}})
		follow("a dropped entity")
		do(e.Grants.SuspendPrincipal(ctx, audit.System, realm.Default, person.ID, "test", nil))
		follow("a suspension")
		do(e.Grants.DeletePrincipal(ctx, audit.System, realm.Default, group.ID, "test", nil))
		follow("a deleted group")

		// One that is behind a restart, or makes a tag up, starts anew.
		for _, have := range []string{`"facts-1-0.1"`, `"facts-1-9.1"`, `"nonsense"`} {
			if got := a.files(a.get(e, "bundles/facts.tar.gz", have, "Prefer", "modes=snapshot,delta")); got["cardea/facts/data.json"] == "" {
				t.Errorf("%s: no snapshot", have)
			}
		}
		if got := a.files(a.get(e, "bundles/facts.tar.gz", `"facts-1-`+strings.Trim(strings.TrimPrefix(first.Header().Get("ETag"), `"facts-1-`), `"`)+`"`)); got["patch.json"] != "" {
			t.Error("a delta for an agent that takes none")
		}

		// The neighbour's agents know nothing of this realm.
		r := httptest.NewRequest("GET", IssuerOf(Neighbour)+"/opa/v1/bundles/facts.tar.gz", nil)
		r.SetBasicAuth("opa", a.secret)
		rec := httptest.NewRecorder()
		e.Handler.ServeHTTP(rec, r)
		if rec.Code != 401 {
			t.Errorf("a client of another realm: %d", rec.Code)
		}
	})
}

func TestAgentsGetSignedPolicies(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		a := newRemote(t, e)
		if files := a.files(a.get(e, "bundles/policy.tar.gz", "")); files["cardea/rules/rules.rego"] == "" {
			t.Error("a realm without policies gives no bundle that permits nothing")
		}
		openShop(t, e, realm.Default, folder.File{Path: "rego/shop/refunds.rego", Text: []byte(shopRego)})
		rec := a.get(e, "bundles/policy.tar.gz", "")
		files := a.files(rec)
		if files["rego/shop/refunds.rego"] != shopRego {
			t.Errorf("the folder's Rego: %q", files["rego/shop/refunds.rego"])
		}
		if roots := fmt.Sprint(dig(decoded(t, files[".manifest"]), "roots")); roots != "[cardea/roles cardea/rules cardea/types shop/refunds]" {
			t.Errorf("roots: %s", roots)
		}
		if got := fmt.Sprint(dig(decoded(t, files["data.json"]), "cardea", "roles", "payment", "clerk", "permissions")); got != "[refund]" {
			t.Errorf("roles: %s", files["data.json"])
		}
		jws := dig(decoded(t, files[".signatures.json"]), "signatures").([]any)[0].(string)
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(jws, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		said := decoded(t, string(payload))
		if said["scope"] != "policy" || len(said["files"].([]any)) != len(files)-1 {
			t.Errorf("signed: %s", payload)
		}
		tag := rec.Header().Get("ETag")
		if rec := a.get(e, "bundles/policy.tar.gz", tag, "Prefer", "modes=snapshot,delta"); rec.Code != 304 {
			t.Errorf("nothing changed: %d", rec.Code)
		}
		changed := strings.Replace(shopRego, `"refund"`, `"nothing"`, 1)
		openShop(t, e, realm.Default, folder.File{Path: "rego/shop/refunds.rego", Text: []byte(changed)})
		if files := a.files(a.get(e, "bundles/policy.tar.gz", tag, "Prefer", "modes=snapshot,delta;wait=20")); files["rego/shop/refunds.rego"] != changed {
			t.Error("the new version did not arrive")
		}

		// What is not compiled here is at least placed: its package has to be said, and
		// to be the folder's to give.
		for text, want := range map[string]string{"allow = true\n": "does not begin with its package", "package cardea.rules\n": "given to agents by the server", "": "does not begin"} {
			_, err := e.Policies.Apply(t.Context(), audit.System, realm.Default, version.Change{Files: folder.Files{{Path: "schema.cedarschema", Text: []byte(tillSchema)},
				{Path: "roles.yaml", Text: []byte(tillRoles)}, {Path: "rego/a.rego", Text: []byte(text)}}})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", text, err)
			}
		}

		found := a.files(a.get(e, "discovery.tar.gz", ""))
		if got := dig(decoded(t, found["data.json"]), "discovery", "bundles", "cardea-facts", "resource"); got != "bundles/facts.tar.gz" || !bytes.Contains([]byte(found[".signatures.json"]), []byte("signatures")) {
			t.Errorf("discovery: %v", found)
		}
	})
}

func TestOnlyAgentsGetBundles(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		a := newRemote(t, e)
		other := e.Client(t, realm.Default, "app", client.Settings{Name: "app", Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"cardea:decide"}})
		for _, path := range []string{"discovery.tar.gz", "bundles/policy.tar.gz", "bundles/facts.tar.gz"} {
			for _, c := range []struct {
				user, secret string
				want         int
			}{{"", "", 401}, {"opa", "wrong", 401}, {"app", other, 403}, {"opa", a.secret, 200}} {
				r := httptest.NewRequest("GET", Issuer+"/opa/v1/"+path, nil)
				if c.user != "" {
					r.SetBasicAuth(c.user, c.secret)
				}
				rec := httptest.NewRecorder()
				e.Handler.ServeHTTP(rec, r)
				if rec.Code != c.want {
					t.Errorf("%s as %q: %d, want %d", path, c.user, rec.Code, c.want)
				}
			}
		}
	})
}

func TestAgentsReport(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		a, ctx := newRemote(t, e), t.Context()
		post := func(path, body string, packed bool, want int) {
			t.Helper()
			var b bytes.Buffer
			b.WriteString(body)
			if packed {
				b.Reset()
				z := gzip.NewWriter(&b)
				_, _ = z.Write([]byte(body))
				_ = z.Close()
			}
			r := httptest.NewRequest("POST", Issuer+"/opa/v1/"+path, &b)
			r.Header.Set("Content-Type", "application/json")
			r.SetBasicAuth("opa", a.secret)
			if packed {
				r.Header.Set("Content-Encoding", "gzip")
			}
			rec := httptest.NewRecorder()
			e.Handler.ServeHTTP(rec, r)
			if rec.Code != want {
				t.Errorf("POST %s %.60s: %d %s, want %d", path, body, rec.Code, rec.Body, want)
			}
		}
		post("status", `{"labels":{"id":"edge-1","version":"1.22.4"},"bundles":{"cardea-policy":{"name":"cardea-policy","active_revision":"3","last_successful_activation":"2026-11-28T10:00:00Z"},
			"cardea-facts":{"name":"cardea-facts","code":"bundle_error","message":"no","errors":[{"a":1}]}},"discovery":{"name":"discovery","active_revision":"1"}}`, false, 204)
		found, _, err := e.Plane.Agents(ctx, realm.Default, "", 10)
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if r := found[0]; r.ID != "edge-1" || r.Client != "opa" || r.Healthy() || len(r.Bundles) != 3 || r.Bundles[1].Revision != "3" || !strings.HasPrefix(r.Bundles[0].Problem, "bundle_error: no") {
			t.Errorf("reported: %+v", r)
		}
		post("status", `{"labels":{"id":"edge-1","version":"1.22.4"},"bundles":{"cardea-policy":{"name":"cardea-policy","active_revision":"4"}}}`, true, 204)
		if found, _, _ = e.Plane.Agents(ctx, realm.Default, "", 10); len(found) != 1 || !found[0].Healthy() || found[0].Bundles[0].Revision != "4" {
			t.Errorf("then: %+v", found)
		}
		for _, bad := range []string{``, `[]`, `{"labels":{}}`, `nonsense`} {
			post("status", bad, false, 400)
		}
		post("status", `{"labels":{"id":"`+strings.Repeat("x", 1<<20)+`"}}`, true, 413)

		now := e.DB.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		post("logs", `[{"decision_id":"4ca636c1","labels":{"id":"edge-1"},"path":"shop/refunds/allow","timestamp":"`+now+`","result":true,"bundles":{"cardea-policy":{"revision":"3"},"cardea-facts":{"revision":"1.22"}},
			"input":{"subject":{"type":"user","id":"ann"},"action":{"name":"refund"},"resource":{"type":"payment","id":"17","properties":{"sum":1.5}},"context":{"ip":"192.0.2.1"},"extra":[1]}},
			{"decision_id":"5","labels":{"id":"edge-1"},"path":"shop/refunds/allow","timestamp":"`+now+`","input":"odd"}]`, true, 204)
		if err := e.Journal.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		told, _, err := e.Journal.List(ctx, realm.Default, journal.Filter{Client: "opa"}, "", 10)
		if err != nil || len(told) != 2 {
			t.Fatal(told, err)
		}
		d := told[1]
		if d.Kind != journal.Agent || d.Asked() || !d.Answer.Allowed || d.Request != "4ca636c1" || d.Question.Subject.ID != "ann" || d.Question.Action != "refund" || d.Question.Resource != payment17 ||
			d.Revision != "1.22" || fmt.Sprintf("%v %v %v %v", d.Question.Context["ip"], d.Question.Context["input"], d.Question.Context["agent"], d.Question.ResourceProperties["sum"]) != "192.0.2.1 map[extra:[1]] edge-1 1.5" {
			t.Errorf("noted: %+v", d)
		}
		if told[0].Answer.Allowed || told[0].Question.Context["input"] != "odd" {
			t.Errorf("noted: %+v", told[0])
		}
		for _, bad := range []string{``, `{}`, `[1]`, `[{"decision_id":`, `[{}`} {
			post("logs", bad, true, 400)
		}
		bomb := "[" + strings.Repeat(`{"path":"`+strings.Repeat("a", 60<<10)+`"},`, 1200) + "{}]"
		post("logs", bomb, true, 413)

		// The neighbour sees nothing of it.
		if found, _, _ := e.Plane.Agents(ctx, Neighbour, "", 10); len(found) != 0 {
			t.Errorf("the neighbour has %v", found)
		}
		e.Clock.Advance(31 * 24 * time.Hour)
		if n, err := e.Plane.Collect(ctx, realm.Default); err != nil || n != 1 {
			t.Errorf("forgotten: %d, %v", n, err)
		}
	})
}

// talk is a client of OPAL on its WebSocket.
type talk struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (k *talk) send(text string) {
	k.t.Helper()
	b := []byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0} // the mask is zero
	if _, err := k.conn.Write(append(b, text...)); err != nil {
		k.t.Fatal(err)
	}
}

// next is the next message.
func (k *talk) next() map[string]any {
	k.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(k.in, head[:]); err != nil {
		k.t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		var long [2]byte
		_, _ = io.ReadFull(k.in, long[:])
		n = int(long[0])<<8 | int(long[1])
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(k.in, text); err != nil || head[0] != 0x81 {
		k.t.Fatalf("frame %x: %q, %v", head[0], text, err)
	}
	return decoded(k.t, string(text))
}

func TestClientsOfOPALAreServed(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		a := newRemote(t, e)
		openShop(t, e, realm.Default, folder.File{Path: "rego/shop/refunds.rego", Text: []byte(shopRego)})
		ask := func(method, path, credential, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, Issuer+"/opal/v1"+path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+credential)
			r.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			e.Handler.ServeHTTP(rec, r)
			return rec
		}
		master := base64.StdEncoding.EncodeToString([]byte("opa:" + a.secret))
		minted := ask("POST", "/token", master, `{"type":"client"}`)
		token, _ := dig(decoded(t, minted.Body.String()), "token").(string)
		if minted.Code != 200 || token == "" {
			t.Fatalf("token: %d %s", minted.Code, minted.Body)
		}
		for what, credential := range map[string]string{"a wrong secret": base64.StdEncoding.EncodeToString([]byte("opa:wrong")), "nothing": "THIS_IS_A_DEV_SECRET"} {
			for _, path := range []string{"/policy", "/data/config", "/data/facts", "/scopes", "/ws", "/scopes/other/policy"} {
				if rec := ask("GET", path, credential, ""); rec.Code != 401 {
					t.Errorf("%s with %s: %d", path, what, rec.Code)
				}
			}
			if rec := ask("POST", "/token", credential, "{}"); rec.Code != 401 {
				t.Errorf("a token for %s: %d", what, rec.Code)
			}
		}
		for path, want := range map[string]int{"/scopes/default/policy": 200, "/scopes/other/policy": 404, "/scopes/default/data": 200, "/ws": 400, "/healthcheck": 200, "/policy?path=rego/other": 200} {
			if rec := ask("GET", path, token, ""); rec.Code != want {
				t.Errorf("GET %s: %d %s, want %d", path, rec.Code, rec.Body, want)
			}
		}
		bundle := decoded(t, ask("GET", "/policy?path=.", token, "").Body.String())
		modules, _ := bundle["policy_modules"].([]any)
		if len(modules) != 2 || dig(modules[1], "package_name") != "shop.refunds" || dig(modules[1], "rego") != shopRego {
			t.Fatalf("policy: %v", bundle)
		}
		entry := decoded(t, ask("GET", "/data/config", token, "").Body.String())["entries"].([]any)[0]
		if dig(entry, "url") != Issuer+"/opal/v1/data/facts" || dig(entry, "config", "headers", "Authorization") != "Bearer "+token || dig(entry, "dst_path") != "/cardea/facts" {
			t.Errorf("data: %v", entry)
		}

		site := httptest.NewServer(e.Handler)
		defer site.Close()
		conn, err := net.Dial("tcp", site.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprintf(conn, "GET /opal/v1/ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n",
			strings.TrimPrefix(Issuer, "https://"), master)
		k := &talk{t, conn, bufio.NewReader(conn)}
		rest, err := http.ReadResponse(k.in, nil)
		if err != nil || rest.StatusCode != 101 || rest.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Fatal(rest, err)
		}
		for method, want := range map[string]any{"_ping_": "pong", "publish": false} {
			k.send(`{"request":{"method":"` + method + `","arguments":{},"call_id":"1"}}`)
			if m := k.next(); dig(m, "response", "result") != want || dig(m, "response", "call_id") != "1" {
				t.Errorf("%s: %v", method, m)
			}
		}
		k.send(`{"request":{"method":"subscribe","arguments":{"topics":["policy_data","policy:.","other:policy:."]},"call_id":"2"}}`)
		if m := k.next(); dig(m, "response", "result") != true {
			t.Fatalf("subscribe: %v", m)
		}
		if _, err := e.Facts.Write(t.Context(), audit.System, realm.Default, relation.Batch{Change: status("active")}); err != nil {
			t.Fatal(err)
		}
		m := k.next()
		if dig(m, "request", "method") != "notify" || dig(m, "request", "arguments", "subscription", "topic") != "policy_data" ||
			dig(dig(m, "request", "arguments", "data", "entries").([]any)[0], "config", "headers", "Authorization") != "Bearer "+master {
			t.Errorf("news of facts: %v", m)
		}
		if got := decoded(t, ask("GET", "/data/facts", token, "").Body.String()); dig(got, "attributes", "payment/17", "status") != "active" {
			t.Errorf("facts: %v", got)
		}
		openShop(t, e, realm.Default, folder.File{Path: "rego/shop/refunds.rego", Text: []byte(shopRego + "# more\n")})
		m = k.next()
		if dig(m, "request", "arguments", "subscription", "topic") != "policy:." || fmt.Sprint(dig(m, "request", "arguments", "data", "changed_directories")) != "[.]" ||
			dig(m, "request", "arguments", "data", "new_policy_hash") != decoded(t, ask("GET", "/policy", token, "").Body.String())["hash"] {
			t.Errorf("news of policies: %v", m)
		}
	})
}
