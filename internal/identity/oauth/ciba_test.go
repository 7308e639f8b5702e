package oauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
)

// backchannel is an answer of the back-channel authentication endpoint.
type backchannel struct {
	Status   int
	ID       string `json:"auth_req_id"`
	Expires  int    `json:"expires_in"`
	Interval int    `json:"interval"`
	Error    string `json:"error"`
}

// bank registers a client that asks people by the back channel.
func (d *door) bank(id string, change ...func(*client.Settings)) string {
	d.Helper()
	return d.app(id, append([]func(*client.Settings){func(s *client.Settings) {
		s.Name, s.FirstParty, s.RedirectURIs, s.PostLogoutRedirectURIs = "Call centre", false, nil, nil
		s.GrantTypes = []string{client.CIBA, client.RefreshToken}
	}}, change...)...)
}

// call asks for ada; pairs change the request.
func (d *door) call(id, secret string, pairs ...string) backchannel {
	d.Helper()
	v := values(url.Values{"scope": {"openid email"}, "login_hint": {"ada@example.com"}}, pairs...)
	var head []string
	if secret != "" {
		head = []string{"Authorization", "Basic " + basicOf(id, secret)}
	} else if id != "" {
		v.Set("client_id", id)
	}
	w := d.do("POST", "/oauth2/bc-authorize", v.Encode(), head...)
	got := backchannel{Status: w.Code}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Header().Get("Cache-Control") != "no-store" {
		d.Fatalf("%d %v %q: %v", w.Code, w.Header(), w.Body, err)
	}
	return got
}

func (d *door) fetchCIBA(id, secret, request string, pairs ...string) reply {
	d.Helper()
	return d.token(id, secret, append(pairs, "grant_type", client.CIBA, "auth_req_id", request)...)
}

// approvals is the page of whoever is signed in.
func (b *browser) approvals() *httptest.ResponseRecorder {
	b.Helper()
	return b.send("GET", "/account/approvals", "")
}

// TestSomebodyIsAskedByTheBackChannel: CIBA in poll mode, from the request to
// tokens, with a sign-in between.
func TestSomebodyIsAskedByTheBackChannel(t *testing.T) {
	run(t, func(d *door) {
		secret := d.bank("bank")
		got := d.call("bank", secret, "scope", "openid email offline_access", "binding_message", "W4-SCT", "resource", "https://api.example.com")
		if got.Status != 200 || got.Expires != 300 || got.Interval != 5 || len(got.ID) < 43 {
			d.Fatalf("%+v", got)
		}
		d.refuse(d.fetchCIBA("bank", secret, got.ID), 400, "authorization_pending")
		d.refuse(d.fetchCIBA("bank", secret, got.ID), 400, "slow_down")

		b := d.browser()
		page := b.password(b.approvals())
		for _, words := range []string{"Call centre", "W4-SCT", "See your email address", "Stay connected", "just now", "Ada Example"} {
			if !strings.Contains(page.Body.String(), words) {
				d.Errorf("the page does not say %q", words)
			}
		}
		if done := b.submit(page, "do", "allow"); !strings.Contains(done.Body.String(), "You have allowed it") || strings.Contains(done.Body.String(), "W4-SCT") {
			d.Fatalf("%d %s", done.Code, done.Body)
		}
		tokens := d.fetchCIBA("bank", secret, got.ID)
		if tokens.Scope != "email offline_access openid" || tokens.Refresh == "" {
			d.Fatalf("%+v", tokens)
		}
		if id := d.claims(tokens.ID); id["sub"] != d.ada.ID || id["aud"] != "bank" || id["acr"] != "aal1" {
			d.Errorf("ID token: %v", id)
		}
		if !d.alive(tokens.Access) {
			d.Error("the access token is dead")
		}
		d.refuse(d.fetchCIBA("bank", secret, got.ID), 400, "invalid_grant")
		if d.alive(tokens.Access) {
			d.Error("the access token of the first use is alive after a second one")
		}

		// The ID token names her the next time.
		again := d.call("bank", secret, "login_hint", "", "id_token_hint", tokens.ID)
		if again.Status != 200 {
			d.Fatalf("by id_token_hint: %+v", again)
		}
		if done := b.submit(b.approvals(), "do", "deny"); !strings.Contains(done.Body.String(), "You have refused it") {
			d.Fatalf("%d %s", done.Code, done.Body)
		}
		d.refuse(d.fetchCIBA("bank", secret, again.ID), 400, "access_denied")
	})
}

// TestBackchannelRequestsAreRefused: each with the word of CIBA, section 13.
func TestBackchannelRequestsAreRefused(t *testing.T) {
	run(t, func(d *door) {
		secret, other := d.bank("bank"), d.bank("other")
		cookie := d.signIn(d.ada)
		appSecret := d.app("app")
		hint := d.tokens(cookie, "app", appSecret).ID
		pair := d.bank("pair", func(s *client.Settings) { s.SubjectType, s.Sector = client.Pairwise, "pair.example.com" })
		for _, c := range []struct {
			name   string
			got    backchannel
			status int
			code   string
		}{
			{"nobody", d.call("", ""), 401, "invalid_client"},
			{"without a secret", d.call("bank", ""), 401, "invalid_client"},
			{"a wrong secret", d.call("bank", other), 401, "invalid_client"},
			{"a client that may not", d.call("app", appSecret), 400, "unauthorized_client"},
			{"no scope", d.call("bank", secret, "scope", ""), 400, "invalid_scope"},
			{"without openid", d.call("bank", secret, "scope", "email"), 400, "invalid_scope"},
			{"a foreign scope", d.call("bank", secret, "scope", "openid cardea:admin"), 400, "invalid_scope"},
			{"a foreign resource", d.call("bank", secret, "resource", "https://unknown.example.com"), 400, "invalid_target"},
			{"no hint", d.call("bank", secret, "login_hint", ""), 400, "invalid_request"},
			{"two hints", d.call("bank", secret, "id_token_hint", hint), 400, "invalid_request"},
			{"a token as hint", d.call("bank", secret, "login_hint", "", "login_hint_token", "x"), 400, "invalid_request"},
			{"another client's hint", d.call("bank", secret, "login_hint", "", "id_token_hint", hint), 400, "invalid_request"},
			{"no hint at all", d.call("bank", secret, "login_hint", "", "id_token_hint", "x.y.z"), 400, "invalid_request"},
			{"a long hint", d.call("bank", secret, "login_hint", strings.Repeat("x", 257)), 400, "invalid_request"},
			{"a long message", d.call("bank", secret, "binding_message", strings.Repeat("x", 101)), 400, "invalid_binding_message"},
			{"two lines", d.call("bank", secret, "binding_message", "a\nb"), 400, "invalid_binding_message"},
			{"text turned around", d.call("bank", secret, "binding_message", "a\u202eb"), 400, "invalid_binding_message"},
			{"text that hides", d.call("bank", secret, "binding_message", "a\u200bb"), 400, "invalid_binding_message"},
			{"a blank before", d.call("bank", secret, "binding_message", " a"), 400, "invalid_binding_message"},
			{"a user code", d.call("bank", secret, "user_code", "1234"), 400, "invalid_request"},
			{"a signed request", d.call("bank", secret, "request", "a.b.c"), 400, "invalid_request"},
			{"no time", d.call("bank", secret, "requested_expiry", "0"), 400, "invalid_request"},
			{"no number", d.call("bank", secret, "requested_expiry", "-1"), 400, "invalid_request"},
			{"too many acr", d.call("bank", secret, "acr_values", strings.Repeat("a ", 17)), 400, "invalid_request"},
		} {
			if c.got.Status != c.status || c.got.Error != c.code || c.got.ID != "" {
				d.Errorf("%s: %+v, want %d %s", c.name, c.got, c.status, c.code)
			}
		}
		_ = pair
		if w := d.do("POST", "/oauth2/bc-authorize?scope=openid", "login_hint=x", "Authorization", "Basic "+basicOf("bank", secret)); w.Code != 400 {
			d.Errorf("in the address: %d", w.Code)
		}
		for text, want := range map[string]int{"60": 60, "100000": 1800} {
			if got := d.call("bank", secret, "requested_expiry", text); got.Expires != want {
				d.Errorf("requested_expiry %s: %+v", text, got)
			}
		}

		mine := d.call("bank", secret)
		d.refuse(d.fetchCIBA("bank", secret, ""), 400, "invalid_request")
		d.refuse(d.fetchCIBA("bank", secret, "x"), 400, "invalid_grant")
		d.refuse(d.fetchCIBA("bank", secret, flip(mine.ID)), 400, "invalid_grant")
		d.refuse(d.fetchCIBA("other", other, mine.ID), 400, "invalid_grant")
		d.refuse(d.fetchCIBA("app", appSecret, mine.ID), 400, "unauthorized_client")
		d.refuse(d.token("bank", secret, "grant_type", client.CIBA, "device_code", mine.ID), 400, "invalid_request")
		d.Clock.Advance(5 * time.Minute)
		d.refuse(d.fetchCIBA("bank", secret, mine.ID), 400, "expired_token")
	})
}

// TestTheBackChannelDoesNotTellWhoExists: a hint that is nobody's gets the
// answer of one that is somebody's, and limits are the same for both.
func TestTheBackChannelDoesNotTellWhoExists(t *testing.T) {
	run(t, func(d *door) {
		secret := d.bank("bank")
		gone := d.Person(d.T, d.realm, "gone@example.com")
		if err := d.Grants.SuspendPrincipal(context.Background(), audit.System, d.realm, gone.ID, "test", nil); err != nil {
			d.Fatal(err)
		}
		for _, login := range []string{"ada@example.com", "nobody@example.com", "gone@example.com", " NOBODY@example.com"} {
			d.Clock.Advance(time.Hour)
			got := d.call("bank", secret, "login_hint", login)
			if got.Status != 200 || got.Expires != 300 || got.ID == "" {
				d.Errorf("%q: %+v", login, got)
			}
			d.refuse(d.fetchCIBA("bank", secret, got.ID), 400, "authorization_pending")
			for range 4 {
				if again := d.call("bank", secret, "login_hint", login); again.Status != 200 {
					d.Errorf("%q: %+v", login, again)
				}
			}
			if again := d.call("bank", secret, "login_hint", login); again.Status != http.StatusTooManyRequests {
				d.Errorf("%q for the sixth time at once: %+v", login, again)
			}
		}
	})
}

// TestOnlyWhoIsAskedDecides: nobody else sees a request or can answer it, and no
// form serves another request, account or browser.
func TestOnlyWhoIsAskedDecides(t *testing.T) {
	run(t, func(d *door) {
		secret := d.bank("bank")
		first, second := d.call("bank", secret, "binding_message", "first"), d.call("bank", secret, "binding_message", "second")
		ada := d.signedIn(d.signIn(d.ada))
		grace := d.signedIn(d.signIn(d.Person(d.T, d.realm, "grace@example.com")))
		if page := grace.approvals(); page.Code != 200 || strings.Contains(page.Body.String(), "first") {
			d.Errorf("somebody else sees it: %d %s", page.Code, page.Body)
		}
		page := ada.approvals()
		approval, form := hiddenOf(page, "approval"), hiddenOf(page, "form")
		if approval == "" || form == "" {
			d.Fatalf("%s", page.Body)
		}
		for name, w := range map[string]*httptest.ResponseRecorder{
			"grace with ada's form": grace.send("POST", "/account/approvals", url.Values{"approval": {approval}, "form": {form}, "do": {"allow"}}.Encode()),
			"without a form":        ada.send("POST", "/account/approvals", url.Values{"approval": {approval}, "do": {"allow"}}.Encode()),
			"the form of another":   ada.send("POST", "/account/approvals", url.Values{"approval": {"apr_00000000000000000000000000"}, "form": {form}, "do": {"allow"}}.Encode()),
			"from another site":     d.do("POST", "/account/approvals", url.Values{"approval": {approval}, "form": {form}, "do": {"allow"}}.Encode(), "Cookie", ada.jar(), "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"),
			"signed out":            d.do("POST", "/account/approvals", url.Values{"approval": {approval}, "form": {form}, "do": {"allow"}}.Encode(), "Sec-Fetch-Site", "same-origin"),
		} {
			if w.Code == http.StatusOK && strings.Contains(w.Body.String(), "You have allowed it") {
				d.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		d.refuse(d.fetchCIBA("bank", secret, first.ID), 400, "authorization_pending")
		d.refuse(d.fetchCIBA("bank", secret, second.ID), 400, "authorization_pending")
		if done := ada.submit(page, "do", "allow"); !strings.Contains(done.Body.String(), "You have allowed it") {
			d.Fatalf("%d %s", done.Code, done.Body)
		}
		if again := ada.send("POST", "/account/approvals", url.Values{"approval": {approval}, "form": {form}, "do": {"deny"}}.Encode()); again.Code != http.StatusConflict {
			d.Errorf("decided twice: %d %s", again.Code, again.Body)
		}
		good := 0
		for _, id := range []string{first.ID, second.ID} {
			if d.fetchCIBA("bank", secret, id).Access != "" {
				good++
			}
		}
		if good != 1 {
			d.Errorf("%d requests were allowed, want 1", good)
		}
	})
}

// TestMoreThanAPassword: whoever is asked for more assurance than the session
// has signs in anew, and the ID token says what was reached.
func TestMoreThanAPassword(t *testing.T) {
	run(t, func(d *door) {
		secret := d.bank("bank")
		b := d.signedIn(d.signIn(d.ada))
		d.Clock.Advance(time.Minute)
		plain := d.call("bank", secret, "acr_values", "aal3 aal1")
		if done := b.submit(b.approvals(), "do", "allow"); !strings.Contains(done.Body.String(), "You have allowed it") {
			d.Fatalf("what the session reaches: %d %s", done.Code, done.Body)
		}
		if tokens := d.fetchCIBA("bank", secret, plain.ID); tokens.Access == "" {
			d.Errorf("%+v", tokens)
		}
		got := d.call("bank", secret, "acr_values", "aal2")
		page := b.submit(b.approvals(), "do", "allow")
		if !strings.Contains(page.Body.String(), `name="password"`) {
			d.Fatalf("not asked to sign in: %d %s", page.Code, page.Body)
		}
		d.refuse(d.fetchCIBA("bank", secret, got.ID), 400, "authorization_pending")
		page = b.password(page)
		if !strings.Contains(page.Body.String(), "/signin/enrol") {
			d.Fatalf("not led to add a factor: %d %s", page.Code, page.Body)
		}
		if done := b.submit(b.submit(page, "do", "later"), "do", "allow"); !strings.Contains(done.Body.String(), "You have allowed it") {
			d.Fatalf("%d %s", done.Code, done.Body)
		}
		tokens := d.fetchCIBA("bank", secret, got.ID)
		if id := d.claims(tokens.ID); id["acr"] != "aal1" || id["auth_time"] != float64(d.Clock.Now().Unix()) {
			d.Errorf("ID token: %v", id)
		}
	})
}

// TestPeopleAreToldWhereItCounts: RFC 8707. Whoever decides about a request from
// elsewhere sees the resources that the client named, as on the consent page.
func TestPeopleAreToldWhereItCounts(t *testing.T) {
	run(t, func(d *door) {
		d.app("api", func(s *client.Settings) {
			s.Name, s.Type, s.ResourceServer, s.Identifiers = "Order book", client.Service, true, []string{"https://api.example.com"}
			s.GrantTypes, s.RedirectURIs, s.PostLogoutRedirectURIs = []string{client.ClientCredentials}, nil, nil
		})
		secret := d.bank("bank")
		d.tv("tvset")
		b := d.signedIn(d.signIn(d.ada))
		said := func(what string, w *httptest.ResponseRecorder, want bool) {
			d.Helper()
			for _, words := range []string{"It will be able to do this at", "Order book", "https://api.example.com"} {
				if strings.Contains(w.Body.String(), words) != want {
					d.Errorf("%s: says %q = %v", what, words, !want)
				}
			}
		}
		d.call("bank", secret)
		said("a request that names none", b.approvals(), false)
		d.call("bank", secret, "resource", "https://api.example.com")
		said("a request by the back channel", b.approvals(), true)
		w := b.typed(d.device("tvset", "resource", "https://api.example.com").UserCode)
		said("a device's request", w, true)
	})
}

// TestATrustedIssuerSaysWhoIsAsked: login_hint_token (CIBA, section 7.1). The
// word of an issuer that is trusted for it says whom a client wants to ask, and
// nothing else of that issuer's does.
func TestATrustedIssuerSaysWhoIsAsked(t *testing.T) {
	run(t, func(d *door) {
		secret := d.bank("bank")
		d.bank("other")
		l := d.trusts([]trust.Use{trust.LoginHint})
		l.link("s-1", d.ada.ID)
		bob := d.Person(d.T, d.realm, "bob@example.com")
		l.link("s-2", bob.ID)
		l.link("s-3", d.serviceOf("bank"))
		l.link("s-4", bob.ID)
		ask := func(text string) backchannel {
			return d.call("bank", secret, "login_hint", "", "login_hint_token", text)
		}
		got := ask(l.says("login-hint+jwt", "s-1", "client_id", "bank"))
		if got.Status != 200 {
			d.Fatalf("%+v", got)
		}
		b := d.signedIn(d.signIn(d.ada))
		b.submit(b.approvals(), "do", "allow")
		tokens := d.fetchCIBA("bank", secret, got.ID)
		if tokens.Access == "" || d.claims(tokens.ID)["sub"] != d.ada.ID {
			d.Errorf("%+v", tokens)
		}
		if got := ask(l.says("login-hint+jwt", "s-1")); got.Status != 200 {
			d.Errorf("for any client: %+v", got)
		}
		if err := d.Grants.SuspendPrincipal(context.Background(), audit.System, d.realm, bob.ID, "test", nil); err != nil {
			d.Fatal(err)
		}
		stranger, _ := jose.Generate("k1", jose.ES256)
		now := d.Clock.Now()
		for name, c := range map[string]struct {
			got  backchannel
			code string
		}{
			"nobody we know":         {ask(l.says("login-hint+jwt", "s-9")), "unknown_user_id"},
			"somebody suspended":     {ask(l.says("login-hint+jwt", "s-2")), "unknown_user_id"},
			"a service":              {ask(l.says("login-hint+jwt", "s-3")), "unknown_user_id"},
			"expired":                {ask(l.says("login-hint+jwt", "s-1", "iat", now.Add(-10*time.Minute).Unix(), "exp", now.Add(-5*time.Minute).Unix())), "expired_login_hint_token"},
			"without an end":         {ask(l.says("login-hint+jwt", "s-1", "exp", nil)), "invalid_request"},
			"without a beginning":    {ask(l.says("login-hint+jwt", "s-1", "iat", nil)), "invalid_request"},
			"of the wrong type":      {ask(l.says("JWT", "s-1")), "invalid_request"},
			"for another client":     {ask(l.says("login-hint+jwt", "s-1", "client_id", "other")), "invalid_request"},
			"for another issuer":     {ask(l.says("login-hint+jwt", "s-1", "aud", "https://other.example.com")), "invalid_request"},
			"for others too":         {ask(l.says("login-hint+jwt", "s-1", "aud", []string{d.issuer(), "https://other.example.com"})), "invalid_request"},
			"of a strange issuer":    {ask(l.says("login-hint+jwt", "s-1", "iss", "https://evil.example.com")), "invalid_request"},
			"signed by somebody":     {ask(l.signed(stranger, "login-hint+jwt", "s-1")), "invalid_request"},
			"beside another hint":    {d.call("bank", secret, "login_hint_token", l.says("login-hint+jwt", "s-1")), "invalid_request"},
			"an ID token of ours":    {ask(tokens.ID), "invalid_request"},
			"an access token's text": {ask(tokens.Access), "invalid_request"},
		} {
			if c.got.Status != 400 || c.got.Error != c.code || c.got.ID != "" {
				d.Errorf("%s: %+v, want %s", name, c.got, c.code)
			}
		}
		untrusted := d.trusts([]trust.Use{trust.JWTBearer, trust.IDJAG, trust.TokenExchange}, func(s *trust.Settings) { s.Issuer = "https://two.example.com" })
		untrusted.link("s-1", d.ada.ID)
		if got := ask(untrusted.says("login-hint+jwt", "s-1")); got.Error != "invalid_request" {
			d.Errorf("of an issuer that is trusted for all else: %+v", got)
		}
	})
}

// TestARequestIsUsedOnce: P-07, on all nodes.
func TestARequestIsUsedOnce(t *testing.T) {
	run(t, func(d *door) {
		secret := d.bank("bank")
		got := d.call("bank", secret)
		nodes := []*door{d}
		if d.DB.Engine() == db.Postgres {
			second := *d
			second.Env = d.Node(d.T)
			nodes = append(nodes, &second)
		}
		b := d.signedIn(d.signIn(d.ada))
		b.submit(b.approvals(), "do", "allow")
		answers := make([]reply, 64)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = nodes[i%len(nodes)].fetchCIBA("bank", secret, got.ID) })
		}
		all.Wait()
		good := 0
		for _, a := range answers {
			if a.Access != "" {
				good++
			} else if a.Error != "invalid_grant" {
				d.Errorf("%+v", a)
			}
		}
		if good > 1 {
			d.Errorf("%d of %d got tokens for one request", good, len(answers))
		}
	})
}

// TestWaitingCodesAreGoodForNothingElse: each kind of code is refused wherever
// another one is due, also approved, and stays good where it belongs.
func TestWaitingCodesAreGoodForNothingElse(t *testing.T) {
	run(t, func(d *door) {
		all := func(s *client.Settings) {
			s.FirstParty, s.GrantTypes = true, []string{client.AuthorizationCode, client.RefreshToken, client.DeviceCode, client.CIBA}
		}
		secret := d.app("app", all)
		cookie := d.signIn(d.ada)
		basic := "Basic " + basicOf("app", secret)
		var asked waiting
		w := d.do("POST", "/oauth2/device_authorization", "scope=openid", "Authorization", basic)
		if err := json.Unmarshal(w.Body.Bytes(), &asked); err != nil || asked.Code == "" {
			d.Fatalf("%d %s", w.Code, w.Body)
		}
		d.connect(cookie, asked.UserCode)
		called := d.call("app", secret)
		b := d.signedIn(cookie)
		b.submit(b.approvals(), "do", "allow")
		good := d.tokens(cookie, "app", secret, "scope", "openid offline_access")
		values := map[string]string{"device code": asked.Code, "user code": asked.UserCode, "auth_req_id": called.ID,
			"code": d.code(cookie, request("app")), "refresh token": good.Refresh, "access token": good.Access, "ID token": good.ID, "secret": secret}
		uses := map[string]func(v string) reply{
			"device code": func(v string) reply { return d.token("app", secret, "grant_type", client.DeviceCode, "device_code", v) },
			"auth_req_id": func(v string) reply { return d.fetchCIBA("app", secret, v) },
			"code":        func(v string) reply { return d.redeem("app", secret, v) },
			"refresh token": func(v string) reply {
				return d.token("app", secret, "grant_type", "refresh_token", "refresh_token", v)
			},
		}
		for as, use := range uses {
			for kind, v := range values {
				if kind == as {
					continue
				}
				if got := use(v); got.Status != 400 || got.Error != "invalid_grant" || got.Access != "" {
					d.Errorf("a %s as %s: %+v", kind, as, got)
				}
			}
		}
		for _, kind := range []string{"device code", "user code", "auth_req_id"} {
			if d.alive(values[kind]) {
				d.Errorf("a %s opens userinfo", kind)
			}
			if w := d.do("POST", "/oauth2/introspect", "token="+values[kind], "Authorization", basic); !strings.Contains(w.Body.String(), `"active":false`) {
				d.Errorf("a %s at introspection: %s", kind, w.Body)
			}
			if w := d.do("POST", "/oauth2/revoke", "token="+values[kind], "Authorization", basic); w.Code != 200 {
				d.Errorf("a %s at revocation: %d", kind, w.Code)
			}
			if got := d.token("app", values[kind], "grant_type", "client_credentials"); got.Error != "invalid_client" {
				d.Errorf("a %s as secret: %+v", kind, got)
			}
		}
		for _, as := range []string{"device code", "auth_req_id", "code", "refresh token"} {
			if got := uses[as](values[as]); got.Access == "" {
				d.Errorf("a %s where it belongs, after all that: %+v", as, got)
			}
		}
	})
}
