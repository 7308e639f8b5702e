package oauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// waiting is an answer of the device authorization endpoint.
type waiting struct {
	Status   int
	Code     string `json:"device_code"`
	UserCode string `json:"user_code"`
	Page     string `json:"verification_uri"`
	Complete string `json:"verification_uri_complete"`
	Expires  int    `json:"expires_in"`
	Interval int    `json:"interval"`
	Error    string `json:"error"`
}

// tv registers a public client that has no browser.
func (d *door) tv(id string, change ...func(*client.Settings)) {
	d.Helper()
	d.app(id, append([]func(*client.Settings){func(s *client.Settings) {
		s.Name, s.Type, s.AuthMethod, s.FirstParty, s.RedirectURIs, s.PostLogoutRedirectURIs = "Living room", client.Native, client.None, false, nil, nil
		s.GrantTypes = []string{client.DeviceCode, client.RefreshToken}
	}}, change...)...)
}

func (d *door) device(id string, pairs ...string) waiting {
	d.Helper()
	w := d.do("POST", "/oauth2/device_authorization", values(url.Values{"client_id": {id}, "scope": {"openid email"}}, pairs...).Encode())
	got := waiting{Status: w.Code}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Header().Get("Cache-Control") != "no-store" {
		d.Fatalf("%d %v %q: %v", w.Code, w.Header(), w.Body, err)
	}
	return got
}

func (d *door) poll(id, code string, pairs ...string) reply {
	d.Helper()
	return d.token(id, "", append(pairs, "grant_type", client.DeviceCode, "device_code", code)...)
}

// typed types a user code into the page.
func (b *browser) typed(code string) *httptest.ResponseRecorder {
	b.Helper()
	return b.submit(b.send("GET", "/device", ""), "user_code", code)
}

// connect has somebody who is signed in allow a device.
func (d *door) connect(cookie, code string) {
	d.Helper()
	b := d.signedIn(cookie)
	if done := b.submit(b.typed(code), "do", "allow"); done.Code != http.StatusOK || !strings.Contains(done.Body.String(), "Your device is connected") {
		d.Fatalf("%d %s", done.Code, done.Body)
	}
}

// TestADeviceIsConnected: RFC 8628, from the first request to tokens that are
// renewed, through sign-in and consent.
func TestADeviceIsConnected(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset")
		got := d.device("tvset", "scope", "openid email offline_access", "resource", "https://api.example.com")
		if got.Status != 200 || got.Expires != 600 || got.Interval != 5 || got.Page != d.issuer()+"/device" || got.Complete != got.Page+"?user_code="+got.UserCode || len(got.UserCode) != 9 {
			d.Fatalf("%+v", got)
		}
		d.refuse(d.poll("tvset", got.Code), 400, "authorization_pending")
		d.Clock.Advance(5 * time.Second)

		b := d.browser()
		shown := b.send("GET", strings.TrimPrefix(got.Complete, d.issuer()), "")
		if !strings.Contains(shown.Body.String(), got.UserCode) || !strings.Contains(shown.Body.String(), "Does your device show this code?") {
			d.Fatalf("%s", shown.Body)
		}
		consent := b.password(b.submit(shown))
		for _, words := range []string{"Living room", got.UserCode, "another device", "just now", "See your email address", "Stay connected"} {
			if !strings.Contains(consent.Body.String(), words) {
				d.Errorf("the consent page does not say %q", words)
			}
		}
		if strings.Contains(consent.Body.String(), "You will be sent to") {
			d.Error("the consent page names an address")
		}
		if done := b.submit(consent, "do", "allow"); !strings.Contains(done.Body.String(), "Your device is connected") {
			d.Fatalf("%d %s", done.Code, done.Body)
		}
		tokens := d.poll("tvset", got.Code)
		if tokens.Scope != "email offline_access openid" || tokens.Refresh == "" || tokens.Type != "Bearer" {
			d.Fatalf("%+v", tokens)
		}
		access, id := d.claims(tokens.Access), d.claims(tokens.ID)
		if id["sub"] != d.ada.ID || id["aud"] != "tvset" || id["acr"] != "aal1" || id["auth_time"] != float64(d.Clock.Now().Unix()) || id["nonce"] != nil {
			d.Errorf("ID token: %v", id)
		}
		if aud, ok := access["aud"].([]any); !ok || !slices.Equal(aud, []any{"https://api.example.com", d.issuer()}) {
			d.Errorf("audience: %v", access["aud"])
		}
		if !d.alive(tokens.Access) {
			d.Error("the access token is dead")
		}
		if next := d.token("tvset", "", "grant_type", "refresh_token", "refresh_token", tokens.Refresh); next.Refresh == "" {
			d.Errorf("refresh: %+v", next)
		}
		given, err := d.Grants.Consent(context.Background(), d.realm, d.ada.ID, "tvset")
		if err != nil || given == nil || !slices.Equal(given.Scopes, []string{"email", "offline_access", "openid"}) {
			d.Errorf("remembered: %+v %v", given, err)
		}
	})
}

// TestDevicesAlwaysAsk: whoever knows a code that somebody else's device shows
// must not connect it by one press, so consent that is remembered does not
// answer, nor that of a first party.
func TestDevicesAlwaysAsk(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset", func(s *client.Settings) { s.FirstParty = true })
		cookie := d.signIn(d.ada)
		for range 2 {
			got := d.device("tvset")
			asked := d.signedIn(cookie).typed(strings.ToLower(strings.Replace(got.UserCode, "-", " ", 1)))
			if !strings.Contains(asked.Body.String(), `value="allow"`) || !strings.Contains(asked.Body.String(), got.UserCode) {
				d.Fatalf("not asked: %d %s", asked.Code, asked.Body)
			}
			d.connect(cookie, got.UserCode)
			if tokens := d.poll("tvset", got.Code); tokens.Access == "" || tokens.Refresh != "" {
				d.Errorf("%+v", tokens)
			}
		}
	})
}

// TestDevicesAskForASignIn: a device that needs a strong and recent sign-in says
// so (RFC 9470, section 4), and gets tokens of one.
func TestDevicesAskForASignIn(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset")
		code := d.totp(d.ada)
		b := d.signedIn(d.signIn(d.ada))
		d.Clock.Advance(10 * time.Minute)
		got := d.device("tvset", "acr_values", "aal2", "max_age", "300")
		page := b.typed(got.UserCode)
		if !strings.Contains(page.Body.String(), `name="password"`) {
			d.Fatalf("no new sign-in: %d %s", page.Code, page.Body)
		}
		if page = b.password(page); !asked(page) {
			d.Fatalf("no second factor: %d %s", page.Code, page.Body)
		}
		b.submit(b.submit(page, "code", code()), "do", "allow")
		if m := d.claims(d.poll("tvset", got.Code).ID); m["acr"] != "aal2" || m["auth_time"] != float64(d.Clock.Now().Unix()) {
			d.Errorf("%v", m)
		}
		// What was reached is not asked for again, and nonsense is refused.
		got = d.device("tvset", "acr_values", "aal2", "max_age", "300")
		if page := b.typed(got.UserCode); !strings.Contains(page.Body.String(), `value="allow"`) {
			d.Errorf("asked again: %d %s", page.Code, page.Body)
		}
		if got := d.device("tvset", "max_age", "soon"); got.Error != "invalid_request" {
			d.Errorf("%+v", got)
		}
	})
}

// What a sign-in once reached and what another account's was is not what a device
// asked for (SE-09).
func TestDevicesAskWhoeverAgrees(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset")
		d.set("assurance_life", "1h")
		code := d.totp(d.ada)
		b := d.browser()
		b.submit(b.password(b.send("GET", "/signin", "")), "code", code())
		d.Clock.Advance(2 * time.Hour)
		if page := b.typed(d.device("tvset", "acr_values", "aal2").UserCode); !asked(page) {
			d.Errorf("the level of two hours ago will do: %d %s", page.Code, page.Body)
		}
		// Somebody else signs in beside, and the device is told of the first one.
		grace := d.Person(d.T, d.realm, "grace@example.com")
		page := b.send("GET", "/signin?other=1", "")
		b.submit(page, "identifier", "grace@example.com", "password", apptest.Password)
		got := d.device("tvset", "max_age", "300")
		page = b.typed(got.UserCode)
		flow := hiddenOf(page, "flow")
		if !strings.Contains(page.Body.String(), `value="allow"`) {
			d.Fatalf("%s was asked for more: %d %s", grace.ID, page.Code, page.Body)
		}
		page = b.send("GET", "/accounts?flow="+flow, "")
		others := regexp.MustCompile(`name="account" value="([^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
		page = b.submit(page, "account", others[len(others)-1][1])
		page = b.submit(page, "do", "allow")
		if !strings.Contains(page.Body.String(), `name="password"`) {
			d.Fatalf("no new sign-in: %d %s", page.Code, page.Body)
		}
		page = b.submit(b.submit(b.password(page), "code", code()), "do", "allow")
		if m := d.claims(d.poll("tvset", got.Code).ID); m["sub"] != d.ada.ID || m["auth_time"] != float64(d.Clock.Now().Unix()) {
			d.Errorf("%v: %s", m, page.Body)
		}
	})
}

// TestDeviceRequestsAreRefused: each with the right word.
func TestDeviceRequestsAreRefused(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset")
		secret := d.app("web", func(s *client.Settings) { s.GrantTypes = append(s.GrantTypes, client.DeviceCode) })
		d.app("app")
		for name, c := range map[string]struct {
			got    waiting
			status int
			code   string
		}{
			"no client":        {d.device("", "client_id", ""), 401, "invalid_client"},
			"unknown client":   {d.device("nobody"), 401, "invalid_client"},
			"without a secret": {d.device("web"), 401, "invalid_client"},
			"a wrong secret":   {d.device("app", "client_secret", "x"), 401, "invalid_client"},
			"no scope":         {d.device("tvset", "scope", ""), 400, "invalid_scope"},
			"a foreign scope":  {d.device("tvset", "scope", "openid cardea:admin"), 400, "invalid_scope"},
			"foreign resource": {d.device("tvset", "resource", "https://unknown.example.com"), 400, "invalid_target"},
		} {
			if c.got.Status != c.status || c.got.Error != c.code || c.got.Code != "" {
				d.Errorf("%s: %+v, want %d %s", name, c.got, c.status, c.code)
			}
		}
		d.tv("mute", func(s *client.Settings) { s.GrantTypes, s.RedirectURIs = nil, []string{"http://127.0.0.1/cb"} })
		if got := d.device("mute"); got.Error != "unauthorized_client" {
			d.Errorf("a client that may not: %+v", got)
		}
		if w := d.read(d.do("POST", "/oauth2/device_authorization?client_id=tvset", "scope=openid")); w.Error != "invalid_request" {
			d.Errorf("in the address: %+v", w)
		}
		w := d.read(d.do("POST", "/oauth2/device_authorization", "scope=openid", "Authorization", "Basic "+basicOf("web", secret)))
		if w.Status != 200 {
			d.Errorf("a confidential client: %+v", w)
		}

		d.refuse(d.poll("tvset", ""), 400, "invalid_request")
		d.refuse(d.poll("tvset", "x"), 400, "invalid_grant")
		d.refuse(d.poll("mute", d.device("tvset").Code), 400, "unauthorized_client")
		d.tv("other")
		mine := d.device("tvset")
		d.refuse(d.poll("other", mine.Code), 400, "invalid_grant")
		d.refuse(d.poll("tvset", flip(mine.Code)), 400, "invalid_grant")
		d.refuse(d.poll("tvset", mine.UserCode), 400, "invalid_grant")
		cookie := d.signIn(d.ada)
		d.connect(cookie, mine.UserCode)
		d.refuse(d.poll("other", mine.Code), 400, "invalid_grant")
		d.refuse(d.poll("tvset", mine.Code, "resource", "https://api.example.com/"), 400, "invalid_target")
		if got := d.poll("tvset", mine.Code, "resource", "https://other.example.com"); got.Access == "" {
			d.Errorf("after refusals: %+v", got)
		}
	})
}

// TestDevicesHearOfNoAndOfTime: a person who turns back, before or after the
// sign-in, and one who does not come.
func TestDevicesHearOfNoAndOfTime(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset")
		signedOut, signedIn, late, slow := d.device("tvset"), d.device("tvset"), d.device("tvset"), d.device("tvset")
		b := d.browser()
		if done := b.submit(b.typed(signedOut.UserCode), "identifier", "", "password", "", "do", "cancel"); !strings.Contains(done.Body.String(), "Nothing was allowed") {
			d.Errorf("%d %s", done.Code, done.Body)
		}
		d.refuse(d.poll("tvset", signedOut.Code), 400, "access_denied")
		b = d.signedIn(d.signIn(d.ada))
		if done := b.submit(b.typed(signedIn.UserCode), "do", "deny"); !strings.Contains(done.Body.String(), "Nothing was allowed") {
			d.Errorf("%d %s", done.Code, done.Body)
		}
		d.refuse(d.poll("tvset", signedIn.Code), 400, "access_denied")
		d.refuse(d.poll("tvset", signedIn.Code), 400, "access_denied")

		d.refuse(d.poll("tvset", late.Code), 400, "authorization_pending")
		d.refuse(d.poll("tvset", late.Code), 400, "slow_down")
		d.Clock.Advance(9 * time.Second)
		d.refuse(d.poll("tvset", late.Code), 400, "slow_down")
		d.Clock.Advance(15 * time.Second)
		d.refuse(d.poll("tvset", late.Code), 400, "authorization_pending")

		page := b.typed(slow.UserCode)
		d.Clock.Advance(10 * time.Minute)
		if done := b.submit(page, "do", "allow"); done.Code != http.StatusConflict || !strings.Contains(done.Body.String(), "This request is closed") {
			d.Errorf("allowed too late: %d %s", done.Code, done.Body)
		}
		d.refuse(d.poll("tvset", late.Code), 400, "expired_token")
		d.refuse(d.poll("tvset", slow.Code), 400, "expired_token")
	})
}

// TestFloodsOfQuestionsAreNotWritten: whoever asks without pause is told to slow
// down, and from some point on that costs the database nothing.
func TestFloodsOfQuestionsAreNotWritten(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset")
		got := d.device("tvset")
		const many, burst, rate = 700, 400, 20 // as internal/app has it
		began := time.Now()
		for i := range many {
			if answer := d.poll("tvset", got.Code); answer.Error != "slow_down" && i > 0 {
				d.Fatalf("question %d: %+v", i, answer)
			}
		}
		code, _ := approval.ParseCode(got.UserCode)
		found, err := d.Approvals.Find(context.Background(), d.realm, "test", code, realm.DefaultSettings())
		if err != nil || found.Request == nil {
			d.Fatalf("%+v %v", found, err)
		}
		most := burst + rate*int(time.Since(began).Seconds()+1)
		if written := int((found.Request.Wait - 5*time.Second) / approval.Slower); written < burst-2 || written > most {
			d.Errorf("%d of %d questions were written down, want %d to %d", written, many, burst, most)
		}
	})
}

// TestADeviceCodeIsUsedOnce: P-07. Of 64 who ask at once on all nodes at most
// one gets tokens; a second use ends what the first one got.
func TestADeviceCodeIsUsedOnce(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset")
		cookie := d.signIn(d.ada)
		first := d.device("tvset")
		d.connect(cookie, first.UserCode)
		tokens := d.poll("tvset", first.Code)
		if !d.alive(tokens.Access) {
			d.Fatalf("%+v", tokens)
		}
		d.refuse(d.poll("tvset", first.Code), 400, "invalid_grant")
		if d.alive(tokens.Access) {
			d.Error("the access token of the first use is alive")
		}

		nodes := []*door{d}
		if d.DB.Engine() == db.Postgres {
			second := *d
			second.Env = d.Node(d.T)
			nodes = append(nodes, &second)
		}
		raced := d.device("tvset")
		d.connect(cookie, raced.UserCode)
		got := make([]reply, 64)
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() { got[i] = nodes[i%len(nodes)].poll("tvset", raced.Code) })
		}
		all.Wait()
		good := 0
		for _, g := range got {
			if g.Access != "" {
				good++
			} else if g.Error != "invalid_grant" {
				d.Errorf("%+v", g)
			}
		}
		if good > 1 {
			d.Errorf("%d of %d got tokens for one code", good, len(got))
		}
	})
}

// TestWhatIsAllowedToADeviceDies: SE-06. Whatever the approval rests on is
// asked about when it is used, and afterwards.
func TestWhatIsAllowedToADeviceDies(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		d.tv("tvset")
		for name, end := range map[string]func() error{
			"person suspended": func() error {
				return d.Grants.SuspendPrincipal(ctx, audit.System, d.realm, d.ada.ID, "test", nil)
			},
			"signed out everywhere": func() error {
				return d.Grants.SignOutEverywhere(ctx, audit.System, d.realm, d.ada.ID, "test")
			},
			"consent withdrawn": func() error {
				return d.Grants.RevokeConsent(ctx, audit.System, d.realm, d.ada.ID, "tvset", "test")
			},
			"client disabled and enabled": func() error {
				if err := d.Grants.DisableClient(ctx, audit.System, d.realm, "tvset", 0, nil); err != nil {
					return err
				}
				_, err := d.Clients.Enable(ctx, audit.System, d.realm, "tvset", 0)
				return err
			},
		} {
			d.ada = d.Person(d.T, d.realm, strings.ReplaceAll(name, " ", "-")+"@example.com")
			cookie := d.signIn(d.ada)
			used, unused := d.device("tvset"), d.device("tvset")
			d.connect(cookie, used.UserCode)
			d.connect(cookie, unused.UserCode)
			tokens := d.poll("tvset", used.Code)
			if !d.alive(tokens.Access) {
				d.Fatalf("%s: %+v", name, tokens)
			}
			if err := end(); err != nil {
				d.Fatal(err)
			}
			if d.alive(tokens.Access) {
				d.Errorf("%s: the access token is alive", name)
			}
			d.refuse(d.poll("tvset", unused.Code), 400, "invalid_grant")
		}
	})
}

// TestUserCodesAreNotGuessed: ten wrong codes are looked up from one address,
// then none, also not the right one; who is signed in has guesses of their own.
func TestUserCodesAreNotGuessed(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset")
		right := d.device("tvset")
		b := d.browser()
		for range 3 { // what cannot be a code is not looked up
			if w := b.typed("AEIOU"); w.Code != http.StatusUnprocessableEntity {
				d.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		for i := range 12 {
			w := b.typed("BBBB-BBBB")
			want := http.StatusUnprocessableEntity
			if i >= 10 {
				want = http.StatusTooManyRequests
			}
			if w.Code != want || !strings.Contains(w.Body.String(), `role="alert"`) {
				d.Fatalf("guess %d: %d %s", i, w.Code, w.Body)
			}
		}
		if w := b.typed(right.UserCode); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
			d.Errorf("the right code after ten wrong ones: %d", w.Code)
		}
		d.connect(d.signIn(d.ada), right.UserCode)
	})
}

// TestDeviceTokensAreBound: RFC 9449 and RFC 8628. The key of the request that
// redeems the code binds both tokens of a public client.
func TestDeviceTokensAreBound(t *testing.T) {
	run(t, func(d *door) {
		d.tv("app", func(s *client.Settings) { s.DPoPBoundAccessTokens = true })
		got := d.device("app", "scope", "openid offline_access")
		d.connect(d.signIn(d.ada), got.UserCode)
		d.refuse(d.poll("app", got.Code), 400, "invalid_dpop_proof")
		mine, other := d.prover(), d.prover()
		ask := func(key *prover, pairs ...string) reply {
			d.Helper()
			return d.ask(values(nil, pairs...), key.proof("POST", "/oauth2/token", ""))
		}
		tokens := ask(mine, "grant_type", client.DeviceCode, "device_code", got.Code)
		if tokens.Type != "DPoP" || tokens.Refresh == "" {
			d.Fatalf("%+v", tokens)
		}
		d.refuse(ask(other, "grant_type", "refresh_token", "refresh_token", tokens.Refresh), 400, "invalid_grant")
		if next := ask(mine, "grant_type", "refresh_token", "refresh_token", tokens.Refresh); next.Refresh == "" {
			d.Errorf("%+v", next)
		}
	})
}

// TestDeviceFlowsEndWhereTheyMust: a flow of one door is no answer at another.
func TestDeviceFlowsEndWhereTheyMust(t *testing.T) {
	run(t, func(d *door) {
		d.tv("tvset")
		d.app("app", func(s *client.Settings) { s.FirstParty = false })
		b := d.signedIn(d.signIn(d.ada))
		page := b.typed(d.device("tvset").UserCode)
		flow := hiddenOf(page, "flow")
		b.do("POST", "/consent", url.Values{"flow": {flow}, "form": {hiddenOf(page, "form")}, "do": {"allow"}}.Encode(), "Cookie", b.jar(), "Sec-Fetch-Site", "same-origin")
		if w := b.do("GET", "/oauth2/authorize/continue?flow="+flow, "", "Cookie", b.jar()); w.Code != http.StatusBadRequest {
			d.Errorf("at the authorization endpoint: %d %s", w.Code, w.Body)
		}
		if w := b.do("GET", "/device/decided?flow="+flow, "", "Cookie", b.jar()); w.Code != http.StatusOK {
			d.Errorf("where it belongs: %d %s", w.Code, w.Body)
		}
		page = b.open(request("app"))
		flow = hiddenOf(page, "flow")
		b.do("POST", "/consent", url.Values{"flow": {flow}, "form": {hiddenOf(page, "form")}, "do": {"allow"}}.Encode(), "Cookie", b.jar(), "Sec-Fetch-Site", "same-origin")
		if w := b.do("GET", "/device/decided?flow="+flow, "", "Cookie", b.jar()); w.Code != http.StatusNotFound {
			d.Errorf("an authorization at the device page: %d %s", w.Code, w.Body)
		}
	})
}

func hiddenOf(w *httptest.ResponseRecorder, name string) string {
	for _, m := range hidden.FindAllStringSubmatch(w.Body.String(), -1) {
		if m[1] == name {
			return m[2]
		}
	}
	return ""
}

// jar is the browser's Cookie header.
func (b *browser) jar() string {
	var list []string
	for name, value := range b.cookies {
		list = append(list, name+"="+value)
	}
	return strings.Join(list, "; ")
}
