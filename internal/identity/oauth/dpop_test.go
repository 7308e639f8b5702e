package oauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// prover makes DPoP proofs with one key.
type prover struct {
	d   *door
	key *ecdsa.PrivateKey
	jwk map[string]any
	jkt string
}

func (d *door) prover() *prover {
	d.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.Fatal(err)
	}
	public, err := jose.NewPublicKey("", "", &key.PublicKey)
	if err != nil {
		d.Fatal(err)
	}
	p := &prover{d: d, key: key, jkt: public.Thumbprint()}
	if err := json.Unmarshal(public.JWK(), &p.jwk); err != nil {
		d.Fatal(err)
	}
	return p
}

// proof is good for a request; change edits its header and claims.
func (p *prover) proof(method, path, access string, change ...func(head, claims map[string]any)) string {
	p.d.Helper()
	head := map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": p.jwk}
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": p.d.issuer() + path, "iat": p.d.Clock.Now().Unix()}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	for _, f := range change {
		f(head, claims)
	}
	enc := base64.RawURLEncoding.EncodeToString
	h, _ := json.Marshal(head)
	c, _ := json.Marshal(claims)
	text := enc(h) + "." + enc(c)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, digest[:])
	if err != nil {
		p.d.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + enc(sig)
}

func set(name string, value any) func(head, claims map[string]any) {
	return func(_, claims map[string]any) { claims[name] = value }
}

func unset(name string) func(head, claims map[string]any) {
	return func(_, claims map[string]any) { delete(claims, name) }
}

// ask posts to the token endpoint with proofs, as the public client "app".
func (d *door) ask(v url.Values, proofs ...string) reply {
	d.Helper()
	return d.read(d.posted(v, proofs...))
}

func (d *door) posted(v url.Values, proofs ...string) *httptest.ResponseRecorder {
	d.Helper()
	r := httptest.NewRequest("POST", d.issuer()+"/oauth2/token", strings.NewReader(values(v, "client_id", "app").Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, p := range proofs {
		r.Header.Add("DPoP", p)
	}
	w := httptest.NewRecorder()
	d.Handler.ServeHTTP(w, r)
	return w
}

// coded is the request that redeems a fresh code.
func (d *door) coded(cookie string, pairs ...string) url.Values {
	d.Helper()
	pairs = append([]string{"scope", "openid offline_access"}, pairs...)
	return url.Values{"grant_type": {"authorization_code"}, "code": {d.code(cookie, request("app", pairs...))}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

func refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

// userinfo presents an access token.
func (d *door) userinfo(scheme, access, proof string) *httptest.ResponseRecorder {
	d.Helper()
	head := []string{"Authorization", scheme + " " + access}
	if proof != "" {
		head = append(head, "DPoP", proof)
	}
	return d.do("GET", "/oauth2/userinfo", "", head...)
}

// TestProofsAreCheckedInFull: CL-04. Each part of a proof is wrong once, at the
// token endpoint and where a token is presented.
func TestProofsAreCheckedInFull(t *testing.T) {
	run(t, func(d *door) {
		d.app("app", public)
		cookie, p, other := d.signIn(d.ada), d.prover(), d.prover()
		good := d.ask(d.coded(cookie), p.proof("POST", "/oauth2/token", ""))
		if good.Type != "DPoP" || d.claims(good.Access)["cnf"].(map[string]any)["jkt"] != p.jkt {
			d.Fatalf("%+v", good)
		}
		private := map[string]any{"d": "AAAA"}
		for k, v := range p.jwk {
			private[k] = v
		}
		now := d.Clock.Now().Unix()
		forgeries := map[string]func(head, claims map[string]any){
			"typ":            func(h, _ map[string]any) { h["typ"] = "JWT" },
			"no typ":         func(h, _ map[string]any) { delete(h, "typ") },
			"alg":            func(h, _ map[string]any) { h["alg"] = "RS256" },
			"alg none":       func(h, _ map[string]any) { h["alg"] = "none" },
			"alg HS256":      func(h, _ map[string]any) { h["alg"] = "HS256" },
			"other key":      func(h, _ map[string]any) { h["jwk"] = other.jwk },
			"private key":    func(h, _ map[string]any) { h["jwk"] = private },
			"symmetric key":  func(h, _ map[string]any) { h["jwk"] = map[string]any{"kty": "oct", "k": "AAAA"} },
			"no key":         func(h, _ map[string]any) { delete(h, "jwk") },
			"jku":            func(h, _ map[string]any) { h["jku"] = "https://evil.example.com" },
			"crit":           func(h, _ map[string]any) { h["crit"] = []string{"x"} },
			"htm":            set("htm", "PUT"),
			"htm case":       set("htm", "post"),
			"no htm":         unset("htm"),
			"htu path":       set("htu", d.issuer()+"/oauth2/tokens"),
			"htu host":       set("htu", "https://evil.example.com/oauth2/token"),
			"htu scheme":     set("htu", strings.Replace(d.issuer(), "https:", "http:", 1)+"/oauth2/token"),
			"htu port":       set("htu", strings.Replace(d.issuer(), ".test", ".test:8443", 1)+"/oauth2/token"),
			"htu user":       set("htu", strings.Replace(d.issuer(), "https://", "https://x@", 1)+"/oauth2/token"),
			"htu of another": set("htu", strings.TrimSuffix(d.issuer(), "/realms/neighbour")+"/realms/third/oauth2/token"),
			"no htu":         unset("htu"),
			"old":            set("iat", now-60),
			"ahead":          set("iat", now+11),
			"iat text":       set("iat", "now"),
			"no iat":         unset("iat"),
			"no jti":         unset("jti"),
			"jti empty":      set("jti", ""),
			"jti long":       set("jti", strings.Repeat("x", 257)),
			"jti number":     set("jti", 7),
		}
		v := d.coded(cookie)
		for name, change := range forgeries {
			d.refuse(d.ask(v, p.proof("POST", "/oauth2/token", "", change)), 400, "invalid_dpop_proof")
			if strings.HasPrefix(name, "htu") || strings.HasPrefix(name, "htm") {
				continue
			}
			w := d.userinfo("DPoP", good.Access, p.proof("GET", "/oauth2/userinfo", good.Access, change))
			if challenge := w.Header().Get("WWW-Authenticate"); w.Code != 401 || !strings.HasPrefix(challenge, "DPoP ") ||
				!strings.Contains(challenge, `error="invalid_dpop_proof"`) || !strings.Contains(challenge, `algs="ES256 `) {
				d.Errorf("userinfo, %s: %d %s", name, w.Code, challenge)
			}
		}
		one, two := p.proof("POST", "/oauth2/token", ""), p.proof("POST", "/oauth2/token", "")
		d.refuse(d.ask(v, one, two), 400, "invalid_dpop_proof")
		d.refuse(d.ask(v, ""), 400, "invalid_dpop_proof")
		d.refuse(d.ask(v, one[:len(one)-4]+"AAAA"), 400, "invalid_dpop_proof")
		d.refuse(d.ask(v, strings.Repeat("x", 5000)), 400, "invalid_dpop_proof")
		// Query, fragment, spelling and default port of htu mean nothing.
		spelled := strings.ToUpper(d.issuer()[:8]) + strings.Replace(d.issuer()[8:], ".test", ".TEST:443", 1) + "/oauth2/t%6fken?x=1#y"
		if got := d.ask(v, p.proof("POST", "/oauth2/token", "", set("htu", spelled))); got.Error != "" {
			d.Errorf("htu in another spelling: %+v", got)
		}
		for name, change := range map[string]func(head, claims map[string]any){
			"ath": set("ath", base64.RawURLEncoding.EncodeToString(make([]byte, 32))), "no ath": unset("ath"), "htm": set("htm", "POST"), "htu": set("htu", d.issuer()+"/oauth2/token"),
		} {
			if w := d.userinfo("DPoP", good.Access, p.proof("GET", "/oauth2/userinfo", good.Access, change)); w.Code != 401 {
				d.Errorf("userinfo, %s: %d", name, w.Code)
			}
		}
	})
}

// TestABoundTokenIsNoBearerToken: CL-04, in both formats of tokens, and at
// every API of ours.
func TestABoundTokenIsNoBearerToken(t *testing.T) {
	run(t, func(d *door) {
		cookie := d.signIn(d.ada)
		secret := d.app("asker")
		for _, format := range []client.TokenFormat{client.JWT, client.Opaque} {
			d.app("app"+string(format), public, func(s *client.Settings) { s.AccessTokenFormat = format })
			p := d.prover()
			v := values(d.codedFor("app"+string(format), cookie))
			got := d.read(d.do("POST", "/oauth2/token", v.Encode(), "DPoP", p.proof("POST", "/oauth2/token", "")))
			plain := d.read(d.do("POST", "/oauth2/token", values(d.codedFor("app"+string(format), cookie)).Encode()))
			if got.Type != "DPoP" || plain.Type != "Bearer" {
				d.Fatalf("%s: %+v %+v", format, got, plain)
			}
			ok := p.proof("GET", "/oauth2/userinfo", got.Access)
			if w := d.userinfo("DPoP", got.Access, ok); w.Code != 200 {
				d.Errorf("%s with proof: %d %s", format, w.Code, w.Body)
			}
			for name, w := range map[string]*httptest.ResponseRecorder{
				"the proof again":     d.userinfo("DPoP", got.Access, ok),
				"as bearer":           d.userinfo("Bearer", got.Access, ""),
				"bearer and proof":    d.userinfo("Bearer", got.Access, p.proof("GET", "/oauth2/userinfo", got.Access)),
				"without proof":       d.userinfo("DPoP", got.Access, ""),
				"other key":           d.userinfo("DPoP", got.Access, d.prover().proof("GET", "/oauth2/userinfo", got.Access)),
				"unbound as DPoP":     d.userinfo("DPoP", plain.Access, p.proof("GET", "/oauth2/userinfo", plain.Access)),
				"in a form":           d.do("POST", "/oauth2/userinfo", "access_token="+url.QueryEscape(got.Access)),
				"admin API as bearer": d.do("GET", "/api/v1/clients", "", "Authorization", "Bearer "+got.Access),
				"stream as bearer":    d.do("GET", "/status-lists/stream", "", "Authorization", "Bearer "+got.Access),
			} {
				if w.Code != 401 {
					d.Errorf("%s, %s: %d %s", format, name, w.Code, w.Body)
				}
			}
			var meaning struct {
				Active bool
				Type   string `json:"token_type"`
				Cnf    struct{ JKT string }
			}
			w := d.do("POST", "/oauth2/introspect", "token="+url.QueryEscape(got.Access), "Authorization", "Basic "+basicOf("asker", secret))
			_ = json.Unmarshal(w.Body.Bytes(), &meaning)
			if meaning.Active {
				d.Errorf("%s: somebody else may read it: %s", format, w.Body)
			}
			conf := d.app("conf"+string(format), func(s *client.Settings) { s.AccessTokenFormat = format })
			basic := "Basic " + basicOf("conf"+string(format), conf)
			own := d.read(d.do("POST", "/oauth2/token", "grant_type=client_credentials", "Authorization", basic, "DPoP", p.proof("POST", "/oauth2/token", "")))
			w = d.do("POST", "/oauth2/introspect", "token="+url.QueryEscape(own.Access), "Authorization", basic)
			_ = json.Unmarshal(w.Body.Bytes(), &meaning)
			if !meaning.Active || meaning.Type != "DPoP" || meaning.Cnf.JKT != p.jkt {
				d.Errorf("%s: introspected as %s", format, w.Body)
			}
		}
	})
}

// codedFor is coded for another public client.
func (d *door) codedFor(id, cookie string) url.Values {
	d.Helper()
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {id}, "code": {d.code(cookie, request(id, "scope", "openid offline_access"))},
		"redirect_uri": {callback}, "code_verifier": {verifier}}
}

// TestRefreshTokensOfPublicClientsAreBound: TK-06, and TK-01 for the key that a
// code is bound to.
func TestRefreshTokensOfPublicClientsAreBound(t *testing.T) {
	run(t, func(d *door) {
		d.app("app", public)
		cookie, p, other := d.signIn(d.ada), d.prover(), d.prover()
		at := func(p *prover) string { return p.proof("POST", "/oauth2/token", "") }
		got := d.ask(d.coded(cookie), at(p))
		if got.Refresh == "" {
			d.Fatalf("%+v", got)
		}
		d.refuse(d.ask(refreshing(got.Refresh), at(other)), 400, "invalid_grant")
		d.refuse(d.ask(refreshing(got.Refresh)), 400, "invalid_grant")
		next := d.ask(refreshing(got.Refresh), at(p))
		if next.Type != "DPoP" || next.Refresh == "" {
			d.Fatalf("with its key: %+v", next)
		}
		// The lost answer is repeated to the same key only.
		if again := d.ask(refreshing(got.Refresh), at(p)); again.Refresh != next.Refresh {
			d.Errorf("repeated: %+v", again)
		}
		d.refuse(d.ask(refreshing(next.Refresh), at(other)), 400, "invalid_grant")
		d.refuse(d.ask(refreshing(got.Refresh), at(other)), 400, "invalid_grant") // two hold it: the family dies
		d.refuse(d.ask(refreshing(next.Refresh), at(p)), 400, "invalid_grant")

		v := d.coded(cookie, "dpop_jkt", p.jkt)
		d.refuse(d.ask(v, at(other)), 400, "invalid_grant")
		d.refuse(d.ask(v), 400, "invalid_grant")
		if got := d.ask(v, at(p)); got.Type != "DPoP" {
			d.Errorf("code with its key: %+v", got)
		}
		if got := d.authorize(cookie, request("app", "dpop_jkt", "x")); got.Get("error") != "invalid_request" {
			d.Errorf("dpop_jkt: %v", got)
		}
	})
}

// TestClientsCanBeHeldToProofs: requiresBinding, and nonces of client and realm.
func TestClientsCanBeHeldToProofs(t *testing.T) {
	run(t, func(d *door) {
		d.app("app", public, func(s *client.Settings) { s.DPoPBoundAccessTokens, s.DPoPRequireNonce = true, true })
		cookie, p := d.signIn(d.ada), d.prover()
		v := d.coded(cookie)
		d.refuse(d.ask(v), 400, "invalid_dpop_proof")
		first := d.ask(v, p.proof("POST", "/oauth2/token", ""))
		d.refuse(first, 400, "use_dpop_nonce")
		nonce := first.Header.Get("DPoP-Nonce")
		if nonce == "" {
			d.Fatal("no nonce")
		}
		d.refuse(d.ask(v, p.proof("POST", "/oauth2/token", "", set("nonce", nonce+"A"))), 400, "use_dpop_nonce")
		d.Clock.Advance(50 * time.Second)
		got := d.ask(v, p.proof("POST", "/oauth2/token", "", set("nonce", nonce)))
		if got.Type != "DPoP" || got.Header.Get("DPoP-Nonce") == "" {
			d.Fatalf("with the nonce: %+v", got)
		}
		w := d.userinfo("DPoP", got.Access, p.proof("GET", "/oauth2/userinfo", got.Access))
		if w.Code != 401 || w.Header().Get("DPoP-Nonce") == "" || !strings.Contains(w.Header().Get("WWW-Authenticate"), "use_dpop_nonce") {
			d.Errorf("userinfo without nonce: %d %v", w.Code, w.Header())
		}
		if w := d.userinfo("DPoP", got.Access, p.proof("GET", "/oauth2/userinfo", got.Access, set("nonce", w.Header().Get("DPoP-Nonce")))); w.Code != 200 {
			d.Errorf("userinfo with nonce: %d %s", w.Code, w.Body)
		}
		d.Clock.Advance(4 * time.Minute)
		d.refuse(d.ask(refreshing(got.Refresh), p.proof("POST", "/oauth2/token", "", set("nonce", nonce))), 400, "use_dpop_nonce")
		if _, err := d.Realms.Update(context.Background(), audit.System, d.realm, 0, realm.Change{Settings: map[string]any{"dpop_nonce": "required"}}); err != nil {
			d.Fatal(err)
		}
		d.app("free", public)
		free := values(d.codedFor("free", cookie))
		d.refuse(d.read(d.do("POST", "/oauth2/token", free.Encode(), "DPoP", p.proof("POST", "/oauth2/token", ""))), 400, "use_dpop_nonce")
	})
}

// TestAProofWorksOnceOnAllNodes: CL-04, P-07. The same proof at once, on two
// nodes where there can be two.
func TestAProofWorksOnceOnAllNodes(t *testing.T) {
	run(t, func(d *door) {
		d.app("app", public)
		cookie := d.signIn(d.ada)
		nodes := []http.Handler{d.Handler, d.Handler}
		if d.DB.Engine() == db.Postgres {
			nodes[1] = d.Node(d.T).Handler
		}
		for range 5 {
			p := d.prover()
			got := d.ask(d.coded(cookie), p.proof("POST", "/oauth2/token", ""))
			proof := p.proof("GET", "/oauth2/userinfo", got.Access)
			var good, bad atomic.Int64
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					r := httptest.NewRequest("GET", d.issuer()+"/oauth2/userinfo", nil)
					r.Header.Set("Authorization", "DPoP "+got.Access)
					r.Header.Set("DPoP", proof)
					w := httptest.NewRecorder()
					nodes[i%2].ServeHTTP(w, r)
					switch w.Code {
					case 200:
						good.Add(1)
					case 401:
						bad.Add(1)
					}
				})
			}
			wg.Wait()
			if good.Load() != 1 || bad.Load() != 7 {
				d.Fatalf("%d passed and %d were refused, of 8", good.Load(), bad.Load())
			}
		}
	})
}
