package oauth_test

import (
	"context"
	"encoding/json"
	"maps"
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
	"github.com/cardea-id/cardea/internal/jose"
)

func (d *door) signed(key *jose.Key, typ string, claims, change said) string {
	d.Helper()
	all := said{}
	maps.Copy(all, claims)
	for name, v := range change {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		d.Fatal(err)
	}
	text, err := jose.Sign(key, typ, b)
	if err != nil {
		d.Fatal(err)
	}
	return text
}

// attestation is an attester's word that an instance of a client has a key.
func (d *door) attestation(attester, instance *jose.Key, id string, change said) string {
	now := d.Clock.Now()
	return d.signed(attester, "oauth-client-attestation+jwt", said{"sub": id, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"cnf": said{"jwk": json.RawMessage(instance.Public().JWK())}}, change)
}

// pop proves that an instance has its key.
func (d *door) pop(instance *jose.Key, change said) string {
	return d.signed(instance, "oauth-client-attestation-pop+jwt", said{"aud": d.issuer(), "jti": rnd(), "iat": d.Clock.Now().Unix()}, change)
}

// present sends a token request with an attestation and a proof.
func (d *door) present(attestation, pop string, pairs ...string) reply {
	d.Helper()
	var head []string
	if attestation != "" {
		head = append(head, "OAuth-Client-Attestation", attestation)
	}
	if pop != "" {
		head = append(head, "OAuth-Client-Attestation-PoP", pop)
	}
	return d.read(d.do("POST", "/oauth2/token", values(url.Values{"grant_type": {"client_credentials"}}, pairs...).Encode(), head...))
}

// CL-02, CL-03: an instance of a client is who an attester says it is, if it
// proves to have the attested key, for us, now, and once.
func TestAttestedClients(t *testing.T) {
	run(t, func(d *door) {
		attester, _ := jose.Generate("a1", jose.ES256)
		stranger, _ := jose.Generate("a1", jose.ES256)
		phone, _ := jose.Generate("", jose.ES256)
		other, _ := jose.Generate("", jose.ES256)
		keys := string(jose.Set{attester.Public()}.JSON())
		attested := func(s *client.Settings) { s.AuthMethod = client.AttestedJWT }
		d.app("wallet", func(s *client.Settings) { attested(s); s.AttesterJWKS = keys })
		d.app("second", func(s *client.Settings) { attested(s); s.AttesterJWKS = keys })
		d.app("realms", attested)
		secret := d.app("app")

		good, proof := d.attestation(attester, phone, "wallet", nil), d.pop(phone, nil)
		if got := d.present(good, proof); got.Access == "" {
			d.Fatalf("a good one: %+v", got)
		}
		d.refuse(d.present(good, proof), 401, "invalid_client") // the proof, once
		if got := d.present(good, d.pop(phone, nil), "client_id", "wallet"); got.Access == "" {
			d.Errorf("the same attestation with a new proof: %+v", got)
		}
		if got := d.present(good, d.pop(phone, said{"iss": "wallet", "exp": d.Clock.Now().Add(time.Minute).Unix()})); got.Access == "" {
			d.Errorf("as older drafts have it: %+v", got)
		}
		now := d.Clock.Now()
		for name, change := range map[string]said{
			"for another client": {"sub": "second"}, "for an unknown client": {"sub": "nobody"}, "for nobody": {"sub": nil},
			"expired": {"exp": now.Unix()}, "without end": {"exp": nil}, "without beginning": {"iat": nil}, "from the future": {"iat": now.Add(time.Hour).Unix()},
			"not yet": {"nbf": now.Add(time.Hour).Unix()}, "without a key": {"cnf": nil}, "with the key's id only": {"cnf": said{"kid": "x"}},
			"with a private key": {"cnf": said{"jwk": said{"kty": "EC", "crv": "P-256", "d": "AA"}}}, "with a shared key": {"cnf": said{"jwk": said{"kty": "oct", "k": "AAAA"}}},
			"with another's key": {"cnf": said{"jwk": json.RawMessage(other.Public().JWK())}},
		} {
			if got := d.present(d.attestation(attester, phone, "wallet", change), d.pop(phone, nil), "client_id", "wallet"); got.Access != "" || got.Status != 401 && got.Status != 400 {
				d.Errorf("an attestation %s: %+v", name, got)
			}
		}
		for name, change := range map[string]said{
			"for the token endpoint": {"aud": d.issuer() + "/oauth2/token"}, "for others too": {"aud": []string{d.issuer(), "https://evil.example.com"}}, "for nobody": {"aud": nil},
			"without an id": {"jti": nil}, "with a long id": {"jti": strings.Repeat("x", 300)}, "without a time": {"iat": nil}, "too old": {"iat": now.Add(-6 * time.Minute).Unix()},
			"from the future": {"iat": now.Add(2 * time.Minute).Unix()}, "by somebody else": {"iss": "second"}, "expired": {"exp": now.Unix()},
		} {
			if got := d.present(good, d.pop(phone, change)); got.Status != 401 || got.Error != "invalid_client" || got.Access != "" {
				d.Errorf("a proof %s: %+v", name, got)
			}
		}
		claims := said{"aud": d.issuer(), "jti": rnd(), "iat": now.Unix()}
		for name, got := range map[string]reply{
			"by another attester":      d.present(d.attestation(stranger, phone, "wallet", nil), d.pop(phone, nil)),
			"proved by another key":    d.present(good, d.pop(other, nil)),
			"without a proof":          d.present(good, ""),
			"a proof alone":            d.present("", d.pop(phone, nil), "client_id", "wallet"),
			"attested by itself":       d.present(d.attestation(phone, phone, "wallet", nil), d.pop(phone, nil)),
			"the attestation as proof": d.present(good, good),
			"another type of proof":    d.present(good, d.signed(phone, "JWT", claims, nil)),
			"another type":             d.present(d.signed(attester, "JWT", said{"sub": "wallet", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "cnf": said{"jwk": json.RawMessage(phone.Public().JWK())}}, nil), d.pop(phone, nil)),
			"a client of another kind": d.present(d.attestation(attester, phone, "app", nil), d.pop(phone, nil)),
			"nobody is trusted":        d.present(d.attestation(attester, phone, "realms", nil), d.pop(phone, nil)),
			"its id alone":             d.token("wallet", "", "grant_type", "client_credentials"),
			"with a secret":            d.token("wallet", "x", "grant_type", "client_credentials"),
			"junk":                     d.present("x", "y"),
		} {
			if got.Status != 401 || got.Error != "invalid_client" || got.Access != "" {
				d.Errorf("%s: %+v", name, got)
			}
		}
		d.refuse(d.present(good, d.pop(phone, nil), "client_id", "second"), 400, "invalid_request")
		two := d.read(d.do("POST", "/oauth2/token", "grant_type=client_credentials", "OAuth-Client-Attestation", good, "OAuth-Client-Attestation-PoP", d.pop(phone, nil),
			"Authorization", "Basic "+basicOf("app", secret)))
		d.refuse(two, 400, "invalid_request")
		// The realm's attesters count for clients that name none.
		d.set("attester_jwks", keys)
		if got := d.present(d.attestation(attester, phone, "realms", nil), d.pop(phone, nil)); got.Access == "" {
			d.Errorf("an attester of the realm: %+v", got)
		}
		// A client that no longer trusts its attester ends what came of it.
		access := d.present(good, d.pop(phone, nil)).Access
		api := d.Client(d.T, d.realm, "api", client.Settings{Name: "API", Type: client.Service, ResourceServer: true, Identifiers: []string{"https://api.example.com"}})
		active := func() bool {
			w := d.do("POST", "/oauth2/introspect", "token="+access, "Authorization", "Basic "+basicOf("api", api))
			return strings.Contains(w.Body.String(), `"active":true`)
		}
		if !active() {
			d.Error("the token is dead from its birth")
		}
		if err := d.change("wallet", func(s *client.Settings) { s.AttesterJWKS = string(jose.Set{stranger.Public()}.JSON()) }); err != nil {
			d.Fatal(err)
		}
		d.refuse(d.present(good, d.pop(phone, nil)), 401, "invalid_client")
		wallet, err := d.Clients.ByID(context.Background(), d.realm, "wallet")
		if err := d.Grants.EndRevoked(context.Background(), audit.System, d.realm, wallet.Principal, "test", err); err != nil {
			d.Fatal(err)
		}
		if active() {
			d.Error("what the old attester's word obtained lives")
		}
	})
}

// A refresh token belongs to the instance, not to every instance of the client.
func TestRefreshTokensBelongToTheInstance(t *testing.T) {
	run(t, func(d *door) {
		attester, _ := jose.Generate("a1", jose.ES256)
		phone, _ := jose.Generate("", jose.ES256)
		other, _ := jose.Generate("", jose.EdDSA)
		d.app("wallet", func(s *client.Settings) {
			s.AuthMethod, s.AttesterJWKS = client.AttestedJWT, string(jose.Set{attester.Public()}.JSON())
		})
		by := func(key *jose.Key, pairs ...string) reply {
			return d.present(d.attestation(attester, key, "wallet", nil), d.pop(key, nil), pairs...)
		}
		code := d.code(d.signIn(d.ada), request("wallet", "scope", "openid offline_access"))
		got := by(phone, "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier)
		if got.Refresh == "" {
			d.Fatalf("%+v", got)
		}
		d.refuse(by(other, "grant_type", "refresh_token", "refresh_token", got.Refresh), 400, "invalid_grant")
		next := by(phone, "grant_type", "refresh_token", "refresh_token", got.Refresh)
		if next.Access == "" {
			d.Fatalf("its own: %+v", next)
		}
		// RFC 7800, section 3.1: who asks is told the key.
		w := d.do("POST", "/oauth2/introspect", url.Values{"token": {next.Refresh}}.Encode(),
			"OAuth-Client-Attestation", d.attestation(attester, phone, "wallet", nil), "OAuth-Client-Attestation-PoP", d.pop(phone, nil))
		if !strings.Contains(w.Body.String(), `"cnf":{"jkt":"`+phone.Public().Thumbprint()+`"}`) {
			d.Errorf("introspection of the refresh token: %s", w.Body)
		}
	})
}

// A proof counts once, whichever node it is shown to.
func TestAttestationProofsCountOnceOnAllNodes(t *testing.T) {
	run(t, func(d *door) {
		attester, _ := jose.Generate("a1", jose.ES256)
		phone, _ := jose.Generate("", jose.ES256)
		d.app("wallet", func(s *client.Settings) {
			s.AuthMethod, s.AttesterJWKS = client.AttestedJWT, string(jose.Set{attester.Public()}.JSON())
		})
		nodes := []http.Handler{d.Handler}
		if d.DB.Engine() == db.Postgres {
			nodes = append(nodes, d.Env.Node(d.T).Handler)
		}
		attestation, proof := d.attestation(attester, phone, "wallet", nil), d.pop(phone, nil)
		var mu sync.Mutex
		counts := map[int]int{}
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				r := httptest.NewRequest("POST", d.issuer()+"/oauth2/token", strings.NewReader("grant_type=client_credentials"))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("OAuth-Client-Attestation", attestation)
				r.Header.Set("OAuth-Client-Attestation-PoP", proof)
				w := httptest.NewRecorder()
				nodes[i%len(nodes)].ServeHTTP(w, r)
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
