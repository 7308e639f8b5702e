package oauth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// tested is metadata as the OpenID Foundation's suite sends them: with keys
// however the client authenticates, without kid and scope; pairs change them.
func tested(key *jose.Key, pairs ...any) said {
	var public map[string]any
	set := struct{ Keys []map[string]any }{}
	if err := json.Unmarshal(jose.Set{key.Public()}.JSON(), &set); err != nil {
		panic(err)
	}
	public = set.Keys[0]
	delete(public, "kid")
	m := said{"client_name": "Conformance Test", "grant_types": []string{"authorization_code"}, "response_types": []string{"code"},
		"jwks": map[string]any{"keys": []any{public}}, "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": []string{callback},
		"contacts": []string{"certification@oidf.org"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if m[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(m, pairs[i].(string))
		}
	}
	return m
}

// registered is a client that was registered for the suite, by its id and secret.
func (d *door) registered(metadata said) (id, secret string) {
	d.Helper()
	status, got := d.register("POST", "", "", metadata)
	if status != http.StatusCreated {
		d.Fatalf("%d %v", status, got)
	}
	return got.text("client_id"), got.text("client_secret")
}

// plain is a request of OpenID Connect's that knows nothing of PKCE.
func plain(id string, pairs ...string) url.Values {
	return values(request(id, append([]string{"scope", "openid", "code_challenge", "", "code_challenge_method", ""}, pairs...)...))
}

// redeemed trades a code without PKCE.
func (d *door) redeemed(id, secret, code string) reply {
	d.Helper()
	got := d.redeem(id, secret, code, "code_verifier", "")
	if got.Error != "" {
		d.Fatalf("%+v", got)
	}
	return got
}

// TestBasicOP: the way of a relying party that knows OpenID Connect Core and
// nothing newer, from its registration to its refreshed tokens.
func TestBasicOP(t *testing.T) {
	key, err := jose.Generate("k1", jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(d *door) {
		d.set("registration", "open", "registration_pkce", "optional")
		id, secret := d.registered(tested(key))
		b := d.browser()
		page := b.password(b.open(plain(id, "claims", `{"userinfo":{"name":{"essential":true}}}`, "claims_locales", "se", "ui_locales", "se",
			"display", "popup", "login_hint", "buffy@id.example.com", "acr_values", "aal3 aal1", "max_age", "15000", "extra", "foobar")))
		first := d.redeemed(id, secret, d.answer(b.submit(page, "do", "allow")).Get("code"))
		claims, head := d.claims(first.ID), d.header(first.ID)
		if head["alg"] != "RS256" || head["kid"] == nil || claims["nonce"] != "n-1" || claims["acr"] != "aal1" || claims["auth_time"] == nil || claims["name"] != nil {
			d.Errorf("ID token: %v %v", head, claims)
		}
		// Userinfo three ways (OpenID Connect Core, section 5.3.1).
		for name, w := range map[string]int{
			"GET":               d.do("GET", "/oauth2/userinfo", "", "Authorization", "bearer "+first.Access).Code,
			"POST, header":      d.do("POST", "/oauth2/userinfo", "", "Authorization", "Bearer "+first.Access).Code,
			"POST, empty form":  d.do("POST", "/oauth2/userinfo", "", "Authorization", "Bearer "+first.Access, "Content-Type", "application/x-www-form-urlencoded").Code,
			"POST, body":        d.do("POST", "/oauth2/userinfo", "access_token="+first.Access).Code,
			"POST, JSON wanted": d.do("POST", "/oauth2/userinfo", "", "Authorization", "Bearer "+first.Access, "Accept", "application/json").Code,
		} {
			if w != http.StatusOK {
				d.Errorf("userinfo, %s: %d", name, w)
			}
		}
		if m := d.info(first.Access); m["name"] == nil || m["sub"] != claims["sub"] {
			d.Errorf("userinfo: %v", m)
		}
		// The same person a second time, without being asked.
		d.Clock.Advance(2 * time.Second)
		for name, pairs := range map[string][]string{
			"prompt=none": {"prompt", "none"}, "a hint": {"prompt", "none", "id_token_hint", first.ID}, "max_age=10000": {"max_age", "10000"},
		} {
			again := d.claims(d.redeemed(id, secret, d.answer(b.open(plain(id, pairs...))).Get("code")).ID)
			if again["sub"] != claims["sub"] || again["auth_time"] != claims["auth_time"] {
				d.Errorf("%s: %v after %v", name, again, claims)
			}
		}
		second := d.answer(b.password(b.open(plain(id, "max_age", "1"))))
		if late := d.claims(d.redeemed(id, secret, second.Get("code")).ID); late["auth_time"].(float64) <= claims["auth_time"].(float64) {
			d.Errorf("max_age=1: %v after %v", late, claims)
		}
		state := strings.Repeat("s", 128)
		if got := d.answer(d.browser().open(plain(id, "prompt", "none", "state", state))); got.Get("error") != "login_required" || got.Get("state") != state {
			d.Errorf("nobody signed in: %v", got)
		}
		// PKCE, of a client that need not.
		if got := d.redeem(id, secret, d.answer(b.open(request(id, "scope", "openid"))).Get("code")); got.Access == "" {
			d.Errorf("with PKCE: %+v", got)
		}
		if w := b.send("POST", "/oauth2/authorize", plain(id).Encode()); !d.answer(w).Has("code") {
			d.Errorf("a posted request: %d", w.Code)
		}
		if got := d.answer(b.open(plain(id, "response_type", ""))); got.Get("error") != "invalid_request" {
			d.Errorf("no response type: %v", got)
		}
		d.shown("no redirect URI", b.open(plain(id, "redirect_uri", "")))
		d.shown("another redirect URI", b.open(plain(id, "redirect_uri", callback+"/x9")))
		d.shown("another query", b.open(plain(id, "redirect_uri", callback+"?dummy1=lorem")))
	})
}

// TestRefreshTokensOfTwoClients: what the suite asks of refresh tokens: the ID
// token that comes along is that of the first sign-in, and nobody uses another's.
func TestRefreshTokensOfTwoClients(t *testing.T) {
	key, err := jose.Generate("k1", jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(d *door) {
		d.set("registration", "open", "registration_pkce", "optional")
		var ids, secrets, refresh [2]string
		for i := range ids {
			ids[i], secrets[i] = d.registered(tested(key, "grant_types", []string{"authorization_code", "refresh_token"}))
			b := d.browser()
			page := b.password(b.open(plain(ids[i], "scope", "openid offline_access", "prompt", "consent")))
			first := d.redeemed(ids[i], secrets[i], d.answer(b.submit(page, "do", "allow")).Get("code"))
			d.Clock.Advance(time.Second)
			pairs := []string{"grant_type", "refresh_token", "refresh_token", first.Refresh}
			if i == 0 {
				pairs = append(pairs, "scope", "openid offline_access")
			}
			next := d.token(ids[i], secrets[i], pairs...)
			was, is := d.claims(first.ID), d.claims(next.ID)
			if next.Header.Get("Cache-Control") != "no-store" || next.Access == first.Access || is["iat"].(float64) <= was["iat"].(float64) {
				d.Errorf("%+v", next)
			}
			for _, name := range []string{"iss", "sub", "aud", "auth_time", "azp", "nonce"} {
				if is[name] != nil && is[name] != was[name] {
					d.Errorf("%s was %v and is %v", name, was[name], is[name])
				}
			}
			refresh[i] = next.Refresh
		}
		d.refuse(d.token(ids[0], secrets[0], "grant_type", "refresh_token", "refresh_token", refresh[1]), 400, "invalid_grant")
		if got := d.token(ids[1], secrets[1], "grant_type", "refresh_token", "refresh_token", refresh[1]); got.Access == "" {
			d.Errorf("its own client: %+v", got)
		}
	})
}

// TestRedirectURIsWithAQuery: the query that was registered stays, before what
// the answer adds (RFC 6749, section 3.1.2).
func TestRedirectURIsWithAQuery(t *testing.T) {
	run(t, func(d *door) {
		uri := callback + "?dummy1=lorem&dummy2=ipsum"
		d.app("app", func(s *client.Settings) { s.RedirectURIs = []string{uri} })
		cookie := d.signIn(d.ada)
		got := d.authorize(cookie, request("app", "redirect_uri", uri))
		if got.Get("dummy1") != "lorem" || got.Get("dummy2") != "ipsum" || !got.Has("code") || got.Get("state") != "s-1" {
			d.Errorf("%v", got)
		}
		for _, other := range []string{callback, callback + "?dummy2=ipsum&dummy1=lorem", uri + "&x=y", callback + "?foo=bar"} {
			d.shown(other, d.opened(cookie, request("app", "redirect_uri", other)))
		}
	})
}

// TestFAPI2RequestsAsTheSuiteMakesThem: values at the edge of what clients may
// send come back whole, and what they did not send does not.
func TestFAPI2RequestsAsTheSuiteMakesThem(t *testing.T) {
	run(t, func(d *door) {
		b := d.strictBank("bank")
		other := d.strictBank("other")
		cookie := d.signIn(d.ada)
		for name, pairs := range map[string][]string{
			"no state": {"state", ""}, "no nonce": {"nonce", ""}, "64 characters": {"nonce", strings.Repeat("n", 64)}, "384 characters": {"nonce", strings.Repeat("n", 384)},
			"1000 characters": {"state", strings.Repeat("s", 1000)}, "another order": {"scope", "profile openid"}, "a key named": {"dpop_jkt", b.prover.jkt},
		} {
			v := request("bank", pairs...)
			got := d.authorize(cookie, b.pushes(v))
			if got.Get("state") != v.Get("state") || got.Has("state") != v.Has("state") || got.Get("iss") != d.issuer() {
				d.Errorf("%s: %v", name, got)
			}
			tokens := b.asks(redeeming(got.Get("code")), b.proof())
			if nonce, _ := d.claims(tokens.ID)["nonce"].(string); nonce != v.Get("nonce") {
				d.Errorf("%s: nonce %q", name, nonce)
			}
		}
		// What stands beside the pushed request counts for nothing.
		beside := values(b.pushes(request("bank", "state", "")), "state", "s-2", "nonce", "n-2", "scope", "openid", "redirect_uri", "https://evil.example.com/", "response_type", "token")
		got := d.authorize(cookie, beside)
		if id := d.claims(b.asks(redeeming(got.Get("code")), b.proof()).ID); got.Has("state") || id["nonce"] != "n-1" || id["s_hash"] != nil {
			d.Errorf("beside: %v, %v", got, id)
		}
		d.shown("of another client", d.opened(cookie, values(b.pushes(request("bank")), "client_id", "other")))
		used := b.pushes(request("bank"))
		d.code(cookie, used)
		d.shown("used", d.opened(cookie, used))
		late := b.pushes(request("bank"))
		d.Clock.Advance(61 * time.Second)
		d.shown("expired", d.opened(cookie, late))
		if w := d.do("PUT", "/oauth2/par", b.proved(request("bank")).Encode()); w.Code != http.StatusMethodNotAllowed {
			d.Errorf("PUT: %d", w.Code)
		}
		d.refuse(d.read(d.pushing("bank", "", values(b.proved(request("bank")), "request_uri", "urn:ietf:params:oauth:request_uri:x"))), 400, "invalid_request")
		// A client's id with another's key, and a code in other hands.
		code := d.code(cookie, b.pushes(request("bank")))
		swapped := values(redeeming(code), "client_id", "other", "client_assertion", d.assertion(b.key, "other", nil), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		d.refuse(d.read(d.do("POST", "/oauth2/token", swapped.Encode(), "DPoP", b.proof())), 401, "invalid_client")
		d.refuse(other.asks(redeeming(code), other.proof()), 400, "invalid_grant")
		d.refuse(d.read(d.do("POST", "/oauth2/token", values(redeeming(code), "client_id", "bank").Encode(), "DPoP", b.proof())), 401, "invalid_client")
		tokens := b.asks(redeeming(code), b.proof())
		for _, scheme := range []string{"DPoP", "dPOP", "DPOP", "dpop"} {
			if w := d.userinfo(scheme, tokens.Access, b.prover.proof("GET", "/oauth2/userinfo", tokens.Access)); w.Code != http.StatusOK {
				d.Errorf("%s: %d", scheme, w.Code)
			}
		}
		if w := d.do("GET", "/oauth2/userinfo?access_token="+tokens.Access, "", "DPoP", b.prover.proof("GET", "/oauth2/userinfo", tokens.Access)); w.Code != 400 && w.Code != 401 {
			d.Errorf("in the address: %d", w.Code)
		}
		if w := d.userinfo("DPoP", tokens.Access, other.prover.proof("GET", "/oauth2/userinfo", tokens.Access)); w.Code != http.StatusUnauthorized {
			d.Errorf("with another key: %d", w.Code)
		}
		d.Clock.Advance(time.Second)
		d.refuse(b.asks(redeeming(code), b.proof()), 400, "invalid_grant")
		if w := d.userinfo("DPoP", tokens.Access, b.prover.proof("GET", "/oauth2/userinfo", tokens.Access)); w.Code != http.StatusUnauthorized {
			d.Errorf("after the code came again: %d", w.Code)
		}
	})
}

// TestFAPI2Clocks: FAPI 2.0 Security Profile, section 5.3.2.1: what is up to ten
// seconds ahead is taken, what is more than a minute ahead is not; times that a
// proof need not have do it no harm.
func TestFAPI2Clocks(t *testing.T) {
	run(t, func(d *door) {
		b := d.strictBank("bank")
		cookie, now := d.signIn(d.ada), d.Clock.Now()
		at := func(ahead time.Duration) map[string]any {
			t := now.Add(ahead)
			return map[string]any{"iat": t.Unix(), "nbf": t.Unix(), "exp": t.Add(time.Minute).Unix()}
		}
		with := func(claims map[string]any) url.Values {
			return values(b.proved(request("bank")), "client_assertion", d.assertion(b.key, "bank", claims))
		}
		for _, ahead := range []time.Duration{0, 8 * time.Second, 10 * time.Second} {
			if w := d.pushing("bank", "", with(at(ahead))); w.Code != http.StatusCreated {
				d.Errorf("an assertion of %v from now: %d %s", ahead, w.Code, w.Body)
			}
			object := b.object(request("bank"), map[string]any{"nbf": now.Add(ahead).Unix()})
			if got := d.authorize(cookie, b.pushes(by("bank", object))); !got.Has("code") {
				d.Errorf("a request object of %v from now: %v", ahead, got)
			}
		}
		for _, ahead := range []time.Duration{61 * time.Second, -5*time.Minute - time.Second} {
			d.refuse(d.read(d.pushing("bank", "", with(at(ahead)))), 401, "invalid_client")
		}
		d.refuse(d.read(d.pushing("bank", "", with(map[string]any{"aud": []string{d.issuer()}}))), 401, "invalid_client")
		for _, iat := range []int64{-10, 0, 10} {
			code := d.code(cookie, b.pushes(request("bank")))
			proof := func(method, path, access string) string {
				return b.prover.proof(method, path, access, set("iat", now.Unix()+iat), set("nbf", now.Unix()+iat), set("exp", now.Unix()+iat+300), set("extra", "x"),
					func(head, _ map[string]any) { head["extra"] = "x" })
			}
			got := b.asks(redeeming(code), proof("POST", "/oauth2/token", ""))
			if w := d.userinfo("DPoP", got.Access, proof("GET", "/oauth2/userinfo", got.Access)); w.Code != http.StatusOK {
				d.Errorf("a proof of %d s from now: %d %s; %+v", iat, w.Code, w.Body, got)
			}
		}
	})
}

// TestProofsFollowTheProfile: FAPI 2.0 Security Profile, section 5.4: RS256 is
// taken nowhere, though the token is bound to the RSA key that signs.
func TestProofsFollowTheProfile(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(d *door) {
		b := d.strictBank("bank")
		code := d.code(d.signIn(d.ada), b.pushes(request("bank")))
		got := b.asks(redeeming(code), d.rsaProofOf(key, "PS256", "POST", "/oauth2/token", ""))
		if got.Type != "DPoP" {
			d.Fatalf("%+v", got)
		}
		for alg, want := range map[string]int{"PS256": http.StatusOK, "RS256": http.StatusUnauthorized} {
			if w := d.userinfo("DPoP", got.Access, d.rsaProofOf(key, alg, "GET", "/oauth2/userinfo", got.Access)); w.Code != want {
				d.Errorf("%s: %d %s", alg, w.Code, w.Body)
			}
		}
	})
}

// TestSectorsAreVouchedFor: OpenID Connect Dynamic Client Registration, section
// 5. Clients of one sector know a person by one name, wherever they are, if the
// document at the sector's address names them; nobody else does.
func TestSectorsAreVouchedFor(t *testing.T) {
	run(t, func(d *door) {
		d.set("registration", "open")
		const there = "https://two.example.com/cb"
		list, asked := `["`+callback+`","`+there+`"]`, 0
		origin := d.Outside.Serve("one.example.com", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			w.Header().Set("Content-Type", map[bool]string{true: "application/json", false: "text/html"}[r.URL.Path != "/page"])
			if r.URL.Path == "/gone" {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = w.Write([]byte(list))
		}))
		member := func(uri string, pairs ...any) said {
			return about(append([]any{"subject_type", "pairwise", "sector_identifier_uri", origin + "/sector", "redirect_uris", []string{uri}}, pairs...)...)
		}
		subs, cookie := map[string]string{}, d.signIn(d.ada)
		for _, uri := range []string{callback, there} {
			status, got := d.register("POST", "", "", member(uri))
			if status != 201 || got["sector_identifier_uri"] != origin+"/sector" {
				d.Fatalf("%d %v", status, got)
			}
			id := got.text("client_id")
			d.consentTo(id, "openid")
			answer := d.elsewhere(d.get("/oauth2/authorize?"+request(id, "scope", "openid", "redirect_uri", uri).Encode(), cookie))
			tokens := d.redeem(id, got.text("client_secret"), answer.Get("code"), "redirect_uri", uri)
			subs[uri], _ = d.claims(tokens.ID)["sub"].(string)

			token := got.text("registration_access_token")
			if _, read := d.register("GET", "/"+id, token, nil); read["sector_identifier_uri"] != origin+"/sector" {
				d.Errorf("read: %v", read)
			}
			// An update is asked anew, and moves the client within the sector only.
			if status, moved := d.register("PUT", "/"+id, token, member("https://three.example.com/cb", "client_id", id)); status != 400 || moved.text("error") != "invalid_client_metadata" {
				d.Errorf("moved away: %d %v", status, moved)
			}
			if status, moved := d.register("PUT", "/"+id, token, member(there, "client_id", id)); status != 200 {
				d.Errorf("moved within: %d %v", status, moved)
			}
		}
		if subs[callback] == "" || subs[callback] != subs[there] || subs[there] == d.ada.ID {
			d.Errorf("subjects: %v", subs)
		}
		for name, metadata := range map[string]said{
			"not listed":       member("https://three.example.com/cb"),
			"half listed":      member(callback, "redirect_uris", []string{callback, "https://three.example.com/cb"}),
			"no such document": member(callback, "sector_identifier_uri", origin+"/gone"),
			"a page":           member(callback, "sector_identifier_uri", origin+"/page"),
			"no such host":     member(callback, "sector_identifier_uri", "https://three.example.com/sector"),
			"plain http":       member(callback, "sector_identifier_uri", strings.Replace(origin, "https", "http", 1)+"/sector"),
			"a number":         member(callback, "sector_identifier_uri", 7),
			"public, unlisted": member("https://three.example.com/cb", "subject_type", "public"),
		} {
			if status, got := d.register("POST", "", "", metadata); status != 400 || got.text("error") != "invalid_client_metadata" {
				d.Errorf("%s: %d %v", name, status, got)
			}
		}
		list = `{"redirect_uris":["` + callback + `"]}`
		if status, got := d.register("POST", "", "", member(callback)); status != 400 {
			d.Errorf("an object: %d %v", status, got)
		}
		// Nothing is fetched for whoever may not register.
		d.set("registration", "initial_access_token")
		before := asked
		if status, got := d.register("POST", "", "cdi_junk", member(callback)); status != 401 || asked != before {
			d.Errorf("a stranger: %d %v, %d fetches", status, got, asked-before)
		}
	})
}

// TestRequestObjectsByReference: a registered address with a fragment, an object
// signed with RS256 and without type and times, as OpenID Connect Core, section
// 6.2 has it.
func TestRequestObjectsByReference(t *testing.T) {
	key, err := jose.Generate("k1", jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(d *door) {
		d.set("registration", "open", "registration_pkce", "optional")
		object := ""
		origin := d.Outside.Serve("one.example.com", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/jwt")
			_, _ = w.Write([]byte(object))
		}))
		reference := origin + "/requesturi/x#qpXaRLh_n93TTR9F252ValdatUQvQiJi5BDub2BeznA"
		id, secret := d.registered(tested(key, "request_uris", []string{reference}, "request_object_signing_alg", "RS256", "jwks", json.RawMessage(jose.Set{key.Public()}.JSON())))
		d.consentTo(id, "openid")
		object = signer{d, key}.typed("JWT", plain(id), map[string]any{"exp": nil, "nbf": nil})
		cookie := d.signIn(d.ada)
		got := d.authorize(cookie, url.Values{"client_id": {id}, "request_uri": {reference}, "response_type": {"code"}, "scope": {"openid"}})
		if got.Get("state") != "s-1" || d.claims(d.redeemed(id, secret, got.Get("code")).ID)["nonce"] != "n-1" {
			d.Errorf("%v", got)
		}
		d.shown("without the fragment", d.opened(cookie, url.Values{"client_id": {id}, "request_uri": {strings.SplitN(reference, "#", 2)[0]}}))
	})
}

// TestUserinfoIsSignedAsRegistered: OpenID Connect Core, section 5.3.2.
func TestUserinfoIsSignedAsRegistered(t *testing.T) {
	key, err := jose.Generate("k1", jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(d *door) {
		d.set("registration", "open", "registration_pkce", "optional")
		id, secret := d.registered(tested(key, "userinfo_signed_response_alg", "RS256"))
		d.consentTo(id, "openid")
		tokens := d.redeemed(id, secret, d.code(d.signIn(d.ada), plain(id)))
		w := d.do("GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+tokens.Access)
		set, err := jose.ParseSet(d.get("/oauth2/jwks", "").Body.Bytes())
		if err != nil {
			d.Fatal(err)
		}
		if _, err := jose.Verify(w.Body.String(), jose.Want{Typ: []string{"userinfo+jwt"}, Keys: set, Alg: jose.RS256}); err != nil || w.Header().Get("Content-Type") != "application/jwt" {
			d.Fatalf("%v %v %s", err, w.Header(), w.Body)
		}
		claims, head := d.claims(w.Body.String()), d.header(w.Body.String())
		if claims["iss"] != d.issuer() || claims["aud"] != id || claims["sub"] != d.claims(tokens.ID)["sub"] || claims["nonce"] != nil || head["kid"] == nil {
			d.Errorf("%v %v", head, claims)
		}
	})
}

// TestTheTokenEndpointHasTwoAddresses: the suite's assertions name the token
// endpoint's alias (RFC 8705, section 5) where there is one, which the opt-out
// is for too.
func TestTheTokenEndpointHasTwoAddresses(t *testing.T) {
	e := apptest.StartWith(t, db.SQLite, map[string]string{"CARDEA_MTLS_URL": "https://mtls.example.com"})
	d := &door{T: t, Env: e, realm: realm.Default, other: apptest.Neighbour}
	key, err := jose.Generate("k1", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	for id, legacy := range map[string]bool{"legacy": true, "strict": false} {
		d.app(id, func(s *client.Settings) {
			s.AuthMethod, s.JWKS, s.LegacyAssertionAudience = client.PrivateKeyJWT, string(jose.Set{key.Public()}.JSON()), legacy
		})
		for audience, want := range map[string]bool{d.issuer(): true, d.issuer() + "/oauth2/token": legacy, "https://mtls.example.com/oauth2/token": legacy,
			"https://mtls.example.com/oauth2/par": false, "https://mtls.example.com": false} {
			got := d.token("", "", "grant_type", "client_credentials", "client_assertion", d.assertion(key, id, map[string]any{"aud": audience}),
				"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			if (got.Access != "") != want {
				t.Errorf("%s: for %s: %+v", id, audience, got)
			}
		}
	}
}
