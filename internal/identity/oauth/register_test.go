package oauth_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// set changes settings of the realm.
func (d *door) set(pairs ...any) {
	d.Helper()
	settings := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		settings[pairs[i].(string)] = pairs[i+1]
	}
	if _, err := d.Realms.Update(context.Background(), audit.System, d.realm, 0, realm.Change{Settings: settings}); err != nil {
		d.Fatal(err)
	}
}

// doAt is do at a node of one's choice.
func (d *door) doAt(node http.Handler, method, path, body string, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, d.issuer()+path, strings.NewReader(body))
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	node.ServeHTTP(w, r)
	return w
}

// consentTo remembers that Ada agreed to let a client have scopes.
func (d *door) consentTo(id string, scopes ...string) {
	d.Helper()
	if err := d.Grants.Remember(context.Background(), audit.System, d.realm, d.ada.ID, id, scopes); err != nil {
		d.Fatal(err)
	}
}

// header decodes the header of a JWT.
func (d *door) header(jwt string) map[string]any {
	d.Helper()
	head, _, _ := strings.Cut(jwt, ".")
	return d.claims("." + head + ".")
}

// said is an answer of the registration endpoints.
type said map[string]any

func (d *door) register(method, path, token string, metadata any) (int, said) {
	d.Helper()
	body := ""
	if metadata != nil {
		b, err := json.Marshal(metadata)
		if err != nil {
			d.Fatal(err)
		}
		body = string(b)
	}
	head := []string{"Content-Type", "application/json"}
	if token != "" {
		head = append(head, "Authorization", "Bearer "+token)
	}
	w := d.do(method, "/oauth2/register"+path, body, head...)
	if w.Body.Len() == 0 {
		return w.Code, nil
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		d.Errorf("%s: may be stored: %v", method, w.Header())
	}
	var got said
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		d.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	return w.Code, got
}

func (g said) text(name string) string { s, _ := g[name].(string); return s }

// initial makes an initial access token.
func (d *door) initial(uses int64, life time.Duration) (id, token string) {
	d.Helper()
	err := d.DB.Update(context.Background(), d.realm, func(tx *db.Tx) error {
		t, text, err := d.Registered.CreateInitialTx(tx, audit.System, "test", uses, life)
		id, token = t.ID, string(text)
		return err
	})
	if err != nil {
		d.Fatal(err)
	}
	return id, token
}

// about is plain metadata, with changes; a nil value takes a member away.
func about(pairs ...any) said {
	m := said{"client_name": "Self", "redirect_uris": []string{callback}, "grant_types": []string{"authorization_code", "refresh_token"},
		"scope": "openid profile offline_access", "contacts": []string{"dev@app.example.com"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if m[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(m, pairs[i].(string))
		}
	}
	return m
}

// CL-06: registration is off until an operator opens it, and then wants a token
// that expires and counts its uses.
func TestRegistrationIsClosedAndThenByToken(t *testing.T) {
	run(t, func(d *door) {
		_, token := d.initial(2, time.Hour)
		discovered := func() string { return d.get("/.well-known/openid-configuration", "").Body.String() }
		for name, with := range map[string]string{"nothing": "", "a token": token} {
			if status, got := d.register("POST", "", with, about()); status != 403 || got.text("error") != "access_denied" {
				d.Errorf("off, with %s: %d %v", name, status, got)
			}
		}
		if strings.Contains(discovered(), "registration_endpoint") {
			d.Error("off, but announced")
		}
		d.set("registration", "initial_access_token")
		if !strings.Contains(discovered(), `"registration_endpoint":"`+d.issuer()+`/oauth2/register"`) {
			d.Error("on, but not announced")
		}
		other, dead := d.initial(1, time.Hour)
		if err := d.Registered.RevokeInitial(context.Background(), audit.System, d.realm, other); err != nil {
			d.Fatal(err)
		}
		_, brief := d.initial(1, time.Minute)
		d.Clock.Advance(time.Minute)
		for name, with := range map[string]string{"nothing": "", "junk": "x", "one of ours that is not": "cdi_" + token[4:len(token)-8] + "aaaaaaaa", "a revoked one": dead, "an expired one": brief} {
			w := d.do("POST", "/oauth2/register", `{"redirect_uris":["https://app.example.com/cb"]}`, "Content-Type", "application/json", "Authorization", "Bearer "+with)
			if w.Code != 401 || !strings.Contains(w.Body.String(), `"invalid_token"`) || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="invalid_token"`) {
				d.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		if status, got := d.register("POST", "", token, about("redirect_uris", []string{"javascript:alert(1)"})); status != 400 {
			d.Errorf("unsafe: %d %v", status, got)
		}
		// The refusal cost no use.
		for range 2 {
			if status, got := d.register("POST", "", token, about()); status != 201 {
				d.Errorf("with a token: %d %v", status, got)
			}
		}
		if status, got := d.register("POST", "", token, about()); status != 401 {
			d.Errorf("a third time: %d %v", status, got)
		}
	})
}

// CL-06: of many registrations at once with one initial access token, on
// several nodes, exactly as many succeed as it has uses.
func TestInitialAccessTokensAreCountedExactly(t *testing.T) {
	run(t, func(d *door) {
		d.set("registration", "initial_access_token")
		nodes := []http.Handler{d.Handler}
		if d.DB.Engine() == db.Postgres {
			nodes = append(nodes, d.Env.Node(d.T).Handler)
		}
		_, token := d.initial(5, time.Hour)
		body, _ := json.Marshal(about())
		var mu sync.Mutex
		counts := map[int]int{}
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				w := d.doAt(nodes[i%len(nodes)], "POST", "/oauth2/register", string(body), "Content-Type", "application/json", "Authorization", "Bearer "+token)
				mu.Lock()
				counts[w.Code]++
				mu.Unlock()
			})
		}
		all.Wait()
		if counts[201] != 5 || counts[201]+counts[401]+counts[503] != 24 {
			d.Errorf("answers: %v, want 201 five times", counts)
		}
		list, _, err := d.Registered.Initial(context.Background(), d.realm, "", 10)
		if err != nil || len(list) != 1 || list[0].Uses != 5 {
			d.Errorf("%+v %v", list, err)
		}
	})
}

// RFC 7591: what a client says is registered with the defaults of the standards,
// and what it cannot have is refused in their words.
func TestRegistrationAnswersWhatWasRegistered(t *testing.T) {
	run(t, func(d *door) {
		d.set("registration", "open")
		status, got := d.register("POST", "", "", about("software_id", "4NRB1", "software_version", "2.1", "unheard_of", "x", "client_name#de", "Selbst", "tos_uri", nil))
		if status != 201 {
			d.Fatalf("%d %v", status, got)
		}
		for name, want := range map[string]any{
			"client_name": "Self", "token_endpoint_auth_method": "client_secret_basic", "scope": "openid profile offline_access", "application_type": "web",
			"id_token_signed_response_alg": "RS256", "software_id": "4NRB1", "software_version": "2.1", "client_secret_expires_at": 0.0, "subject_type": "public",
			"registration_client_uri": d.issuer() + "/oauth2/register/" + got.text("client_id"), "unheard_of": nil,
		} {
			if got[name] != want {
				d.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		id, secret := got.text("client_id"), got.text("client_secret")
		c, err := d.Clients.ByID(context.Background(), d.realm, id)
		if err != nil || c.Source != client.FromRegistration || c.FirstParty || c.PKCEOptional {
			d.Fatalf("%+v %v", c, err)
		}
		// It works, and its ID tokens are what OpenID Connect leads to expect.
		cookie := d.signIn(d.ada)
		d.consentTo(id, "openid", "profile")
		tokens := d.redeem(id, secret, d.code(cookie, request(id, "scope", "openid profile")))
		if header := d.header(tokens.ID); header["alg"] != "RS256" {
			d.Errorf("ID token: %v", header)
		}
		public := func(pairs ...any) said {
			return about(append([]any{"token_endpoint_auth_method", "none"}, pairs...)...)
		}
		key, _ := jose.Generate("k", jose.ES256)
		for name, v := range map[string]struct {
			metadata said
			kind     client.Type
		}{
			"by default":             {about("application_type", nil), client.Web},
			"in the browser":         {public(), client.SPA},
			"on a device":            {public("redirect_uris", []string{"http://127.0.0.1/cb"}), client.Native},
			"says it is native":      {public("application_type", "native", "redirect_uris", []string{"com.example.app:/cb"}), client.Native},
			"with its keys":          {about("token_endpoint_auth_method", "private_key_jwt", "jwks", json.RawMessage(jose.Set{key.Public()}.JSON())), client.Web},
			"nothing but an address": {said{"redirect_uris": []string{callback}}, client.Web},
		} {
			status, got := d.register("POST", "", "", v.metadata)
			if status != 201 {
				d.Errorf("%s: %d %v", name, status, got)
				continue
			}
			if c, err := d.Clients.ByID(context.Background(), d.realm, got.text("client_id")); err != nil || c.Type != v.kind {
				d.Errorf("%s: %v %v", name, c, err)
			}
		}
		for name, v := range map[string]struct {
			metadata any
			code     string
		}{
			"a script":                  {about("redirect_uris", []string{"javascript:alert(1)"}), "invalid_redirect_uri"},
			"plain http":                {about("redirect_uris", []string{"http://app.example.com/cb"}), "invalid_redirect_uri"},
			"a fragment":                {about("redirect_uris", []string{callback + "#x"}), "invalid_redirect_uri"},
			"not a list":                {about("redirect_uris", callback), "invalid_redirect_uri"},
			"no address":                {about("redirect_uris", nil), "invalid_redirect_uri"},
			"an unsafe way out":         {about("post_logout_redirect_uris", []string{"data:text/html,x"}), "invalid_redirect_uri"},
			"implicit":                  {about("response_types", []string{"token"}), "invalid_client_metadata"},
			"types that do not fit":     {about("response_types", []string{}), "invalid_client_metadata"},
			"a grant it may not have":   {about("grant_types", []string{"client_credentials"}), "invalid_client_metadata"},
			"grants by default":         {about("grant_types", []string{}, "redirect_uris", nil), "invalid_redirect_uri"},
			"password":                  {about("grant_types", []string{"password"}), "invalid_client_metadata"},
			"a method it may not have":  {about("token_endpoint_auth_method", "tls_client_auth"), "invalid_client_metadata"},
			"administration":            {about("scope", "openid cardea:admin"), "invalid_client_metadata"},
			"a scope it may not have":   {about("scope", "orders:write"), "invalid_client_metadata"},
			"unsigned ID tokens":        {about("id_token_signed_response_alg", "none"), "invalid_client_metadata"},
			"encryption":                {about("id_token_encrypted_response_alg", "RSA-OAEP"), "invalid_client_metadata"},
			"an id of its choice":       {about("client_id", "bank"), "invalid_client_metadata"},
			"the server's part":         {about("client_id_issued_at", 1), "invalid_client_metadata"},
			"keys and where they are":   {about("token_endpoint_auth_method", "private_key_jwt", "jwks_uri", "https://app.example.com/jwks", "jwks", json.RawMessage(jose.Set{key.Public()}.JSON())), "invalid_client_metadata"},
			"a number for a name":       {about("client_name", 7), "invalid_client_metadata"},
			"a name that deceives":      {about("client_name", "Bank\u202e"), "invalid_client_metadata"},
			"a kind that there is not":  {about("application_type", "toaster"), "invalid_client_metadata"},
			"an unsigned statement":     {about("software_statement", "e30.e30."), "invalid_software_statement"},
			"a list instead of members": {[]string{"x"}, "invalid_client_metadata"},
		} {
			status, got := d.register("POST", "", "", v.metadata)
			if status != 400 || got.text("error") != v.code || got["client_id"] != nil {
				d.Errorf("%s: %d %v, want %s", name, status, got, v.code)
			}
		}
	})
}

// Nobody answers for a client that registered itself: the person is asked, and
// it cannot be made first-party.
func TestRegisteredClientsAreStrangers(t *testing.T) {
	run(t, func(d *door) {
		d.set("registration", "open")
		status, got := d.register("POST", "", "", about("first_party", true, "resource_server", true, "pkce_optional", true, "resources", []string{"https://api.example.com"},
			"token_exchange_delegation", true, "token_exchange_impersonation", true, "introspect_any", true))
		if status != 201 {
			d.Fatalf("%d %v", status, got)
		}
		c, err := d.Clients.ByID(context.Background(), d.realm, got.text("client_id"))
		if err != nil || c.FirstParty || c.ResourceServer || c.PKCEOptional || len(c.Resources) != 0 || c.ExchangeDelegation || c.ExchangeImpersonation || c.IntrospectAny {
			d.Fatalf("%+v %v", c, err)
		}
		cookie := d.signIn(d.ada)
		if got := d.authorize(cookie, request(c.ID, "prompt", "none")); got.Get("error") != "consent_required" {
			d.Errorf("unasked: %v", got)
		}
		s := c.Settings
		s.FirstParty = true
		if _, err := d.Clients.Update(context.Background(), audit.System, d.realm, c.ID, 0, s); err == nil {
			d.Error("it was made first-party")
		}
	})
}

// RFC 7592, CL-06: a client manages itself with its own token and no other. Each
// update is held to the policy of that day, and replaces the token.
func TestAClientManagesItsRegistration(t *testing.T) {
	run(t, func(d *door) {
		d.set("registration", "open")
		_, mine := d.register("POST", "", "", about())
		_, other := d.register("POST", "", "", about("client_name", "Other"))
		id, token, secret := mine.text("client_id"), mine.text("registration_access_token"), mine.text("client_secret")
		at := "/" + id
		status, got := d.register("GET", at, token, nil)
		if status != 200 || got.text("client_id") != id || got.text("registration_access_token") != token || got["client_secret"] != nil {
			d.Fatalf("%d %v", status, got)
		}
		for name, with := range map[string]string{"nothing": "", "another client's": other.text("registration_access_token"), "its secret": secret, "junk": "cdm_x"} {
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				if status, got := d.register(method, at, with, about("client_id", id)); status != 401 || got.text("error") != "invalid_token" {
					d.Errorf("%s with %s: %d %v", method, name, status, got)
				}
			}
		}
		if status, _ := d.register("GET", "/"+strings.Replace(id, "cli_0", "cli_1", 1), token, nil); status != 401 {
			d.Errorf("a client that there is not: %d", status)
		}
		for name, v := range map[string]struct {
			metadata said
			code     string
		}{
			"without its id":      {about(), "invalid_client_metadata"},
			"with another's id":   {about("client_id", other["client_id"]), "invalid_client_metadata"},
			"a secret of its own": {about("client_id", id, "client_secret", "chosen"), "invalid_client_metadata"},
			"the token":           {about("client_id", id, "registration_access_token", token), "invalid_client_metadata"},
			"a script":            {about("client_id", id, "redirect_uris", []string{"javascript:x"}), "invalid_redirect_uri"},
			"administration":      {about("client_id", id, "scope", "openid cardea:admin"), "invalid_client_metadata"},
			"a wider grant":       {about("client_id", id, "grant_types", []string{"authorization_code", "client_credentials"}), "invalid_client_metadata"},
		} {
			if status, got := d.register("PUT", at, token, v.metadata); status != 400 || got.text("error") != v.code {
				d.Errorf("%s: %d %v", name, status, got)
			}
		}
		status, got = d.register("PUT", at, token, about("client_id", id, "client_secret", secret, "client_name", "Renamed", "contacts", nil))
		if status != 200 || got.text("client_name") != "Renamed" || got["contacts"] != nil || got["client_secret"] != nil {
			d.Fatalf("%d %v", status, got)
		}
		next := got.text("registration_access_token")
		if next == "" || next == token {
			d.Fatalf("the token was not replaced: %v", got)
		}
		if status, _ := d.register("GET", at, token, nil); status != 401 {
			d.Errorf("the old token: %d", status)
		}
		// What the policy no longer allows does not pass another update, though
		// the client has it.
		d.set("registration_redirect_hosts", "*.example.org")
		if status, got := d.register("PUT", at, next, about("client_id", id)); status != 400 || got.text("error") != "invalid_redirect_uri" {
			d.Errorf("a host that is not allowed any more: %d %v", status, got)
		}
		d.set("registration_redirect_hosts", "*")
		// Another way to authenticate brings its credential and ends the old one.
		status, got = d.register("PUT", at, next, about("client_id", id, "token_endpoint_auth_method", "none"))
		if status != 200 || got["client_secret"] != nil {
			d.Fatalf("%d %v", status, got)
		}
		next = got.text("registration_access_token")
		d.refuse(d.token(id, secret, "grant_type", "authorization_code", "code", "x"), 401, "invalid_client")
		status, got = d.register("PUT", at, next, about("client_id", id, "token_endpoint_auth_method", "client_secret_post"))
		if status != 200 || got.text("client_secret") == "" {
			d.Fatalf("%d %v", status, got)
		}
		next = got.text("registration_access_token")
		d.set("registration", "off")
		if status, got := d.register("GET", at, next, nil); status != 403 {
			d.Errorf("while registration is off: %d %v", status, got)
		}
		d.set("registration", "initial_access_token")
		if status, got := d.register("DELETE", at, next, nil); status != 204 {
			d.Fatalf("%d %v", status, got)
		}
		if status, _ := d.register("DELETE", at, next, nil); status != 401 {
			d.Errorf("twice: %d", status)
		}
		if w := d.get("/oauth2/authorize?"+request(id).Encode(), ""); w.Code == 303 || !strings.Contains(w.Body.String(), "application") {
			d.Errorf("a deleted client: %d", w.Code)
		}
		var seen []string
		for _, e := range d.Events(d.T, d.realm) {
			if strings.HasPrefix(e.Action, "registration.") && e.Target == id && e.Action != "registration.refuse" {
				seen = append(seen, e.Action)
			}
		}
		slices.Sort(seen)
		if want := []string{"registration.create", "registration.delete", "registration.update", "registration.update", "registration.update"}; !slices.Equal(seen, want) {
			d.Errorf("events %v, want %v", seen, want)
		}
	})
}

// One update wins of several with the same token, on several nodes.
func TestARegistrationTokenIsReplacedOnce(t *testing.T) {
	run(t, func(d *door) {
		d.set("registration", "open")
		_, mine := d.register("POST", "", "", about())
		id, token := mine.text("client_id"), mine.text("registration_access_token")
		nodes := []http.Handler{d.Handler}
		if d.DB.Engine() == db.Postgres {
			nodes = append(nodes, d.Env.Node(d.T).Handler)
		}
		body, _ := json.Marshal(about("client_id", id))
		var mu sync.Mutex
		counts := map[int]int{}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				w := d.doAt(nodes[i%len(nodes)], "PUT", "/oauth2/register/"+id, string(body), "Content-Type", "application/json", "Authorization", "Bearer "+token)
				mu.Lock()
				counts[w.Code]++
				mu.Unlock()
			})
		}
		all.Wait()
		if counts[200] != 1 {
			d.Errorf("answers: %v, want 200 once", counts)
		}
	})
}

// RFC 7591, section 2.3: only a registered issuer vouches, and what it says
// counts more than what the client says.
func TestSoftwareStatements(t *testing.T) {
	run(t, func(d *door) {
		issuer, _ := jose.Generate("s1", jose.ES256)
		stranger, _ := jose.Generate("s1", jose.ES256)
		const name = "https://stores.example.com"
		trusted, _ := json.Marshal(map[string]json.RawMessage{name: jose.Set{issuer.Public()}.JSON()})
		d.set("registration", "open", "software_statement_issuers", string(trusted), "registration_software_statement", "required")
		sign := func(key *jose.Key, claims said) string {
			d.Helper()
			all := said{"iss": name, "iat": d.Clock.Now().Unix(), "software_id": "vouched", "redirect_uris": []string{"https://vouched.example.com/cb"}, "client_name": "Vouched"}
			maps.Copy(all, claims)
			b, _ := json.Marshal(all)
			text, err := jose.Sign(key, "JWT", b)
			if err != nil {
				d.Fatal(err)
			}
			return text
		}
		good := sign(issuer, nil)
		status, got := d.register("POST", "", "", about("software_statement", good, "software_id", "said"))
		if status != 201 || got.text("client_name") != "Vouched" || got.text("software_id") != "vouched" || got.text("software_statement") != good {
			d.Fatalf("%d %v", status, got)
		}
		c, err := d.Clients.ByID(context.Background(), d.realm, got.text("client_id"))
		if err != nil || !slices.Equal(c.RedirectURIs, []string{"https://vouched.example.com/cb"}) {
			d.Errorf("%+v %v", c, err)
		}
		past := d.Clock.Now().Add(-time.Hour).Unix()
		for name, v := range map[string]struct{ statement, code string }{
			"none":                       {"", "invalid_software_statement"},
			"by another key":             {sign(stranger, nil), "invalid_software_statement"},
			"by somebody we do not know": {sign(issuer, said{"iss": "https://evil.example.com"}), "unapproved_software_statement"},
			"expired":                    {sign(issuer, said{"exp": past}), "invalid_software_statement"},
			"for more than we allow":     {sign(issuer, said{"scope": "cardea:admin"}), "invalid_client_metadata"},
			"an unsafe address":          {sign(issuer, said{"redirect_uris": []string{"javascript:x"}}), "invalid_redirect_uri"},
			"too large":                  {sign(issuer, said{"x": strings.Repeat("x", 9000)}), "invalid_software_statement"},
		} {
			with := about("software_statement", v.statement)
			if v.statement == "" {
				with = about()
			}
			if status, got := d.register("POST", "", "", with); status != 400 || got.text("error") != v.code {
				d.Errorf("%s: %d %v, want %s", name, status, got, v.code)
			}
		}
		// An update needs it too.
		if status, again := d.register("PUT", "/"+got.text("client_id"), got.text("registration_access_token"), about("client_id", got["client_id"])); status != 400 {
			d.Errorf("an update without it: %d %v", status, again)
		}
	})
}

// There are at most so many, and those whom nobody gives anything go.
func TestUnusedRegistrationsGo(t *testing.T) {
	run(t, func(d *door) {
		d.set("registration", "open", "registration_max_clients", 2, "registration_unused", "24h")
		_, idle := d.register("POST", "", "", about())
		_, used := d.register("POST", "", "", about())
		if status, got := d.register("POST", "", "", about()); status != 429 || got.text("error") != "temporarily_unavailable" {
			d.Errorf("a third: %d %v", status, got)
		}
		d.consentTo(used.text("client_id"), "openid")
		sweep := func() {
			d.Helper()
			rl, err := d.Realms.ByName(context.Background(), d.realm)
			if err != nil {
				d.Fatal(err)
			}
			if _, err := d.Registered.Sweep(context.Background(), rl); err != nil {
				d.Fatal(err)
			}
		}
		there := func(g said) bool {
			_, err := d.Clients.ByID(context.Background(), d.realm, g.text("client_id"))
			return err == nil
		}
		if sweep(); !there(idle) || !there(used) {
			d.Error("a new registration is gone")
		}
		d.Clock.Advance(25 * time.Hour)
		if sweep(); there(idle) || !there(used) {
			d.Errorf("unused is there: %v, used is there: %v", there(idle), there(used))
		}
		if status, got := d.register("POST", "", "", about()); status != 201 {
			d.Errorf("there is room again: %d %v", status, got)
		}
	})
}

// An address registers, and guesses tokens, only so often.
func TestRegistrationsAreLimitedByAddress(t *testing.T) {
	run(t, func(d *door) {
		d.set("registration", "initial_access_token")
		counts := map[int]int{}
		for range 90 {
			w := d.do("POST", "/oauth2/register", `{}`, "Content-Type", "application/json")
			counts[w.Code]++
		}
		if counts[401] < 50 || counts[429] < 10 || counts[401]+counts[429] != 90 {
			d.Errorf("answers: %v", counts)
		}
	})
}
