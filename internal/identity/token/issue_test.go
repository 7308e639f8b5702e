package token

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// claims decodes the payload of a JWT.
func claims(t *testing.T, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	m := map[string]any{}
	must(t, json.Unmarshal(raw, &m))
	return m
}

func TestIssueAndRecognise(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		p := n.mustPerson(t, dbtest.Realm)
		for name, c := range map[string]*client.Client{
			"jwt": n.mustClient(t, dbtest.Realm), "opaque": n.mustClient(t, dbtest.Realm, opaque),
			"jwt pairwise": n.mustClient(t, dbtest.Realm, pairwise), "opaque pairwise": n.mustClient(t, dbtest.Realm, pairwise, opaque),
			"EdDSA": n.mustClient(t, dbtest.Realm, func(s *client.Settings) { s.AccessTokenAlg = "EdDSA" }),
			"RS256": n.mustClient(t, dbtest.Realm, func(s *client.Settings) { s.AccessTokenAlg = "RS256" }),
		} {
			g := n.mustGrant(t, dbtest.Realm, p, c)
			i := n.mustIssue(t, Request{Grant: g, Scopes: []string{"openid", "read"}, Audience: []string{api, "https://id.example.com/realms/test"}})
			if i.Expires != 10*time.Minute || i.ID != "" {
				t.Errorf("%s: lives %v, ID token %q; want 10 minutes and none", name, i.Expires, i.ID)
			}
			got := n.mustKnow(t, dbtest.Realm, i.Access, true)
			if got == nil {
				continue
			}
			if got.Principal != p.id || got.Client != c.ID || got.Grant != g.ID || got.ID == "" || !got.Allows("read") || got.Allows("write") ||
				!got.For(api) || got.For("https://other.example.com") || !got.Expires.Equal(n.Clock.Now().Truncate(time.Second).Add(i.Expires)) || got.Status != g.Status || got.ACR != AAL1 ||
				len(got.AMR) != 1 || !got.AuthTime.Equal(n.Clock.Now().Truncate(time.Second)) {
				t.Errorf("%s: recognised %+v, issued %+v", name, got, i)
			}
			if strings.Contains(name, "pairwise") == (got.Subject == p.id) {
				t.Errorf("%s: subject %q of person %s", name, got.Subject, p.id)
			}
			n.mustKnow(t, dbtest.Neighbour, i.Access, false)
			n.Clock.Advance(10 * time.Minute)
			n.mustKnow(t, dbtest.Realm, i.Access, false)
		}
	})
}

// An opaque token is put where it was asked for, behind what is there, and only
// there. A JWT is not, nor a token that an ID token has to name.
func TestAnOpaqueTokenIsPutIntoItsRoom(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		p := n.mustPerson(t, dbtest.Realm)
		sealed, signed := n.mustClient(t, dbtest.Realm, opaque), n.mustClient(t, dbtest.Realm)
		for _, size := range []int{4, 2048} { // one that it does not fit in as well
			q := ask(n.mustGrant(t, dbtest.Realm, p, sealed))
			q.Room = append(make([]byte, 0, size), "head"...)
			i := n.mustIssue(t, q)
			text, ok := strings.CutPrefix(string(i.Room), "head")
			if !ok || i.Access != "" {
				t.Errorf("room of %d bytes: %q and %q", size, i.Room, i.Access)
			}
			if got := n.mustKnow(t, dbtest.Realm, text, true); got != nil && got.Grant != q.Grant.ID {
				t.Errorf("room of %d bytes: a token of grant %s", size, got.Grant)
			}
			q.ID = &IDRequest{}
			if i := n.mustIssue(t, q); i.Room != nil || i.Access == "" || i.ID == "" {
				t.Errorf("with an ID token: %+v", i)
			} else {
				n.mustKnow(t, dbtest.Realm, i.Access, true)
			}
			q = ask(n.mustGrant(t, dbtest.Realm, p, signed))
			q.Room = []byte("head")
			if i := n.mustIssue(t, q); i.Room != nil || i.Access == "" {
				t.Errorf("a JWT: %+v", i)
			}
		}
	})
}

func TestAccessTokensSayWhatRFC9068Says(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		c := n.mustClient(t, dbtest.Realm)
		g := n.mustGrant(t, dbtest.Realm, n.mustPerson(t, dbtest.Realm), c)
		jwt := n.mustIssue(t, ask(g)).Access
		head, err := base64.RawURLEncoding.DecodeString(jwt[:strings.IndexByte(jwt, '.')])
		must(t, err)
		var h map[string]string
		must(t, json.Unmarshal(head, &h))
		if h["typ"] != "at+jwt" || h["alg"] != "ES256" || h["kid"] == "" || len(h) != 3 {
			t.Errorf("header %s", head)
		}
		m := claims(t, jwt)
		now := float64(n.Clock.Now().Unix())
		for name, want := range map[string]any{"iss": "https://id.example.com/realms/test", "sub": g.Principal, "aud": api, "iat": now, "exp": now + 600,
			"client_id": c.ID, "scope": "read", "auth_time": now, "acr": AAL1, "gid": g.ID} {
			if m[name] != want {
				t.Errorf("%s = %v, want %v", name, m[name], want)
			}
		}
		status := m["status"].(map[string]any)["status_list"].(map[string]any)
		if status["idx"] != float64(g.Status.Index) || status["uri"] != "https://id.example.com/realms/test/status-lists/"+g.Status.List {
			t.Errorf("status = %v", status)
		}
		if _, err := audit.ParsePosition(m["mpos"].(string)); err != nil {
			t.Error(err)
		}
		if len(m) != 14 {
			t.Errorf("%d claims: %v; a lean token has no others", len(m), m)
		}
		if len(jwt) > 1024 {
			t.Errorf("%d bytes", len(jwt))
		}
	})
}

// The gate: each ancestor is killed alone, without the cascade that usually
// follows, and the gate must see it at once (TK-07, SE-06, LC-02). Take any one
// check out of the list in pass to see its line fail.
func TestTheGateSeesEveryDeath(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		ctx := t.Context()
		update := func(fn func(tx *db.Tx) error) { must(t, n.Env.DB.Update(ctx, dbtest.Realm, fn)) }
		consented := func(d *grant.New) { d.Consent = true }
		for _, one := range []struct {
			name string
			code string
			kill func(p person, c *client.Client, g *grant.Grant)
		}{
			{"principal suspended", "principal_dead", func(p person, c *client.Client, g *grant.Grant) {
				update(func(tx *db.Tx) error { return principal.SuspendTx(tx, by, p.id, "test") })
			}},
			{"principal suspended and active again", "grant_dead", func(p person, c *client.Client, g *grant.Grant) {
				update(func(tx *db.Tx) error { return principal.SuspendTx(tx, by, p.id, "test") })
				must(t, n.Principals.Activate(ctx, by, dbtest.Realm, p.id))
			}},
			{"principal deleted", "principal_dead", func(p person, c *client.Client, g *grant.Grant) {
				update(func(tx *db.Tx) error { return principal.DeleteTx(tx, by, p.id) })
			}},
			{"session ended", "session_ended", func(p person, c *client.Client, g *grant.Grant) {
				update(func(tx *db.Tx) error { _, err := n.Sessions.EndTx(tx, by, p.session, "test"); return err })
			}},
			{"session idle", "session_ended", func(p person, c *client.Client, g *grant.Grant) { n.Clock.Advance(12 * time.Hour) }},
			{"credential revoked", "", func(p person, c *client.Client, g *grant.Grant) {
				update(func(tx *db.Tx) error { return credential.RevokeTx(tx, by, p.credential, "test") })
			}},
			{"client disabled", "client_disabled", func(p person, c *client.Client, g *grant.Grant) {
				update(func(tx *db.Tx) error { _, err := n.Clients.DisableTx(tx, by, c.ID, 0); return err })
			}},
			{"client disabled and enabled again", "grant_dead", func(p person, c *client.Client, g *grant.Grant) {
				update(func(tx *db.Tx) error { _, err := n.Clients.DisableTx(tx, by, c.ID, 0); return err })
				_, err := n.Clients.Enable(ctx, by, dbtest.Realm, c.ID, 0)
				must(t, err)
			}},
			{"consent revoked", "consent_missing", func(p person, c *client.Client, g *grant.Grant) {
				must(t, n.grants.RevokeConsent(ctx, by, dbtest.Realm, p.id, c.ID, "test"))
			}},
			{"consent revoked and given again", "consent_missing", func(p person, c *client.Client, g *grant.Grant) {
				must(t, n.grants.RevokeConsent(ctx, by, dbtest.Realm, p.id, c.ID, "test"))
				n.Clock.Advance(time.Second)
				must(t, n.grants.Remember(ctx, by, dbtest.Realm, p.id, c.ID, g.Scopes))
			}},
			{"grant revoked", "grant_dead", func(p person, c *client.Client, g *grant.Grant) {
				must(t, n.grants.Revoke(ctx, by, dbtest.Realm, g.ID, "test"))
			}},
		} {
			p, c := n.mustPerson(t, dbtest.Realm), n.mustClient(t, dbtest.Realm)
			must(t, n.grants.Remember(ctx, by, dbtest.Realm, p.id, c.ID, []string{"openid", "read"}))
			g := n.mustGrant(t, dbtest.Realm, p, c, consented)
			n.mustIssue(t, ask(g))
			one.kill(p, c, g)
			_, err := n.Issue(ctx, by, ask(g))
			if !fault.Is(err, fault.Forbidden) || one.code != "" && fault.Code(err) != one.code {
				t.Errorf("%s: %v; want forbidden, %s", one.name, err, one.code)
			}
		}
		standing := n.mustStanding(t, n.mustClient(t, dbtest.Realm))
		update(func(tx *db.Tx) error { return credential.RevokeTx(tx, by, standing.Credential, "test") })
		if _, err := n.Issue(ctx, by, ask(standing)); fault.Code(err) != "credential_dead" {
			t.Errorf("the credential of a standing grant revoked: %v", err)
		}
		p, c := n.mustPerson(t, dbtest.Neighbour), n.mustClient(t, dbtest.Neighbour)
		g := n.mustGrant(t, dbtest.Neighbour, p, c)
		token := n.mustIssue(t, ask(g)).Access
		must(t, n.Realms.Delete(ctx, by, dbtest.Neighbour))
		if _, err := n.Issue(ctx, by, ask(g)); !fault.Is(err, fault.Forbidden) {
			t.Errorf("realm deleted: %v; want forbidden", err)
		}
		if _, err := n.Recognise(ctx, dbtest.Neighbour, token); err == nil {
			t.Error("a token of a deleted realm is recognised")
		}
	})
}

// An agent or service dies with its owner.
func TestTheGateSeesTheOwnersDeath(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		ctx := t.Context()
		owner, err := n.Principals.Create(ctx, by, dbtest.Realm, principal.New{Kind: principal.Person, Name: "owner"})
		must(t, err)
		c := n.mustClient(t, dbtest.Realm)
		_, err = n.Principals.Update(ctx, by, dbtest.Realm, c.Principal, 0, principal.Change{Owner: &owner.ID})
		must(t, err)
		g := n.mustStanding(t, c)
		token := n.mustIssue(t, ask(g)).Access
		must(t, n.grants.SuspendPrincipal(ctx, by, dbtest.Realm, owner.ID, "left", nil))
		if _, err := n.Issue(ctx, by, ask(g)); !fault.Is(err, fault.Forbidden) {
			t.Errorf("issue: %v; want forbidden", err)
		}
		n.mustKnow(t, dbtest.Realm, token, false)
	})
}

func TestScopeAudienceAndAssuranceOnlyShrink(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		ctx := t.Context()
		p, c := n.mustPerson(t, dbtest.Realm), n.mustClient(t, dbtest.Realm)
		g, standing := n.mustGrant(t, dbtest.Realm, p, c), n.mustStanding(t, c)
		for name, one := range map[string]struct {
			q    Request
			code string
		}{
			"scope beyond the grant":               {Request{Grant: g, Scopes: []string{"read", "write"}, Audience: []string{api}}, "scope_exceeded"},
			"scope beyond the client":              {Request{Grant: standing, Scopes: []string{"admin"}, Audience: []string{api}}, "scope_exceeded"},
			"no audience":                          {Request{Grant: g, Scopes: []string{"read"}}, "audience_exceeded"},
			"audience beyond the grant":            {Request{Grant: g, Audience: []string{api, "https://other.example.com"}}, "audience_exceeded"},
			"audience beyond the client":           {Request{Grant: standing, Audience: []string{"https://other.example.com"}}, "audience_exceeded"},
			"more assurance than was reached":      {Request{Grant: g, Audience: []string{api}, ACR: AAL2}, "assurance_low"},
			"an assurance that nobody knows":       {Request{Grant: g, Audience: []string{api}, ACR: "gold"}, "assurance_low"},
			"assurance of a client without people": {Request{Grant: standing, Audience: []string{api}, ACR: AAL1}, "assurance_low"},
		} {
			if _, err := n.Issue(ctx, by, one.q); !fault.Is(err, fault.Forbidden) || fault.Code(err) != one.code {
				t.Errorf("%s: %v, want %s", name, err, one.code)
			}
		}
		n.mustIssue(t, Request{Grant: g, Audience: []string{api}, ACR: AAL1})
		n.mustIssue(t, Request{Grant: standing, Scopes: []string{"write"}, Audience: []string{api}})
		// A scope taken from the client is gone from its grants.
		less := c.Settings
		less.Scopes = []string{"openid"}
		_, err := n.Clients.Update(ctx, by, dbtest.Realm, c.ID, 0, less)
		must(t, err)
		if _, err := n.Issue(ctx, by, ask(g)); fault.Code(err) != "scope_exceeded" {
			t.Errorf("scope taken from the client: %v", err)
		}
	})
}

// Spine 11. Remove the comparison in end to see this fail.
func TestATokenNeverOutlivesItsAncestors(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		p, c := n.mustPerson(t, dbtest.Realm), n.mustClient(t, dbtest.Realm)
		g := n.mustGrant(t, dbtest.Realm, p, c)
		n.Clock.Advance(12*time.Hour - 90*time.Second) // the session has 90 seconds left
		i := n.mustIssue(t, Request{Grant: g, Scopes: []string{"openid"}, Audience: []string{api}, ID: &IDRequest{}})
		if i.Expires != 90*time.Second {
			t.Errorf("access token lives %v, its session 90 s", i.Expires)
		}
		m := claims(t, i.ID)
		if life := m["exp"].(float64) - m["iat"].(float64); life != 90 {
			t.Errorf("ID token lives %v s, its session 90", life)
		}
		expires := n.Clock.Now().Add(20 * time.Second)
		agent, err := n.Principals.Create(t.Context(), by, dbtest.Realm, principal.New{Kind: principal.Agent, Name: "helper", ExpiresAt: expires})
		must(t, err)
		cred, _, err := n.Credentials.AddSecret(t.Context(), by, dbtest.Realm, agent.ID, "", 0)
		must(t, err)
		a := n.mustGrant(t, dbtest.Realm, person{id: agent.ID, credential: cred.ID}, c, func(d *grant.New) { d.Credential = cred.ID })
		if i := n.mustIssue(t, ask(a)); i.Expires != 20*time.Second {
			t.Errorf("token of an agent lives %v, the agent 20 s", i.Expires)
		}
	})
}

func TestATooLargeTokenNamesItsLargestClaim(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		var scopes []string
		for i := range 40 {
			scopes = append(scopes, "some-quite-long-scope-name-"+string(rune('a'+i%26))+string(rune('a'+i/26)))
		}
		c := n.mustClient(t, dbtest.Realm, func(s *client.Settings) { s.Scopes = scopes })
		_, err := n.Issue(t.Context(), by, Request{Grant: n.mustStanding(t, c), Scopes: scopes, Audience: []string{api}})
		if !fault.Is(err, fault.TooLarge) || !strings.Contains(err.Error(), `"scope"`) {
			t.Errorf("%v; want too large, naming scope", err)
		}
	})
}
