package apptest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/verify"
)

// inside is a network that leads straight into a program.
type inside struct{ http.Handler }

func (n inside) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	return w.Result(), nil
}

// A relyingParty says whether it takes a token.
type relyingParty struct {
	name  string
	takes func(token string) error
}

// A keyPoller is a relying party that fetches the keys anew only when those it
// has are as old as max-age lets them be. It never asks for a key it does not
// know, so it fails if a key signs before it could be known.
type keyPoller struct {
	e     *Env
	set   jose.Set
	until time.Time
}

func (p *keyPoller) takes(token string) error {
	if now := p.e.Clock.Now(); !now.Before(p.until) {
		c := p.e.ask("GET", "/oauth2/jwks", nil, nil)
		set, err := jose.ParseSet(c.Body.Bytes())
		if err != nil {
			return err
		}
		_, text, _ := strings.Cut(c.Header().Get("Cache-Control"), "max-age=")
		age, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("Cache-Control %q: %w", c.Header().Get("Cache-Control"), err)
		}
		p.set, p.until = set, now.Add(time.Duration(age)*time.Second)
	}
	u, err := jose.Parse(token, 0)
	if err != nil {
		return err
	}
	signed, err := u.Verify(jose.Want{Typ: []string{"at+jwt"}, Keys: p.set})
	if err != nil {
		return err
	}
	return signed.Claims.Check(jose.Expect{Now: p.e.Clock.Now(), Issuer: Issuer, Audience: []string{audience}})
}

// P-14: keys rotate unnoticed. Four relying parties, two of them with keys as
// old as they may be, verify every token that is issued during a rotation, new
// ones and those from before, until the old key has retired.
func TestKeysRotateUnnoticed(t *testing.T) {
	e := Start(t, db.SQLite)
	secret := e.Client(t, realm.Default, "worker", client.Settings{Name: "Worker", Type: client.Service,
		GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"read"}, Resources: []string{audience}})
	fleet := e.fleet(t)
	kids := map[string]int{}
	var last []string // tokens that still live, oldest first
	round := func(step time.Duration) {
		t.Helper()
		e.Clock.Advance(step)
		for range 4 {
			c := e.ask("POST", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, basic("worker", secret))
			token := c.text("access_token")
			u, err := jose.Parse(token, 0)
			if err != nil {
				t.Fatalf("%d %s: %v", c.Code, c.Body, err)
			}
			kids[u.Kid]++
			last = append(last, token)
		}
		last = last[max(0, len(last)-4*int(9*time.Minute/step)):] // they live for ten minutes
		var all sync.WaitGroup
		for _, p := range fleet {
			all.Go(func() {
				for _, token := range []string{last[0], last[len(last)/2], last[len(last)-2], last[len(last)-1]} {
					if err := p.takes(token); err != nil {
						t.Errorf("%s: %v", p.name, err)
					}
				}
			})
		}
		all.Wait()
	}
	round(time.Second)
	round(keyring.JWKSMaxAge / 2) // the pollers are now out of step
	before := len(kids)
	// What the hourly task does, when the rotation is due.
	e.Clock.Advance(realm.DefaultSettings().KeyRotation)
	last = nil
	round(time.Second)
	if err := e.Ring.Tick(context.Background(), realm.Default, realm.DefaultSettings().KeyRotation); err != nil {
		t.Fatal(err)
	}
	for began := e.Clock.Now(); e.Clock.Now().Sub(began) < keyring.PublishAhead+2*keyring.JWKSMaxAge; {
		round(15 * time.Second)
	}
	if before != 1 || len(kids) != 2 {
		t.Errorf("tokens were signed by %v, want two keys in turn", kids)
	}
	e.Clock.Advance(keyring.Lifetime)
	last = nil
	round(time.Second)
	round(keyring.JWKSMaxAge)
}

// fleet is two verifiers of package verify, which look at keys alone here (the
// age of a status list is measured by a clock that tests do not move), with and
// without a memory of tokens, and two pollers that are half a max-age apart.
func (e *Env) fleet(t *testing.T) (fleet []relyingParty) {
	t.Helper()
	for name, remembered := range map[string]int{"verify": 0, "verify without a cache": -1} {
		v, err := verify.New(t.Context(), verify.Config{Issuer: Issuer, Audience: audience, Mode: verify.Accept, CacheTokens: remembered,
			HTTPClient: &http.Client{Transport: inside{e.Handler}}, Now: e.Clock.Now,
			OnError: func(err error) { t.Log(err) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(v.Close)
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		fleet = append(fleet, relyingParty{name, func(token string) error {
			_, err := v.Verify(t.Context(), token)
			return err
		}})
	}
	for _, name := range []string{"poller", "poller half a step behind"} {
		p := &keyPoller{e: e}
		if name != "poller" {
			p.until = e.Clock.Now().Add(time.Second + keyring.JWKSMaxAge/2)
			p.set = nil
			if c := e.ask("GET", "/oauth2/jwks", nil, nil); c.Code == http.StatusOK {
				p.set, _ = jose.ParseSet(c.Body.Bytes())
			}
		}
		fleet = append(fleet, relyingParty{name, p.takes})
	}
	return fleet
}

// P-14: once the revocation of a key is acknowledged, no node takes what it
// signed, and none tells it. Let the follower of package keyring pass over
// signing_key.revoke and signing_key.create to see it fail.
func TestARevokedKeyIsRefusedByEveryNode(t *testing.T) {
	one := Start(t, db.Postgres)
	w := settle(t, one)
	secret := one.Client(t, realm.Default, "worker", client.Settings{Name: "Worker", Type: client.Service,
		GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"read"}, Resources: []string{audience}})
	nodes := []*town{w}
	for range 2 {
		other := *w
		other.Env = one.Node(t)
		nodes = append(nodes, &other)
	}
	for round := range 5 {
		token := w.ask("POST", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, basic("worker", secret)).text("access_token")
		u, err := jose.Parse(token, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range nodes {
			if c := n.introspect(token); c.text("active") != "true" {
				t.Fatalf("round %d, node %d, before: %d %s", round, i, c.Code, c.Body)
			}
		}
		began := time.Now()
		if err := nodes[round%len(nodes)].Ring.Revoke(t.Context(), audit.System, realm.Default, u.Kid, "test"); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		for i, n := range nodes {
			if c := n.introspect(token); c.Code != http.StatusOK || c.text("active") != "false" {
				t.Errorf("round %d, node %d takes the token of a revoked key: %d %s", round, i, c.Code, c.Body)
			}
			if c := n.ask("GET", "/oauth2/jwks", nil, nil); c.Code != http.StatusOK || strings.Contains(c.Body.String(), u.Kid) {
				t.Errorf("round %d, node %d tells the revoked key", round, i)
			}
		}
		if took > time.Second {
			t.Errorf("round %d: the revocation took %v", round, took)
		}
	}
}
