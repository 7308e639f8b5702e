package oauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
)

// shownAs is a place that takes a token or a one-time value.
type shownAs struct {
	right []string // kinds that belong there, and are left out
	want  string   // what every other kind is told
	try   func(v string) string
}

// told is a status and an error word.
func told(status int, word string) string { return fmt.Sprint(status, " ", word) }

// word reads the error of an answer in JSON, or of the challenge beside it.
func word(w *httptest.ResponseRecorder) string {
	var got struct {
		Error string `json:"error"`
		Code  string `json:"code"`
	}
	_ = json.Unmarshal(w.Body.Bytes(), &got)
	if _, rest, ok := strings.Cut(w.Header().Get("WWW-Authenticate"), `error="`); ok {
		got.Error, _, _ = strings.Cut(rest, `"`)
	}
	if got.Error == "" {
		got.Error = got.Code
	}
	return told(w.Code, got.Error)
}

// onPage reads the error of a page or of the answer that goes to the client.
func (d *door) onPage(w *httptest.ResponseRecorder) string {
	if w.Code == 303 || w.Code == 200 && refresh.MatchString(w.Body.String()) {
		u, err := url.Parse(d.sent(w))
		if err != nil {
			d.Fatal(err)
		}
		return told(w.Code, u.Query().Get("error"))
	}
	for _, known := range []string{"invalid_request_object", "invalid_request_uri", "invalid_request"} {
		if strings.Contains(w.Body.String(), known) {
			return told(w.Code, known)
		}
	}
	return told(w.Code, "")
}

// TestNothingPassesForAnythingElse: JW-03. One of each kind of token and
// one-time value is shown wherever another kind is due: each is refused with the
// word of that place, nothing is granted, ended or spent by it, and each is good
// afterwards where it belongs. The type of status lists is told apart where they
// are read.
func TestNothingPassesForAnythingElse(t *testing.T) {
	run(t, func(d *door) {
		d.set("registration", "initial_access_token")
		s, secret := d.signer("app", func(s *client.Settings) {
			s.GrantTypes = append(s.GrantTypes, client.DeviceCode, client.CIBA, client.TokenExchange, client.JWTBearer)
			s.ExchangeImpersonation, s.ExchangeDelegation = true, true
			s.IdentityAssertions = []client.Assertion{{Issuer: chat, ClientID: "app-there", Scopes: []string{"orders:read"}, Resources: []string{first}}}
		})
		asserting, _ := d.signer("asserting", func(s *client.Settings) { s.AuthMethod = client.PrivateKeyJWT })
		opaque := d.app("opaque", func(s *client.Settings) { s.AccessTokenFormat = client.Opaque })
		signed := d.app("signed", func(s *client.Settings) { s.UserInfoAlg = "EdDSA" })
		d.app("spa", public)
		attester, _ := jose.Generate("a1", jose.ES256)
		phone, _ := jose.Generate("", jose.ES256)
		d.app("wallet", func(s *client.Settings) {
			s.AuthMethod, s.AttesterJWKS = client.AttestedJWT, string(jose.Set{attester.Public()}.JSON())
		})
		basic := "Basic " + basicOf("app", secret)
		l := d.trusts([]trust.Use{trust.TokenExchange, trust.JWTBearer, trust.IDJAG})
		l.link("s-1", d.ada.ID)
		p := d.prover()

		cookie := d.signIn(d.ada)
		user := d.tokens(cookie, "app", secret, "scope", "openid offline_access orders:read")
		bound := d.read(d.do("POST", "/oauth2/token", values(url.Values{"grant_type": {"authorization_code"}, "client_id": {"spa"}, "redirect_uri": {callback},
			"code_verifier": {verifier}}, "code", d.code(cookie, request("spa"))).Encode(), "DPoP", p.proof("POST", "/oauth2/token", "")))
		var device waiting
		if err := json.Unmarshal(d.do("POST", "/oauth2/device_authorization", "scope=openid", "Authorization", basic).Body.Bytes(), &device); err != nil {
			d.Fatal(err)
		}
		pushed := d.push("app", secret, request("app"))
		_, initial := d.initial(2, time.Hour)
		status, mine := d.register("POST", "", initial, about())
		if status != 201 {
			d.Fatalf("registration: %d %v", status, mine)
		}
		var doc struct {
			Signed string `json:"signed_metadata"`
		}
		if err := json.Unmarshal(d.get("/.well-known/oauth-authorization-server", "").Body.Bytes(), &doc); err != nil {
			d.Fatal(err)
		}
		hears := d.receiver("one.example.com")
		d.endAnother("hearing", d.app("hearing", hears.told))
		form := d.get("/oauth2/logout", cookie)
		kinds := map[string]string{
			"access token":              user.Access,
			"opaque access token":       d.tokens(cookie, "opaque", opaque).Access,
			"bound access token":        bound.Access,
			"ID token":                  user.ID,
			"refresh token":             user.Refresh,
			"code":                      d.code(cookie, request("app")),
			"device code":               device.Code,
			"user code":                 device.UserCode,
			"auth_req_id":               d.call("app", secret).ID,
			"request_uri":               pushed.Get("request_uri"),
			"request object":            s.object(request("app"), nil),
			"client assertion":          d.assertion(asserting.key, "asserting", nil),
			"proof":                     p.proof("POST", "/oauth2/token", ""),
			"logout token":              hears.next(d.T),
			"logout token of another":   l.says("logout+jwt", "s-1"),
			"identity assertion":        d.jag("app", secret, user.ID, chat).Access,
			"assertion":                 l.says("JWT", "s-1"),
			"identity assertion to us":  l.says("oauth-id-jag+jwt", "s-1", "client_id", "app"),
			"signed answer":             d.authorize(cookie, request("app", "response_mode", "jwt")).Get("response"),
			"signed metadata":           doc.Signed,
			"signed userinfo":           d.do("GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+d.tokens(cookie, "signed", signed).Access).Body.String(),
			"signed introspection":      d.do("POST", "/oauth2/introspect", "token="+user.Access, "Authorization", basic, "Accept", "application/token-introspection+jwt").Body.String(),
			"registration access token": mine.text("registration_access_token"),
			"initial access token":      initial,
			"client secret":             secret,
			"session cookie":            cookie[strings.Index(cookie, "=")+1:],
			"attestation":               d.attestation(attester, phone, "wallet", nil),
			"attestation proof":         d.pop(phone, nil),
			"form token":                hiddenOf(form, "form"),
		}
		for kind, v := range kinds {
			if v == "" {
				d.Fatalf("there is no %s", kind)
			}
		}

		assertionType := "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
		address := 0
		access := []string{"access token", "opaque access token", "bound access token"}
		bearer := func(method, path string, body ...string) func(string) string {
			return func(v string) string {
				// From an address each, since strangers may not ask often.
				address++
				r := httptest.NewRequest(method, d.issuer()+path, strings.NewReader(strings.Join(body, "")))
				r.Header.Set("Content-Type", "application/json")
				r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1000", address%250+1)
				r.Header.Set("Authorization", "Bearer "+v)
				w := httptest.NewRecorder()
				d.Handler.ServeHTTP(w, r)
				return word(w)
			}
		}
		grant := func(pairs ...string) func(string) string {
			return func(v string) string {
				got := d.token("app", secret, append(slices.Clone(pairs[1:]), pairs[0], v)...)
				if got.Access != "" {
					return "a token"
				}
				return told(got.Status, got.Error)
			}
		}
		exchanged := func(as string) func(string) string {
			return grant("subject_token", "grant_type", client.TokenExchange, "subject_token_type", as)
		}
		places := map[string]shownAs{
			"bearer at userinfo":      {access[:2], "401 invalid_token", bearer("GET", "/oauth2/userinfo")},
			"DPoP at userinfo":        {[]string{"bound access token"}, "401 invalid_token", func(v string) string { return word(d.userinfo("DPoP", v, p.proof("GET", "/oauth2/userinfo", v))) }},
			"bearer at the admin API": {nil, "401 invalid_token", bearer("GET", "/api/v1/clients")},
			"introspected": {append([]string{"refresh token"}, access...), "200 false", func(v string) string {
				w := d.do("POST", "/oauth2/introspect", values(nil, "token", v).Encode(), "Authorization", basic)
				var got map[string]any
				if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got) != 1 {
					return fmt.Sprint(w.Code, w.Body)
				}
				return fmt.Sprint(w.Code, " ", got["active"])
			}},
			"revoked": {append([]string{"refresh token"}, access...), "200 ", func(v string) string {
				return word(d.do("POST", "/oauth2/revoke", values(nil, "token", v).Encode(), "Authorization", basic))
			}},
			"code":              {[]string{"code"}, "400 invalid_grant", grant("code", "grant_type", "authorization_code", "redirect_uri", callback, "code_verifier", verifier)},
			"refresh token":     {[]string{"refresh token"}, "400 invalid_grant", grant("refresh_token", "grant_type", "refresh_token")},
			"device code":       {[]string{"device code"}, "400 invalid_grant", grant("device_code", "grant_type", client.DeviceCode)},
			"auth_req_id":       {[]string{"auth_req_id"}, "400 invalid_grant", grant("auth_req_id", "grant_type", client.CIBA)},
			"assertion":         {[]string{"assertion", "identity assertion to us"}, "400 invalid_grant", grant("assertion", "grant_type", client.JWTBearer)},
			"exchanged access":  {access, "400 invalid_request", exchanged(typeAccess)},
			"exchanged ID":      {[]string{"ID token", "assertion"}, "400 invalid_request", exchanged(typeIdentity)},
			"exchanged refresh": {nil, "400 invalid_request", exchanged(typeRefresh)},
			"actor": {access, "400 invalid_request", grant("actor_token", "grant_type", client.TokenExchange, "subject_token", user.Access, "subject_token_type", typeAccess,
				"actor_token_type", typeAccess)},
			"client assertion": {[]string{"client assertion"}, "401 invalid_client", func(v string) string {
				got := d.token("", "", "grant_type", "client_credentials", "client_assertion", v, "client_assertion_type", assertionType)
				return told(got.Status, got.Error)
			}},
			"client secret": {[]string{"client secret"}, "401 invalid_client", func(v string) string {
				got := d.token("app", v, "grant_type", "client_credentials")
				return told(got.Status, got.Error)
			}},
			"attestation": {[]string{"attestation"}, "401 invalid_client", func(v string) string {
				got := d.present(v, d.pop(phone, nil))
				return told(got.Status, got.Error)
			}},
			"attestation proof": {[]string{"attestation proof"}, "401 invalid_client", func(v string) string {
				got := d.present(kinds["attestation"], v)
				return told(got.Status, got.Error)
			}},
			"proof": {[]string{"proof"}, "400 invalid_dpop_proof", func(v string) string {
				return word(d.do("POST", "/oauth2/token", "grant_type=client_credentials", "Authorization", basic, "DPoP", v))
			}},
			"request object": {[]string{"request object"}, "400 invalid_request_object", func(v string) string { return d.onPage(d.opened(cookie, by("app", v))) }},
			"request object, pushed": {[]string{"request object"}, "400 invalid_request_object", func(v string) string {
				return word(d.pushing("app", secret, by("app", v)))
			}},
			"request_uri": {[]string{"request_uri"}, "400 invalid_request_uri", func(v string) string {
				return d.onPage(d.opened(cookie, url.Values{"client_id": {"app"}, "request_uri": {v}}))
			}},
			"ID token hint": {[]string{"ID token"}, "303 invalid_request", func(v string) string {
				return d.onPage(d.opened(cookie, request("app", "prompt", "none", "id_token_hint", v)))
			}},
			"hint of the back channel": {[]string{"ID token"}, "400 invalid_request", func(v string) string {
				got := d.call("app", secret, "login_hint", "", "id_token_hint", v)
				return told(got.Status, got.Error)
			}},
			"hint at the sign-out": {[]string{"ID token"}, "200 ", func(v string) string {
				w := d.get("/oauth2/logout?"+values(nil, "id_token_hint", v, "client_id", "app").Encode(), cookie)
				return told(w.Code, w.Header().Get("Location"))
			}},
			"registration access token": {[]string{"registration access token"}, "401 invalid_token", bearer("GET", "/oauth2/register/"+mine.text("client_id"))},
			"session cookie": {[]string{"session cookie"}, "303 login_required", func(v string) string {
				return d.onPage(d.opened(cookie[:strings.Index(cookie, "=")+1]+v, request("app", "prompt", "none")))
			}},
			"initial access token":    {[]string{"initial access token"}, "401 invalid_token", bearer("POST", "/oauth2/register", `{"redirect_uris":["`+callback+`"]}`)},
			"deleting a registration": {[]string{"registration access token"}, "401 invalid_token", bearer("DELETE", "/oauth2/register/"+mine.text("client_id"))},
			"bearer at the stream":    {nil, "401 invalid_token", bearer("GET", "/status-lists/stream")},
		}
		before := len(d.Events(d.T, d.realm))
		for place, as := range places {
			for kind, v := range kinds {
				if slices.Contains(as.right, kind) {
					continue
				}
				want := as.want
				if kind == "request_uri" && strings.HasSuffix(place, " at userinfo") {
					want = "400 invalid_request" // a colon is in no token: RFC 6750, section 2.1
				}
				if got := as.try(v); got != want {
					d.Errorf("%s as %s: told %q, want %q", kind, place, got, want)
				}
			}
		}
		after := d.Events(d.T, d.realm)
		for _, e := range after[:len(after)-before] {
			// Clients of our own are made when they are first asked for, and refusals are
			// noted as activity.
			if e.Action != "activity.segment" && e.Action != "principal.create" && !strings.HasPrefix(e.Target, "cardea-") {
				d.Errorf("it had an effect: %s %s", e.Action, e.Target)
			}
		}
		// The user code is typed by a person, who may be wrong ten times.
		for _, kind := range []string{"device code", "auth_req_id", "code", "request_uri", "session cookie", "refresh token"} {
			if w := d.signedIn(cookie).typed(kinds[kind]); w.Code >= 500 || strings.Contains(w.Body.String(), `value="allow"`) {
				d.Errorf("%s as user code: %d", kind, w.Code)
			}
		}

		// Nothing was spent or ended.
		if !d.alive(user.Access) || !d.alive(kinds["opaque access token"]) || d.userinfo("DPoP", bound.Access, p.proof("GET", "/oauth2/userinfo", bound.Access)).Code != 200 {
			d.Error("an access token is dead")
		}
		d.connect(cookie, device.UserCode)
		for _, place := range []string{"code", "device code", "refresh token"} {
			if got := places[place].try(kinds[place]); got != "a token" {
				d.Errorf("%s where it belongs: %q", place, got)
			}
		}
		for place, want := range map[string]string{"auth_req_id": "400 authorization_pending", "request_uri": "303 ", "request object": "303 ", "ID token hint": "303 ", "session cookie": "303 ",
			"client assertion": "200 ", "client secret": "200 ", "attestation": "200 ", "registration access token": "200 "} {
			kind := place
			if place == "ID token hint" {
				kind = "ID token"
			}
			if got := places[place].try(kinds[kind]); got != want {
				d.Errorf("%s where it belongs: %q, want %q", place, got, want)
			}
		}
	})
}

// endAnother signs Ada in once more, to a client, and ends that session.
func (d *door) endAnother(id, secret string) {
	d.Helper()
	cookie := d.signIn(d.ada)
	d.tokens(cookie, id, secret)
	_, text, _ := strings.Cut(cookie, "=")
	e, err := d.Sessions.FromSecret(context.Background(), d.realm, text)
	if err != nil {
		d.Fatal(err)
	}
	if err := d.Grants.EndSession(context.Background(), audit.System, d.realm, e.ID, "test"); err != nil {
		d.Fatal(err)
	}
}
