package oauth_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// strictBank is a client of the profile fapi2.
type bank struct {
	*door
	signer
	prover *prover
	id     string
}

func (d *door) strictBank(id string, change ...func(*client.Settings)) bank {
	d.Helper()
	s, _ := d.signer(id, append([]func(*client.Settings){func(s *client.Settings) {
		s.Profile, s.AuthMethod, s.RequestObjectAlg = client.ProfileFAPI2, client.PrivateKeyJWT, ""
	}}, change...)...)
	return bank{d, s, d.prover(), id}
}

// proved adds the client's assertion to parameters.
func (b bank) proved(v url.Values) url.Values {
	b.door.Helper()
	return values(v, "client_id", b.id, "client_assertion", b.assertion(b.key, b.id, nil), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
}

func (b bank) pushes(v url.Values) url.Values {
	b.door.Helper()
	return b.push(b.id, "", b.proved(v))
}

// asks posts to the token endpoint; proof is its DPoP proof, "" for none.
func (b bank) asks(v url.Values, proof string) reply {
	b.door.Helper()
	var head []string
	if proof != "" {
		head = []string{"DPoP", proof}
	}
	return b.read(b.do("POST", "/oauth2/token", b.proved(v).Encode(), head...))
}

func (b bank) proof() string { return b.prover.proof("POST", "/oauth2/token", "") }

func redeeming(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

// TestFAPI2: the whole way of FAPI 2.0: pushed, with a key shown, to tokens that
// are bound to it.
func TestFAPI2(t *testing.T) {
	run(t, func(d *door) {
		b := d.strictBank("bank")
		code := d.code(d.signIn(d.ada), b.pushes(request("bank", "scope", "openid offline_access")))
		got := b.asks(redeeming(code), b.proof())
		if got.Type != "DPoP" || got.ID == "" || d.claims(got.Access)["cnf"].(map[string]any)["jkt"] != b.prover.jkt {
			d.Fatalf("%+v", got)
		}
		// An answer may be lost: the token is not rotated (section 5.3.2.1).
		for range 3 {
			next := b.asks(refreshing(got.Refresh), b.proof())
			if next.Type != "DPoP" || next.Refresh != got.Refresh {
				d.Errorf("refresh: %+v", next)
			}
			if w := d.userinfo("DPoP", next.Access, b.prover.proof("GET", "/oauth2/userinfo", next.Access)); w.Code != http.StatusOK {
				d.Errorf("userinfo: %d %s", w.Code, w.Body)
			}
			d.Clock.Advance(30 * time.Second)
		}
	})
}

// TestFAPI2IsNotDowngraded: whatever a client of the profile leaves out, it is
// refused where it leaves it out.
func TestFAPI2IsNotDowngraded(t *testing.T) {
	run(t, func(d *door) {
		b := d.strictBank("bank")
		cookie := d.signIn(d.ada)
		if got := d.authorize(cookie, request("bank")); got.Get("error") != "invalid_request" || got.Has("code") {
			d.Errorf("not pushed: %v", got)
		}
		if got := d.authorize(cookie, request("bank", "prompt", "none", "response_mode", "fragment")); got.Get("error") != "invalid_request" || got.Has("code") {
			d.Errorf("not pushed, prompt=none: %v", got)
		}
		if got := d.authorize(cookie, by("bank", b.object(request("bank"), nil))); got.Get("error") != "invalid_request" || got.Has("code") {
			d.Errorf("signed and not pushed: %v", got)
		}
		for name, c := range map[string]struct {
			pairs []string
			code  string
		}{
			"no PKCE":      {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
			"plain":        {[]string{"code_challenge_method", "plain"}, "invalid_request"},
			"no redirect":  {[]string{"redirect_uri", ""}, "invalid_request"},
			"token in URL": {[]string{"response_type", "token"}, "unsupported_response_type"},
		} {
			d.Logf("%s", name)
			d.refuse(d.read(d.pushing("bank", "", b.proved(request("bank", c.pairs...)))), 400, c.code)
		}
		d.refuse(d.read(d.pushing("bank", "", request("bank"))), 401, "invalid_client")
		d.refuse(d.read(d.pushing("bank", "", values(b.proved(request("bank")), "client_assertion", b.assertion(b.key, "bank", map[string]any{"aud": d.issuer() + "/oauth2/par"})))), 401, "invalid_client")
		d.refuse(d.read(d.pushing("bank", "", b.proved(by("bank", b.object(request("bank"), map[string]any{"nbf": nil}))))), 400, "invalid_request_object")

		code := d.code(cookie, b.pushes(request("bank", "scope", "openid offline_access")))
		d.refuse(b.asks(redeeming(code), ""), 400, "invalid_request")
		d.refuse(b.asks(redeeming(code), d.rsaProof("POST", "/oauth2/token")), 400, "invalid_dpop_proof")
		d.refuse(b.asks(values(redeeming(code), "code_verifier", ""), b.proof()), 400, "invalid_grant")
		got := b.asks(redeeming(code), b.proof())
		if got.Refresh == "" {
			d.Fatalf("%+v", got)
		}
		d.refuse(b.asks(refreshing(got.Refresh), ""), 400, "invalid_request")
		d.refuse(b.asks(url.Values{"grant_type": {"client_credentials"}}, ""), 400, "invalid_request")
		if w := d.userinfo("Bearer", got.Access, ""); w.Code != http.StatusUnauthorized {
			d.Errorf("as a bearer token: %d", w.Code)
		}
		late := d.code(cookie, b.pushes(request("bank")))
		d.Clock.Advance(61 * time.Second)
		d.refuse(b.asks(redeeming(late), b.proof()), 400, "invalid_grant")
	})
}

// rsaProof is a DPoP proof that is signed with RS256.
func (d *door) rsaProof(method, path string) string {
	d.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		d.Fatal(err)
	}
	return d.rsaProofOf(key, "RS256", method, path, "")
}

// rsaProofOf is a DPoP proof of an RSA key.
func (d *door) rsaProofOf(key *rsa.PrivateKey, alg, method, path, access string) string {
	d.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	head, _ := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": alg, "jwk": map[string]any{"kty": "RSA", "n": enc(key.N.Bytes()), "e": "AQAB"}})
	said := map[string]any{"jti": rand.Text(), "htm": method, "htu": d.issuer() + path, "iat": d.Clock.Now().Unix()}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		said["ath"] = enc(sum[:])
	}
	claims, _ := json.Marshal(said)
	text := enc(head) + "." + enc(claims)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if alg == "PS256" {
		signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	if err != nil {
		d.Fatal(err)
	}
	return text + "." + enc(signature)
}

// TestAssertionsFollowTheProfile: a client that has an RSA key, too, signs with
// RS256 no more.
func TestAssertionsFollowTheProfile(t *testing.T) {
	run(t, func(d *door) {
		rs, err := jose.Generate("rs", jose.RS256)
		if err != nil {
			d.Fatal(err)
		}
		jwks := string(jose.Set{rs.Public()}.JSON())
		keys := func(s *client.Settings) { s.AuthMethod, s.JWKS = client.PrivateKeyJWT, jwks }
		d.app("plain", keys)
		d.app("strict", keys, func(s *client.Settings) { s.Profile = client.ProfileFAPI2 })
		ask := func(id string) reply {
			p := d.prover()
			v := url.Values{"grant_type": {"client_credentials"}, "client_assertion": {d.assertion(rs, id, nil)}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
			return d.read(d.do("POST", "/oauth2/token", v.Encode(), "DPoP", p.proof("POST", "/oauth2/token", "")))
		}
		if got := ask("plain"); got.Type != "DPoP" {
			d.Errorf("a plain client: %+v", got)
		}
		d.refuse(ask("strict"), 401, "invalid_client")
	})
}

// TestMessageSigning: FAPI 2.0 Message Signing. Requests are signed, with times,
// and so are the answers.
func TestMessageSigning(t *testing.T) {
	run(t, func(d *door) {
		b := d.strictBank("bank")
		d.set("signed_requests", "required", "signed_responses", "required")
		cookie := d.signIn(d.ada)
		d.refuse(d.read(d.pushing("bank", "", b.proved(request("bank")))), 400, "invalid_request")
		d.refuse(d.read(d.pushing("bank", "", b.proved(by("bank", b.object(request("bank"), map[string]any{"nbf": nil}))))), 400, "invalid_request_object")
		code, _ := d.response(d.authorize(cookie, b.pushes(by("bank", b.object(request("bank"), nil)))), jose.ES256, "bank").String("code")
		if got := b.asks(redeeming(code), b.proof()); got.Type != "DPoP" {
			d.Errorf("%+v", got)
		}
		wrong := d.response(d.authorize(cookie, request("bank")), jose.ES256, "bank")
		if code, _ := wrong.String("error"); code != "invalid_request" {
			d.Errorf("not pushed: %v", wrong)
		}
	})
}

func (d *door) setting(pairs ...string) error {
	settings := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		settings[pairs[i]] = pairs[i+1]
	}
	_, err := d.Realms.Update(context.Background(), audit.System, d.realm, 0, realm.Change{Settings: settings})
	return err
}

// TestRealmProfiles: a realm takes a profile when its clients fit, and then no
// others; it says so in its metadata; operators still come in.
func TestRealmProfiles(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		secret := d.app("legacy")
		d.strictBank("bank", func(s *client.Settings) { s.Profile = "" })
		err := d.setting("profile", "fapi2")
		f, ok := err.(*fault.Error)
		if !ok || !strings.Contains(f.Fields["settings.profile"], "legacy: token_endpoint_auth_method") || strings.Contains(f.Fields["settings.profile"], "bank") {
			d.Fatalf("with a client that does not fit: %v %+v", err, f)
		}
		if got := d.token("legacy", secret, "grant_type", "client_credentials"); got.Access == "" {
			d.Errorf("after the refusal: %+v", got)
		}
		if err := d.Grants.DeleteClient(ctx, audit.System, d.realm, "legacy", 0, nil); err != nil {
			d.Fatal(err)
		}
		d.set("profile", "fapi2")
		for field, change := range map[string]func(*client.Settings){
			"token_endpoint_auth_method": func(*client.Settings) {},
			"profile": func(s *client.Settings) {
				s.Profile, s.AuthMethod, s.TLSSubjectDN = client.ProfileMCP, client.TLSClientAuth, "CN=a"
			},
		} {
			s := client.Settings{Name: "App", RedirectURIs: []string{callback}, Scopes: []string{"openid"}}
			change(&s)
			_, err := d.Clients.Create(ctx, audit.System, d.realm, client.Draft{ID: "laxer", Settings: s})
			if f, ok := err.(*fault.Error); !ok || f.Fields[field] == "" {
				d.Errorf("%s: %v", field, err)
			}
		}
		cookie := d.signIn(d.ada)
		if got := d.authorize(cookie, request("bank")); got.Get("error") != "invalid_request" {
			d.Errorf("not pushed: %v", got)
		}
		w := d.opened(cookie, request(client.CLI, "redirect_uri", "http://127.0.0.1:1234/callback", "scope", "openid"))
		if to := d.local(w); !strings.HasPrefix(to, "/consent?") {
			d.Errorf("the command line: %d %s", w.Code, to)
		}
		doc := d.get("/.well-known/openid-configuration", "").Body.String()
		for _, part := range []string{`"require_pushed_authorization_requests":true`, `"token_endpoint_auth_methods_supported":["private_key_jwt"`, `"dpop_signing_alg_values_supported":["ES256","PS256","EdDSA"]`} {
			if !strings.Contains(doc, part) {
				d.Errorf("the metadata lacks %s: %s", part, doc)
			}
		}
		d.set("profile", "default")
		if doc := d.get("/.well-known/openid-configuration", "").Body.String(); !strings.Contains(doc, "client_secret_basic") || !strings.Contains(doc, `"require_pushed_authorization_requests":false`) {
			d.Errorf("back: %s", doc)
		}
	})
}

// TestContradictionsAreLetInNowhere: should a realm come by rules that a client
// contradicts, the client is refused at each door.
func TestContradictionsAreLetInNowhere(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		cookie := d.signIn(d.ada)
		got := d.tokens(cookie, "app", secret, "scope", "openid offline_access")
		err := d.DB.Update(context.Background(), d.realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE realms SET settings = $2, version = version + 1 WHERE realm = $1`, tx.Realm, `{"profile":"fapi2"}`)
			audit.Append(tx, audit.System, audit.Event{Action: "realm.update", TargetType: "realm", Target: tx.Realm, Invalidates: true})
			return err
		})
		if err != nil {
			d.Fatal(err)
		}
		if got := d.authorize(cookie, request("app")); got.Get("error") != "unauthorized_client" {
			d.Errorf("authorize: %v", got)
		}
		d.refuse(d.read(d.pushing("app", secret, request("app"))), 401, "invalid_client")
		d.refuse(d.token("app", secret, "grant_type", "client_credentials"), 401, "invalid_client")
		d.refuse(d.token("app", secret, "grant_type", "refresh_token", "refresh_token", got.Refresh), 401, "invalid_client")
		if w := d.do("POST", "/oauth2/introspect", "token="+got.Access, "Authorization", "Basic "+basicOf("app", secret)); w.Code != http.StatusUnauthorized {
			d.Errorf("introspect: %d", w.Code)
		}
	})
}

// TestDevicesFollowTheProfile: a device says what its tokens are for when it
// begins, and need not say it again; a client that must sign cannot begin so.
func TestDevicesFollowTheProfile(t *testing.T) {
	run(t, func(d *door) {
		device := func(s *client.Settings) { s.GrantTypes = append(s.GrantTypes, client.DeviceCode) }
		secret := d.app("app", device)
		ask := func(pairs ...string) reply {
			d.Helper()
			v := values(url.Values{"scope": {"openid"}}, pairs...)
			return d.read(d.do("POST", "/oauth2/device_authorization", v.Encode(), "Authorization", "Basic "+basicOf("app", secret)))
		}
		if got := ask(); got.Error != "" {
			d.Fatalf("%+v", got)
		}
		d.refuse(ask("authorization_details", `[{"type":"payment"}]`), 400, "invalid_authorization_details")
		d.set("profile", "mcp")
		d.refuse(ask(), 400, "invalid_target")
		w := d.do("POST", "/oauth2/device_authorization", values(url.Values{"scope": {"openid"}}, "resource", "https://api.example.com").Encode(), "Authorization", "Basic "+basicOf("app", secret))
		var begun struct {
			Code string `json:"device_code"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &begun); err != nil || begun.Code == "" {
			d.Fatalf("%d %s", w.Code, w.Body)
		}
		d.Clock.Advance(6 * time.Second)
		d.refuse(d.token("app", secret, "grant_type", client.DeviceCode, "device_code", begun.Code), 400, "authorization_pending")
	})
}

// TestMCPNamesResources: MCP authorization. Whoever asks says what the tokens
// are for.
func TestMCPNamesResources(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		d.app("page", public)
		d.set("profile", "mcp")
		cookie := d.signIn(d.ada)
		const api = "https://api.example.com"
		if got := d.authorize(cookie, request("page")); got.Get("error") != "invalid_target" {
			d.Errorf("no resource: %v", got)
		}
		d.refuse(d.read(d.pushing("app", secret, request("app"))), 400, "invalid_target")
		d.refuse(d.token("app", secret, "grant_type", "client_credentials"), 400, "invalid_target")
		if got := d.token("app", secret, "grant_type", "client_credentials", "resource", api); d.claims(got.Access)["aud"] != api {
			d.Errorf("for itself: %+v", got)
		}
		got := d.tokens(cookie, "page", "", "resource", api, "scope", "orders:read offline_access")
		if d.claims(got.Access)["aud"] != api {
			d.Errorf("%v", d.claims(got.Access))
		}
		if next := d.token("page", "", "grant_type", "refresh_token", "refresh_token", got.Refresh); d.claims(next.Access)["aud"] != api {
			d.Errorf("refresh: %+v", next)
		}
	})
}
