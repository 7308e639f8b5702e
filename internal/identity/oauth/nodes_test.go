package oauth_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

// nodes are two doors to one realm: two nodes where there can be two.
func (d *door) nodes() (a, b *door) {
	d.Helper()
	if d.DB.Engine() != db.Postgres {
		return d, d
	}
	second := *d
	second.Env = d.Node(d.T)
	return d, &second
}

// TestOneTimeValuesHoldOnTheOtherNode: P-07, TK-01, TK-02, AZ-10, CL-02. What one
// node gave is worth to the other what it is worth to itself: nothing to another
// client (mix-up), nothing with less than was demanded (downgrade), nothing
// with another key (binding), and nothing a second time (replay), wherever the
// first time was.
func TestOneTimeValuesHoldOnTheOtherNode(t *testing.T) {
	for name, story := range map[string]func(a, b *door, cookie string){
		"code":          codeOnTwoNodes,
		"request_uri":   pushedOnTwoNodes,
		"device code":   deviceOnTwoNodes,
		"auth_req_id":   backchannelOnTwoNodes,
		"refresh":       refreshOnTwoNodes,
		"DPoP":          proofsOnTwoNodes,
		"assertion":     assertionOnTwoNodes,
		"attestation":   attestationOnTwoNodes,
		"signed asking": signedBackchannelOnTwoNodes,
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(d *door) {
				a, b := d.nodes()
				story(a, b, d.signIn(d.ada))
			})
		})
	}
}

func codeOnTwoNodes(a, b *door, cookie string) {
	secret, other := a.app("app"), a.app("other")
	code := a.code(cookie, request("app"))
	b.refuse(b.redeem("other", other, code), 400, "invalid_grant")
	b.refuse(b.redeem("app", secret, a.code(cookie, request("app")), "code_verifier", ""), 400, "invalid_grant")
	b.refuse(b.redeem("app", secret, a.code(cookie, request("app")), "code_verifier", strings.Repeat("x", 43)), 400, "invalid_grant")
	b.refuse(b.redeem("app", secret, a.code(cookie, request("app")), "redirect_uri", callback+"2"), 400, "invalid_grant")
	p, thief := a.prover(), b.prover()
	bound := a.code(cookie, request("app", "dpop_jkt", p.jkt))
	b.refuse(b.redeem("app", secret, bound), 400, "invalid_grant")
	v := values(nil, "grant_type", "authorization_code", "code", bound, "redirect_uri", callback, "code_verifier", verifier)
	b.refuse(b.read(b.do("POST", "/oauth2/token", v.Encode(), "Authorization", "Basic "+basicOf("app", secret), "DPoP", thief.proof("POST", "/oauth2/token", ""))), 400, "invalid_grant")

	good := a.code(cookie, request("app"))
	got := b.redeem("app", secret, good)
	if got.Access == "" || !a.alive(got.Access) {
		a.Fatalf("on the other node: %+v", got)
	}
	a.refuse(a.redeem("app", secret, good), 400, "invalid_grant")
	if b.alive(got.Access) {
		a.Error("the tokens of a code that was used twice live on the other node")
	}
}

func pushedOnTwoNodes(a, b *door, cookie string) {
	secret := a.app("app", func(s *client.Settings) { s.RequirePushedRequests = true })
	a.app("other")
	named := a.push("app", secret, request("app", "scope", "openid orders:read"))
	b.shown("another client's", b.opened(cookie, values(named, "client_id", "other")))
	if got := b.authorize(cookie, request("app")); got.Get("code") != "" {
		a.Errorf("not pushed at all: %v", got)
	}
	got := b.authorize(cookie, values(named, "scope", "openid orders:write"))
	if tokens := a.redeem("app", secret, got.Get("code")); tokens.Scope != "openid orders:read" {
		a.Errorf("what the browser adds counts: %+v", tokens)
	}
	a.shown("a second time", a.opened(cookie, named))
	b.shown("a third time", b.opened(cookie, named))
}

func deviceOnTwoNodes(a, b *door, cookie string) {
	a.tv("tvset")
	a.tv("other")
	asked := a.device("tvset")
	b.refuse(b.poll("tvset", asked.Code), 400, "authorization_pending")
	b.connect(cookie, asked.UserCode)
	b.refuse(b.poll("other", asked.Code), 400, "invalid_grant")
	got := b.poll("tvset", asked.Code)
	if got.Access == "" || !a.alive(got.Access) {
		a.Fatalf("on the other node: %+v", got)
	}
	a.refuse(a.poll("tvset", asked.Code), 400, "invalid_grant")
	if b.alive(got.Access) {
		a.Error("the tokens of a code that was used twice live on the other node")
	}
	// Asking too early is noticed wherever it was asked before.
	again := a.device("tvset")
	a.refuse(a.poll("tvset", again.Code), 400, "authorization_pending")
	b.refuse(b.poll("tvset", again.Code), 400, "slow_down")
}

func backchannelOnTwoNodes(a, b *door, cookie string) {
	secret, other := a.bank("bank"), a.bank("other")
	asked := a.call("bank", secret)
	page := b.signedIn(cookie)
	page.submit(page.approvals(), "do", "allow")
	b.refuse(b.fetchCIBA("other", other, asked.ID), 400, "invalid_grant")
	got := b.fetchCIBA("bank", secret, asked.ID)
	if got.Access == "" || !a.alive(got.Access) {
		a.Fatalf("on the other node: %+v", got)
	}
	a.refuse(a.fetchCIBA("bank", secret, asked.ID), 400, "invalid_grant")
	if b.alive(got.Access) {
		a.Error("the tokens of a request that was used twice live on the other node")
	}
}

func refreshOnTwoNodes(a, b *door, cookie string) {
	a.app("app", public)
	p, thief := a.prover(), b.prover()
	proof := func(p *prover) string { return p.proof("POST", "/oauth2/token", "") }
	first := a.ask(a.coded(cookie), proof(p))
	b.refuse(b.ask(refreshing(first.Refresh)), 400, "invalid_grant")
	b.refuse(b.ask(refreshing(first.Refresh), proof(thief)), 400, "invalid_grant")
	second := b.ask(refreshing(first.Refresh), proof(p))
	if second.Type != "DPoP" || second.Refresh == "" {
		a.Fatalf("on the other node: %+v", second)
	}
	third := a.ask(refreshing(second.Refresh), proof(p))
	a.refuse(a.ask(refreshing(first.Refresh), proof(p)), 400, "invalid_grant") // two hold it
	b.refuse(b.ask(refreshing(third.Refresh), proof(p)), 400, "invalid_grant")
	if w := b.userinfo("DPoP", third.Access, p.proof("GET", "/oauth2/userinfo", third.Access)); w.Code != http.StatusUnauthorized {
		a.Errorf("an access token of a family that died: %d", w.Code)
	}
}

func proofsOnTwoNodes(a, b *door, cookie string) {
	a.app("app", public, func(s *client.Settings) { s.DPoPBoundAccessTokens, s.DPoPRequireNonce = true, true })
	p, thief := a.prover(), b.prover()
	v := a.coded(cookie)
	nonce := a.ask(v, p.proof("POST", "/oauth2/token", "")).Header.Get("DPoP-Nonce")
	proof := p.proof("POST", "/oauth2/token", "", set("nonce", nonce))
	got := b.ask(v, proof) // a nonce of one node is the other's too
	if got.Type != "DPoP" {
		a.Fatalf("on the other node: %+v", got)
	}
	a.refuse(a.ask(refreshing(got.Refresh), proof), 400, "invalid_dpop_proof")
	at := func(d *door, scheme string, p *prover, access string) int {
		text := ""
		if p != nil {
			text = p.proof("GET", "/oauth2/userinfo", access, set("nonce", nonce))
		}
		return d.userinfo(scheme, access, text).Code
	}
	for name, code := range map[string]int{"as a bearer token": at(a, "Bearer", nil, got.Access), "without a proof": at(a, "DPoP", nil, got.Access), "with another key": at(a, "DPoP", thief, got.Access)} {
		if code != http.StatusUnauthorized {
			a.Errorf("%s: %d", name, code)
		}
	}
	shown := p.proof("GET", "/oauth2/userinfo", got.Access, set("nonce", nonce))
	if w := a.userinfo("DPoP", got.Access, shown); w.Code != http.StatusOK {
		a.Errorf("with its key: %d %s", w.Code, w.Body)
	}
	if w := b.userinfo("DPoP", got.Access, shown); w.Code != http.StatusUnauthorized {
		a.Errorf("with a proof that the other node has seen: %d", w.Code)
	}
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func assertionOnTwoNodes(a, b *door, _ string) {
	key, _ := jose.Generate("k1", jose.ES256)
	a.app("jwt", func(s *client.Settings) {
		s.AuthMethod, s.JWKS = client.PrivateKeyJWT, string(jose.Set{key.Public()}.JSON())
	})
	ask := func(d *door, assertion string, pairs ...string) reply {
		return d.token("", "", append([]string{"grant_type", "client_credentials", "client_assertion", assertion, "client_assertion_type", assertionType}, pairs...)...)
	}
	good := a.assertion(key, "jwt", nil)
	if got := ask(b, good); got.Access == "" {
		a.Fatalf("%+v", got)
	}
	a.refuse(ask(a, good), 401, "invalid_client")
	// At once, too.
	raced, got := a.assertion(key, "jwt", nil), make([]reply, 16)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { got[i] = ask([]*door{a, b}[i%2], raced) })
	}
	all.Wait()
	passed := 0
	for _, g := range got {
		if g.Access != "" {
			passed++
		}
	}
	if passed != 1 {
		a.Errorf("an assertion passed %d times", passed)
	}
}

func attestationOnTwoNodes(a, b *door, _ string) {
	attester, _ := jose.Generate("a1", jose.ES256)
	phone, _ := jose.Generate("", jose.ES256)
	stolen, _ := jose.Generate("", jose.ES256)
	a.app("wallet", func(s *client.Settings) {
		s.AuthMethod, s.AttesterJWKS = client.AttestedJWT, string(jose.Set{attester.Public()}.JSON())
	})
	attestation, proof := a.attestation(attester, phone, "wallet", nil), a.pop(phone, nil)
	b.refuse(b.present(attestation, b.pop(stolen, nil)), 401, "invalid_client")
	b.refuse(b.present(attestation, ""), 401, "invalid_client")
	if got := b.present(attestation, proof); got.Access == "" {
		a.Fatalf("%+v", got)
	}
	a.refuse(a.present(attestation, proof), 401, "invalid_client")
	if got := a.present(attestation, a.pop(phone, nil)); got.Access == "" {
		a.Errorf("another proof of the same instance: %+v", got)
	}
}

func signedBackchannelOnTwoNodes(a, b *door, _ string) {
	key, _ := jose.Generate("k1", jose.ES256)
	secret := a.bank("bank", func(s *client.Settings) {
		s.AuthMethod, s.BackchannelRequestAlg, s.JWKS = client.SecretBasic, jose.ES256, string(jose.Set{key.Public()}.JSON())
	})
	asks := values(nil, "client_id", "bank", "scope", "openid", "login_hint", "ada@example.com")
	object := signer{a, key}.typed("JWT", asks, map[string]any{"jti": rnd(), "iat": a.Clock.Now().Unix()})
	ask := func(d *door, object string) backchannel {
		return d.call("bank", secret, "scope", "", "login_hint", "", "request", object)
	}
	if got := ask(b, object); got.Status != http.StatusOK {
		a.Fatalf("%+v", got)
	}
	if got := ask(a, object); got.Error != "invalid_request" {
		a.Errorf("a second time, on the other node: %+v", got)
	}
	if got := a.call("bank", secret); got.Error != "invalid_request" {
		a.Errorf("unsigned: %+v", got)
	}
}
