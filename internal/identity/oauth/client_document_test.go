package oauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// published is a client id metadata document on a server of its own, which
// tests change.
type published struct {
	id   string
	hits atomic.Int32
	// What is served. nil says nothing is there.
	document said
	cache    string
	serve    http.HandlerFunc // instead of document, if set
}

// publish serves a document at one.example.com, with what is wrong about it.
func (d *door) publish(pairs ...any) *published {
	d.Helper()
	p := &published{cache: "max-age=600"}
	origin := d.Env.Outside.Serve("one.example.com", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hits.Add(1)
		switch {
		case p.serve != nil:
			p.serve(w, r)
		case p.document == nil || r.URL.Path != "/client.json":
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", p.cache)
			_ = json.NewEncoder(w).Encode(p.document)
		}
	}))
	p.id = origin + "/client.json"
	p.document = about(append([]any{"client_id", p.id, "client_name", "Faraway", "scope", nil, "token_endpoint_auth_method", "none"}, pairs...)...)
	return p
}

// visit goes to the consent page of a client in a browser that is signed in.
func (d *door) visit(b *browser, id string, pairs ...string) string {
	d.Helper()
	w := b.open(request(id, pairs...))
	if w.Code == http.StatusSeeOther {
		return w.Header().Get("Location")
	}
	return fmt.Sprint(w.Code, " ", w.Body.String())
}

// agree goes through the consent page and gives the code.
func (d *door) agree(b *browser, id string, pairs ...string) string {
	d.Helper()
	w := b.open(request(id, pairs...))
	got := d.elsewhere(b.submit(w, "do", "allow"))
	if got.Get("code") == "" {
		d.Fatalf("no code: %v", got)
	}
	return got.Get("code")
}

// A client id may be the address of a document about the client, where the
// realm wants that. Nothing is kept of it before somebody agreed.
func TestAClientIsItsDocument(t *testing.T) {
	run(t, func(d *door) {
		p := d.publish()
		ctx := context.Background()
		b := d.signedIn(d.signIn(d.ada))
		discovered := func() bool {
			return strings.Contains(d.get("/.well-known/oauth-authorization-server", "").Body.String(), `"client_id_metadata_document_supported":true`)
		}
		if got := d.visit(b, p.id); !strings.Contains(got, "know this application") || discovered() || p.hits.Load() != 0 {
			d.Errorf("off: %.200s, %d fetches", got, p.hits.Load())
		}
		d.set("client_id_metadata_documents", "on")
		if !discovered() {
			d.Error("on, but not announced")
		}
		page := d.visit(b, p.id)
		for _, word := range []string{"Faraway", "goes by its address at one.example.com", "app.example.com"} {
			if !strings.Contains(page, word) {
				d.Errorf("the consent page does not say %q: %s", word, page)
			}
		}
		if _, err := d.Clients.ByID(ctx, d.realm, p.id); err == nil {
			d.Error("it is a row before anybody agreed")
		}
		code := d.agree(b, p.id, "scope", "openid offline_access")
		c, err := d.Clients.ByID(ctx, d.realm, p.id)
		if err != nil || c.Source != client.FromDocument || c.FirstParty || c.Principal == "" || !c.Public() {
			d.Fatalf("%+v %v", c, err)
		}
		got := d.redeem(p.id, "", code)
		if got.Access == "" || got.Refresh == "" || d.claims(got.Access)["client_id"] != p.id || d.header(got.ID)["alg"] != "RS256" {
			d.Fatalf("%+v", got)
		}
		// Another visit asks for what is agreed to no more, and fetches nothing.
		if before := p.hits.Load(); !strings.Contains(d.visit(b, p.id, "scope", "openid"), "code=") || p.hits.Load() != before || before != 1 {
			d.Errorf("a second visit: %d fetches", p.hits.Load())
		}
		// When it is old it is read again, and what it says today counts.
		d.Clock.Advance(11 * time.Minute)
		b = d.signedIn(d.signIn(d.ada))
		p.document["redirect_uris"], p.document["client_name"] = []string{callback + "2"}, "Further"
		if got := d.visit(b, p.id, "scope", "openid"); strings.Contains(got, "code=") || p.hits.Load() != 2 {
			d.Errorf("an address that it names no more: %.200s", got)
		}
		if got := d.visit(b, p.id, "scope", "openid", "redirect_uri", callback+"2"); !strings.Contains(got, "code=") {
			d.Errorf("the address that it names: %.200s", got)
		}
		if c, err := d.Clients.ByID(ctx, d.realm, p.id); err != nil || c.Name != "Further" {
			d.Errorf("%+v %v", c, err)
		}
		// It vanishes: nothing new, but what was given lives until it ends.
		p.document = nil
		d.Clock.Advance(11 * time.Minute)
		b = d.signedIn(d.signIn(d.ada))
		if got := d.visit(b, p.id, "scope", "openid", "redirect_uri", callback+"2"); strings.Contains(got, "code=") || !strings.Contains(got, "read about this application") {
			d.Errorf("vanished: %.300s", got)
		}
		again := d.token(p.id, "", "grant_type", "refresh_token", "refresh_token", got.Refresh)
		if again.Access == "" {
			d.Errorf("a refresh: %+v", again)
		}
		// Where the realm takes such clients no more, it is nobody.
		d.set("client_id_metadata_document_denied_hosts", "one.example.com")
		d.refuse(d.token(p.id, "", "grant_type", "refresh_token", "refresh_token", again.Refresh), 401, "invalid_client")
	})
}

// Whatever is wrong with a document, it is worth nothing, nobody is sent
// anywhere, and it is read again the next time.
func TestUnusableDocuments(t *testing.T) {
	run(t, func(d *door) {
		d.set("client_id_metadata_documents", "on")
		b := d.signedIn(d.signIn(d.ada))
		json := func(body string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(body))
			}
		}
		for name, change := range map[string]func(p *published){
			"another's":           func(p *published) { p.document["client_id"] = strings.Replace(p.id, "one.", "two.", 1) },
			"nobody's":            func(p *published) { delete(p.document, "client_id") },
			"with a secret":       func(p *published) { p.document["client_secret"] = "x" },
			"with a secret's end": func(p *published) { p.document["client_secret_expires_at"] = 0 },
			"by secret":           func(p *published) { p.document["token_endpoint_auth_method"] = "client_secret_basic" },
			"by certificate":      func(p *published) { p.document["token_endpoint_auth_method"] = "tls_client_auth" },
			"keys but by nothing": func(p *published) { p.document["jwks"] = map[string]any{"keys": []any{}} },
			"leads nowhere":       func(p *published) { delete(p.document, "redirect_uris") },
			"leads into a script": func(p *published) { p.document["redirect_uris"] = []string{"javascript:alert(1)"} },
			"too large":           func(p *published) { p.document["software_id"] = strings.Repeat("x", 6000) },
			"not an object":       func(p *published) { p.serve = json("[]") },
			"a name twice":        func(p *published) { p.serve = json(`{"client_id":"` + p.id + `","client_id":"` + p.id + `"}`) },
			"a page": func(p *published) {
				p.serve = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }
			},
			"not there":      func(p *published) { p.document = nil },
			"somewhere else": func(p *published) { p.serve = http.RedirectHandler("/other.json", http.StatusFound).ServeHTTP },
			"a private key": func(p *published) {
				p.document["jwks"] = map[string]any{"keys": []any{map[string]any{"kty": "EC", "crv": "P-256", "d": "AA"}}}
				p.document["token_endpoint_auth_method"] = "private_key_jwt"
			},
			"an unsigned algorithm": func(p *published) { p.document["id_token_signed_response_alg"] = "none" },
		} {
			p := d.publish()
			change(p)
			got := d.visit(b, p.id)
			if strings.Contains(got, callback) || !strings.Contains(got, "read about this application") {
				d.Errorf("%s: %.300s", name, got)
			}
			if !slices.Contains([]string{"another's", "too large", "not there"}, name) {
				continue // fetches are limited
			}
			p = d.publish()
			if got := d.visit(b, p.id); !strings.Contains(got, "Faraway") {
				d.Errorf("%s, mended: %.300s", name, got)
			}
			d.Clock.Advance(11 * time.Minute)
			b = d.signedIn(d.signIn(d.ada))
		}
		p := d.publish()
		for _, id := range []string{"http://one.example.com/client.json", strings.Replace(p.id, "/client.json", "", 1), strings.Replace(p.id, "/client.json", "/", 1), p.id + "?x", p.id + "#x",
			strings.Replace(p.id, "/client.json", "/a/../client.json", 1), strings.Replace(p.id, "https://", "https://user@", 1), strings.ToUpper(p.id), p.id + strings.Repeat("x", 255),
			"https://127.0.0.1/client.json", "https://169.254.169.254/latest", "https://localhost:1/x"} {
			before := p.hits.Load()
			if got := d.visit(b, id); strings.Contains(got, callback) || p.hits.Load() != before {
				d.Errorf("%s: %.200s", id, got)
			}
		}
	})
}

// Documents come from the hosts that the realm lists, and lead where it lets
// clients lead. Beyond the bound nobody new is given anything, and who was
// deleted by an operator stays so.
func TestDocumentsAreHeldToTheRealm(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		d.set("client_id_metadata_documents", "on", "client_id_metadata_document_hosts", "*.example.org")
		p := d.publish("scope", "openid orders:write", "grant_types", []string{"authorization_code", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"})
		b := d.signedIn(d.signIn(d.ada))
		if got := d.visit(b, p.id); !strings.Contains(got, "know this application") || p.hits.Load() != 0 {
			d.Errorf("a host that is not listed: %.200s", got)
		}
		d.set("client_id_metadata_document_hosts", "one.example.com", "registration_redirect_hosts", "elsewhere.example.com")
		if got := d.visit(b, p.id, "scope", "openid"); !strings.Contains(got, "read about this application") {
			d.Errorf("leads where the realm lets nobody lead: %.200s", got)
		}
		d.set("registration_redirect_hosts", "*", "client_id_metadata_document_max", 1)
		if got := d.visit(b, p.id, "scope", "openid orders:write"); !strings.Contains(got, "invalid_scope") {
			d.Errorf("a scope that clients may not register for: %.200s", got)
		}
		d.agree(b, p.id, "scope", "openid")
		c, err := d.Clients.ByID(ctx, d.realm, p.id)
		if err != nil || !slices.Equal(c.GrantTypes, []string{"authorization_code"}) || !slices.Equal(c.Scopes, []string{"openid"}) {
			d.Fatalf("%+v %v", c, err)
		}
		second := strings.Replace(p.id, "client.json", "second.json", 1)
		p.document = about("client_id", second, "token_endpoint_auth_method", "none", "scope", nil)
		p.serve = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(p.document)
		}
		w := b.open(request(second, "scope", "openid"))
		if w = b.submit(w, "do", "allow"); w.Code != http.StatusServiceUnavailable {
			d.Errorf("one too many: %d", w.Code)
		}
		if err := d.Grants.DeleteClient(ctx, audit.System, d.realm, p.id, 0, nil); err != nil {
			d.Fatal(err)
		}
		p.serve, p.document = nil, about("client_id", p.id, "token_endpoint_auth_method", "none", "scope", nil)
		if got := d.visit(b, p.id, "scope", "openid"); strings.Contains(got, callback) || strings.Contains(got, "code=") {
			d.Errorf("deleted by an operator: %.200s", got)
		}
	})
}

// A client of a document authenticates with the keys that the document names,
// and what it was given by a key ends when the document names another.
func TestDocumentsWithKeys(t *testing.T) {
	run(t, func(d *door) {
		d.set("client_id_metadata_documents", "on")
		key, _ := jose.Generate("k1", jose.ES256)
		stranger, _ := jose.Generate("k1", jose.ES256)
		p := d.publish("token_endpoint_auth_method", nil, "jwks", json.RawMessage(jose.Set{key.Public()}.JSON()))
		b := d.signedIn(d.signIn(d.ada))
		redeem := func(k *jose.Key) reply {
			code := d.agree(b, p.id, "scope", "openid", "prompt", "consent")
			return d.redeem("", "", code, "client_assertion", d.assertion(k, p.id, nil), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		}
		if got := redeem(key); got.Access == "" {
			d.Fatalf("%+v", got)
		}
		d.refuse(redeem(stranger), 401, "invalid_client")
		code := d.agree(b, p.id, "scope", "openid", "prompt", "consent")
		d.refuse(d.redeem(p.id, "", code), 401, "invalid_client")
	})
}

// A stranger makes us fetch documents only so often.
func TestFetchesAreLimited(t *testing.T) {
	run(t, func(d *door) {
		d.set("client_id_metadata_documents", "on")
		p := d.publish()
		p.serve = http.NotFound
		refused := 0
		for i := range 60 {
			w := d.get("/oauth2/authorize?"+request(fmt.Sprint(p.id, i)).Encode(), "")
			if w.Code == http.StatusTooManyRequests {
				refused++
			}
		}
		if n := p.hits.Load(); n < 10 || n > 45 || refused != 60-int(n) {
			d.Errorf("%d fetches, %d refusals", n, refused)
		}
	})
}

// Where a request names an API, the person reads which: by the name that an
// operator gave it, and its address.
func TestConsentNamesTheResource(t *testing.T) {
	run(t, func(d *door) {
		d.app("theirs", func(s *client.Settings) { s.FirstParty = false })
		d.Client(d.T, d.realm, "tools", client.Settings{Name: "Tool server", Type: client.Service, ResourceServer: true, Identifiers: []string{"https://api.example.com"}})
		d.Client(d.T, d.realm, "liar", client.Settings{Name: "https://other.example.com", Type: client.Service, Scopes: []string{"x"}})
		b := d.signedIn(d.signIn(d.ada))
		page := d.visit(b, "theirs", "resource", "https://api.example.com")
		if !strings.Contains(page, "<strong>Tool server</strong>") || !strings.Contains(page, "https://api.example.com") {
			d.Errorf("the page does not name the tool server: %s", page)
		}
		if page := d.visit(b, "theirs", "resource", "https://other.example.com"); !strings.Contains(page, "https://other.example.com") || strings.Contains(page, "<strong>https://other") {
			d.Errorf("an API that nobody named: %s", page)
		}
		if page := d.visit(b, "theirs"); strings.Contains(page, `class="places"`) {
			d.Errorf("none was named: %s", page)
		}
	})
}

// Any node may show the pages of a client that another one has read, though
// nobody has agreed to anything and there is no row.
func TestAnyNodeShowsADocument(t *testing.T) {
	run(t, func(d *door) {
		if d.DB.Engine() != db.Postgres {
			return // one process
		}
		d.set("client_id_metadata_documents", "on")
		p := d.publish()
		cookie := d.signIn(d.ada)
		w := d.get("/oauth2/authorize?"+request(p.id).Encode(), cookie)
		cookies := []string{cookie}
		for _, c := range w.Result().Cookies() {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
		other := d.Env.Node(d.T)
		page := d.doAt(other.Handler, "GET", d.local(w), "", "Cookie", strings.Join(cookies, "; "))
		if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "Faraway") || p.hits.Load() != 2 {
			d.Errorf("%d after %d fetches: %s", page.Code, p.hits.Load(), page.Body)
		}
	})
}
