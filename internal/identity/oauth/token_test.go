package oauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// TestCodeIsBound: TK-01. Each thing that a code is bound to is swapped, alone
// and in pairs; no swap redeems it and none uses it up.
func TestCodeIsBound(t *testing.T) {
	run(t, func(d *door) {
		secret, other := d.app("app"), d.app("other")
		cookie := d.signIn(d.ada)
		code := d.code(cookie, request("app"))
		if len(code) < 40 {
			d.Errorf("code %q is short", code)
		}
		swaps := []struct {
			name  string
			apply func(id, secret *string, pairs *[]string)
		}{
			{"client", func(id, s *string, _ *[]string) { *id, *s = "other", other }},
			{"redirect", func(_, _ *string, p *[]string) { *p = append(*p, "redirect_uri", callback+"2") }},
			{"verifier", func(_, _ *string, p *[]string) { *p = append(*p, "code_verifier", strings.Repeat("A", 43)) }},
			{"code", func(_, _ *string, p *[]string) { *p = append(*p, "code", flip(code)) }},
		}
		for i := range swaps {
			for j := i; j < len(swaps); j++ {
				id, s, pairs := "app", secret, []string{}
				swaps[i].apply(&id, &s, &pairs)
				swaps[j].apply(&id, &s, &pairs)
				got := d.redeem(id, s, code, pairs...)
				if got.Status != 400 || got.Error != "invalid_grant" || got.Access != "" {
					d.Errorf("%s and %s swapped: %+v", swaps[i].name, swaps[j].name, got)
				}
			}
		}
		d.refuse(d.redeem("app", secret, code, "resource", "https://id.example.com"), 400, "invalid_target")
		if got := d.redeem("app", secret, code); got.Error != "" || d.claims(got.ID)["nonce"] != "n-1" {
			d.Errorf("nothing swapped: %+v", got)
		}
		code = d.code(cookie, request("app"))
		d.Clock.Advance(61 * time.Second)
		d.refuse(d.redeem("app", secret, code), 400, "invalid_grant")
	})
}

// flip changes the last character of a secret.
func flip(s string) string {
	last := byte('0')
	if s[len(s)-1] == last {
		last = '1'
	}
	return s[:len(s)-1] + string(last)
}

// TestCodeIsOfItsRealm: TK-01, the neighbour's door does not open for it.
func TestCodeIsOfItsRealm(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		code := d.code(d.signIn(d.ada), request("app"))
		here := d.realm
		d.realm, d.crossed = d.other, true
		theirs := d.app("app")
		d.refuse(d.redeem("app", theirs, code), 400, "invalid_grant")
		d.refuse(d.redeem("app", secret, code), 401, "invalid_client")
		d.realm = here
		if got := d.redeem("app", secret, code); got.Error != "" {
			d.Errorf("at home: %+v", got)
		}
	})
}

// TestSecondUseOfACode: TK-02. It is refused and what the first use got dies.
// Without the line that revokes value.Issued in grant_authorization_code.go the
// tokens stay alive.
func TestSecondUseOfACode(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		code := d.code(d.signIn(d.ada), request("app", "scope", "openid offline_access"))
		first := d.redeem("app", secret, code)
		if first.Refresh == "" || !d.alive(first.Access) {
			d.Fatalf("first use: %+v", first)
		}
		d.refuse(d.redeem("app", secret, code), 400, "invalid_grant")
		if d.alive(first.Access) {
			d.Error("the access token of the first use is alive")
		}
		d.refuse(d.token("app", secret, "grant_type", "refresh_token", "refresh_token", first.Refresh), 400, "invalid_grant")
	})
}

// TestCodeOnceUnderConcurrency: P-05. Of 64 who redeem one code at once, on two
// nodes where there can be two, at most one gets tokens.
func TestCodeOnceUnderConcurrency(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		code := d.code(d.signIn(d.ada), request("app"))
		nodes := []*door{d}
		if d.DB.Engine() == db.Postgres {
			second := *d
			second.Env = d.Node(d.T)
			nodes = append(nodes, &second)
		}
		got := make([]reply, 64)
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() { got[i] = nodes[i%len(nodes)].redeem("app", secret, code) })
		}
		all.Wait()
		good := 0
		for _, g := range got {
			if g.Access != "" {
				good++
			}
		}
		if good > 1 {
			d.Errorf("%d of %d redeemed one code", good, len(got))
		}
	})
}

// TestPKCECannotBeLeftOut: TK-03. A verifier is needed where a challenge was
// sent, and refused where none was.
func TestPKCECannotBeLeftOut(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("legacy", func(s *client.Settings) { s.PKCEOptional = true })
		d.app("spa", public)
		cookie := d.signIn(d.ada)
		with := d.code(cookie, request("legacy"))
		d.refuse(d.redeem("legacy", secret, with, "code_verifier", ""), 400, "invalid_grant")
		without := d.code(cookie, request("legacy", "code_challenge", "", "code_challenge_method", ""))
		d.refuse(d.redeem("legacy", secret, without), 400, "invalid_grant")
		if got := d.redeem("legacy", secret, without, "code_verifier", ""); got.Error != "" {
			d.Errorf("neither: %+v", got)
		}
		d.refuse(d.redeem("spa", "", d.code(cookie, request("spa")), "code_verifier", ""), 400, "invalid_grant")
		d.refuse(d.redeem("spa", "", d.code(cookie, request("spa")), "code_verifier", "short"), 400, "invalid_grant")
	})
}

// TestRefreshRotates: TK-04 and P-06. Parallel uses of one refresh token get
// the same one successor.
func TestRefreshRotates(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		first := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid offline_access")
		got := make([]reply, 16)
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				got[i] = d.token("app", secret, "grant_type", "refresh_token", "refresh_token", first.Refresh)
			})
		}
		all.Wait()
		next := ""
		for _, g := range got {
			if g.Refresh == "" {
				d.Errorf("refused within the grace: %+v", g)
			}
			if next != "" && g.Refresh != next {
				d.Errorf("two successors live: %q and %q", next, g.Refresh)
			}
			next = g.Refresh
		}
		if next == first.Refresh || !strings.HasPrefix(next, "cdr_") {
			d.Errorf("the successor is %q", next)
		}
	})
}

// TestReuseKillsTheFamily: TK-05.
func TestReuseKillsTheFamily(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		first := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid offline_access")
		second := d.token("app", secret, "grant_type", "refresh_token", "refresh_token", first.Refresh)
		third := d.token("app", secret, "grant_type", "refresh_token", "refresh_token", second.Refresh)
		if third.Refresh == "" || third.ID == "" {
			d.Fatalf("third: %+v", third)
		}
		d.refuse(d.token("app", secret, "grant_type", "refresh_token", "refresh_token", first.Refresh), 400, "invalid_grant")
		d.refuse(d.token("app", secret, "grant_type", "refresh_token", "refresh_token", third.Refresh), 400, "invalid_grant")
		if d.alive(third.Access) {
			d.Error("the family's access token is alive")
		}
	})
}

// TestRefreshIsBound: TK-06. To the client and in time, and scope only shrinks.
func TestRefreshIsBound(t *testing.T) {
	run(t, func(d *door) {
		secret, other := d.app("app"), d.app("other")
		cookie := d.signIn(d.ada)
		refresh := func(id, secret, text string, pairs ...string) reply {
			d.Helper()
			return d.token(id, secret, append(pairs, "grant_type", "refresh_token", "refresh_token", text)...)
		}
		first := d.tokens(cookie, "app", secret, "scope", "openid offline_access orders:read")
		d.refuse(refresh("other", other, first.Refresh), 400, "invalid_grant")
		d.refuse(refresh("app", secret, first.Refresh, "scope", "openid orders:write"), 400, "invalid_scope")
		d.refuse(refresh("app", secret, first.Refresh, "resource", "https://unknown.example.com"), 400, "invalid_target")
		narrow := refresh("app", secret, first.Refresh, "scope", "orders:read", "resource", "https://api.example.com")
		if narrow.Scope != "orders:read" || narrow.ID != "" || d.claims(narrow.Access)["aud"] != "https://api.example.com" {
			d.Errorf("narrowed: %+v %v", narrow, d.claims(narrow.Access))
		}
		wide := refresh("app", secret, narrow.Refresh)
		if wide.Scope != "offline_access openid orders:read" {
			d.Errorf("the family lost scope: %+v", wide)
		}
		d.Clock.Advance(31 * 24 * time.Hour)
		d.refuse(refresh("app", secret, wide.Refresh), 400, "invalid_grant")

		last := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid offline_access").Refresh
		for day := 0; day < 80; day += 20 {
			d.Clock.Advance(20 * 24 * time.Hour)
			next := refresh("app", secret, last)
			if next.Refresh == "" {
				d.Fatalf("day %d: %+v", day+20, next)
			}
			last = next.Refresh
		}
		d.Clock.Advance(11 * 24 * time.Hour)
		d.refuse(refresh("app", secret, last), 400, "invalid_grant") // absolute end, though never idle
	})
}

// TestRefreshAsksAgain: TK-07. Whatever a family rests on is asked about anew.
func TestRefreshAsksAgain(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		for name, end := range map[string]func(id string) error{
			"person suspended": func(string) error {
				return d.Grants.SuspendPrincipal(ctx, audit.System, d.realm, d.ada.ID, "test", nil)
			},
			"signed out everywhere": func(string) error {
				return d.Grants.SignOutEverywhere(ctx, audit.System, d.realm, d.ada.ID, "test")
			},
			"client disabled and enabled": func(id string) error {
				if err := d.Grants.DisableClient(ctx, audit.System, d.realm, id, 0, nil); err != nil {
					return err
				}
				_, err := d.Clients.Enable(ctx, audit.System, d.realm, id, 0)
				return err
			},
			"consent revoked": func(id string) error {
				return d.Grants.RevokeConsent(ctx, audit.System, d.realm, d.ada.ID, id, "test")
			},
			"refresh no longer allowed": func(id string) error {
				return d.change(id, func(s *client.Settings) {
					s.GrantTypes = []string{client.AuthorizationCode}
				})
			},
		} {
			id := strings.ReplaceAll(name, " ", "-")
			d.ada = d.Person(d.T, d.realm, id+"@example.com")
			secret := d.app(id, func(s *client.Settings) { s.FirstParty = false })
			if err := d.Grants.Remember(ctx, audit.System, d.realm, d.ada.ID, id, []string{"openid", "offline_access"}); err != nil {
				d.Fatal(err)
			}
			got := d.tokens(d.signIn(d.ada), id, secret, "scope", "openid offline_access")
			if got.Refresh == "" {
				d.Fatalf("%s: %+v", name, got)
			}
			if err := end(id); err != nil {
				d.Fatalf("%s: %v", name, err)
			}
			after := d.token(id, secret, "grant_type", "refresh_token", "refresh_token", got.Refresh)
			if after.Status != 400 || after.Access != "" || after.Error != "invalid_grant" && after.Error != "unauthorized_client" {
				d.Errorf("%s: %+v", name, after)
			}
		}
	})
}

// TestScopeTakenFromTheClient: TK-07. A scope that the client may no longer
// have is not refreshed.
func TestScopeTakenFromTheClient(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		got := d.tokens(d.signIn(d.ada), "app", secret, "scope", "openid offline_access orders:write")
		if err := d.change("app", func(s *client.Settings) {
			s.Scopes = []string{"openid", "offline_access"}
		}); err != nil {
			d.Fatal(err)
		}
		after := d.token("app", secret, "grant_type", "refresh_token", "refresh_token", got.Refresh)
		if after.Scope != "offline_access openid" {
			d.Errorf("%+v", after)
		}
		if err := d.change("app", func(s *client.Settings) { s.Scopes = []string{"openid"} }); err != nil {
			d.Fatal(err)
		}
		d.refuse(d.token("app", secret, "grant_type", "refresh_token", "refresh_token", after.Refresh), 400, "invalid_grant")
	})
}

func (d *door) change(id string, f func(*client.Settings)) error {
	d.Helper()
	c, err := d.Clients.ByID(context.Background(), d.realm, id)
	if err != nil {
		return err
	}
	s := c.Settings
	f(&s)
	_, err = d.Clients.Update(context.Background(), audit.System, d.realm, id, c.Version, s)
	return err
}

// TestClientForItself: TK-08. A client acting for itself has its own scopes and
// none that need a person.
func TestClientForItself(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		cc := func(pairs ...string) reply {
			d.Helper()
			return d.token("app", secret, append(pairs, "grant_type", "client_credentials")...)
		}
		got := cc()
		if got.Scope != "orders:read orders:write" || got.Refresh != "" || got.ID != "" {
			d.Errorf("%+v", got)
		}
		c, _ := d.Clients.ByID(context.Background(), d.realm, "app")
		access := d.claims(got.Access)
		if access["sub"] != c.Principal || access["client_id"] != "app" || access["auth_time"] != nil || len(access["aud"].([]any)) != 2 {
			d.Errorf("%v", access)
		}
		if again := cc("scope", "orders:read", "resource", "https://api.example.com"); again.Scope != "orders:read" || d.claims(again.Access)["aud"] != "https://api.example.com" || d.claims(again.Access)["gid"] != access["gid"] {
			d.Errorf("%+v %v", again, d.claims(again.Access))
		}
		for _, scope := range []string{"openid", "offline_access", "profile", "cardea:admin", "nonsense", `"quoted"`} {
			d.refuse(cc("scope", scope), 400, "invalid_scope")
		}
		d.refuse(cc("resource", "https://unknown.example.com"), 400, "invalid_target")
		d.refuse(cc("resource", "no uri"), 400, "invalid_target")
		d.app("spa", public)
		d.refuse(d.token("spa", "", "grant_type", "client_credentials"), 400, "unauthorized_client")
	})
}

// Tokens stop with what they stand on and begin anew under another grant, also
// where only the death itself is known and the grant is in memory still. Take the
// second passing of the gate out of issueWith to see it fail.
func TestAStandingGrantEndsAndIsMadeAnew(t *testing.T) {
	run(t, func(d *door) {
		ctx := context.Background()
		secret := d.app("app")
		c, err := d.Clients.ByID(ctx, d.realm, "app")
		if err != nil {
			d.Fatal(err)
		}
		ask := func() reply {
			d.Helper()
			return d.token("app", secret, "grant_type", "client_credentials")
		}
		gid := func(r reply) string {
			d.Helper()
			id, _ := d.claims(r.Access)["gid"].(string)
			return id
		}
		before := gid(ask())
		for _, end := range []struct {
			name         string
			end, restore func() error
			refused      string // "": the end of the grant alone is none of the client's business
		}{
			{"grant revoked", func() error { return d.Grants.Revoke(ctx, audit.System, d.realm, before, "test") }, nil, ""},
			{"principal suspended", func() error { return d.People.Suspend(ctx, audit.System, d.realm, c.Principal, "test") },
				func() error { return d.People.Activate(ctx, audit.System, d.realm, c.Principal) }, "access_denied"},
			{"client disabled", func() error {
				return d.DB.Update(ctx, d.realm, func(tx *db.Tx) error {
					_, err := d.Clients.DisableTx(tx, audit.System, "app", 0)
					return err
				})
			}, func() error { _, err := d.Clients.Enable(ctx, audit.System, d.realm, "app", 0); return err }, "invalid_client"},
		} {
			if err := end.end(); err != nil {
				d.Fatalf("%s: %v", end.name, err)
			}
			if end.restore != nil {
				if got := ask(); got.Access != "" || got.Error != end.refused {
					d.Errorf("%s: %+v", end.name, got)
				}
				if err := end.restore(); err != nil {
					d.Fatalf("%s: %v", end.name, err)
				}
			}
			now := gid(ask())
			if now == "" || now == before {
				d.Errorf("%s: the grant was %q and is %q", end.name, before, now)
			}
			if again := gid(ask()); again != now {
				d.Errorf("%s: the grant is %q and then %q", end.name, now, again)
			}
			before = now
		}
	})
}

// TestNoPasswordGrant: TK-10.
func TestNoPasswordGrant(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		d.refuse(d.token("app", secret, "grant_type", "password", "username", "ada@example.com", "password", "x"), 400, "unsupported_grant_type")
		d.refuse(d.token("app", secret, "grant_type", "implicit"), 400, "unsupported_grant_type")
		d.refuse(d.token("app", secret, "scope", "x"), 400, "invalid_request")
		var doc map[string]any
		if err := json.Unmarshal(d.get("/.well-known/openid-configuration", "").Body.Bytes(), &doc); err != nil {
			d.Fatal(err)
		}
		if list := doc["grant_types_supported"].([]any); slices.Contains(list, any("password")) || slices.Contains(list, any("implicit")) || len(list) < 5 {
			d.Errorf("discovery lists %v", list)
		}
	})
}

// TestNothingIsStored: TK-11. No answer of these endpoints may be kept, and
// errors are in the protocol's words.
func TestNothingIsStored(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		got := d.token("app", secret, "grant_type", "client_credentials")
		basic := "Basic " + basicOf("app", secret)
		for name, h := range map[string]http.Header{
			"token":        got.Header,
			"token error":  d.token("app", "wrong", "grant_type", "client_credentials").Header,
			"introspect":   d.do("POST", "/oauth2/introspect", "token="+got.Access, "Authorization", basic).Header(),
			"revoke":       d.do("POST", "/oauth2/revoke", "token="+got.Access, "Authorization", basic).Header(),
			"userinfo":     d.do("GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+got.Access).Header(),
			"authorize":    d.get("/oauth2/authorize?"+request("app", "prompt", "none").Encode(), "").Header(),
			"token broken": d.do("POST", "/oauth2/token", "%zz").Header(),
		} {
			if h.Get("Cache-Control") != "no-store" {
				d.Errorf("%s: Cache-Control %q", name, h.Get("Cache-Control"))
			}
		}
		for name, w := range map[string]reply{
			"broken encoding": d.read(d.do("POST", "/oauth2/token", "grant_type=%zz")),
			"twice":           d.read(d.do("POST", "/oauth2/token", "grant_type=a&grant_type=b")),
			"in the address":  d.read(d.do("POST", "/oauth2/token?grant_type=client_credentials", "x=y")),
			"JSON":            d.read(d.do("POST", "/oauth2/token", `{"grant_type":"x"}`, "Content-Type", "application/json")),
			"no body":         d.read(d.do("POST", "/oauth2/token", "")),
		} {
			if w.Status != 400 || w.Error != "invalid_request" {
				d.Errorf("%s: %+v", name, w)
			}
		}
		if w := d.read(d.do("POST", "/oauth2/token", strings.Repeat("x", 70<<10))); w.Status != http.StatusRequestEntityTooLarge {
			d.Errorf("oversized: %+v", w)
		}
	})
}
