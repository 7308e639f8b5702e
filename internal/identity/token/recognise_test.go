package token

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/secret"
)

// SE-06, P-09: after a kill returns, the tokens below are not recognised; those
// of others are.
func TestKillsReachTokens(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		ctx := t.Context()
		stranger := n.mustClient(t, dbtest.Realm)
		other := n.mustIssue(t, ask(n.mustGrant(t, dbtest.Realm, n.mustPerson(t, dbtest.Realm), stranger))).Access
		neighbour := n.mustIssue(t, ask(n.mustGrant(t, dbtest.Neighbour, n.mustPerson(t, dbtest.Neighbour), n.mustClient(t, dbtest.Neighbour)))).Access
		for name, kill := range map[string]func(p person, c *client.Client, g *grant.Grant) error{
			"grant": func(p person, c *client.Client, g *grant.Grant) error {
				return n.grants.Revoke(ctx, by, dbtest.Realm, g.ID, "test")
			},
			"session": func(p person, c *client.Client, g *grant.Grant) error {
				return n.grants.EndSession(ctx, by, dbtest.Realm, p.session, "test")
			},
			"everywhere": func(p person, c *client.Client, g *grant.Grant) error {
				return n.grants.SignOutEverywhere(ctx, by, dbtest.Realm, p.id, "test")
			},
			"suspension": func(p person, c *client.Client, g *grant.Grant) error {
				return n.grants.SuspendPrincipal(ctx, by, dbtest.Realm, p.id, "test", nil)
			},
			"deletion": func(p person, c *client.Client, g *grant.Grant) error {
				return n.grants.DeletePrincipal(ctx, by, dbtest.Realm, p.id, "test", nil)
			},
			"credential": func(p person, c *client.Client, g *grant.Grant) error {
				return n.grants.RevokeCredential(ctx, by, dbtest.Realm, p.credential, "test", nil)
			},
			"consent": func(p person, c *client.Client, g *grant.Grant) error {
				return n.grants.RevokeConsent(ctx, by, dbtest.Realm, p.id, c.ID, "test")
			},
			"client off": func(p person, c *client.Client, g *grant.Grant) error {
				return n.grants.DisableClient(ctx, by, dbtest.Realm, c.ID, 0, nil)
			},
			"client gone": func(p person, c *client.Client, g *grant.Grant) error {
				return n.grants.DeleteClient(ctx, by, dbtest.Realm, c.ID, 0, nil)
			},
		} {
			for _, format := range []func(*client.Settings){func(*client.Settings) {}, opaque, pairwise} {
				p, c := n.mustPerson(t, dbtest.Realm), n.mustClient(t, dbtest.Realm, format)
				must(t, n.grants.Remember(ctx, by, dbtest.Realm, p.id, c.ID, []string{"openid", "read"}))
				g := n.mustGrant(t, dbtest.Realm, p, c, func(d *grant.New) { d.Consent = true })
				token := n.mustIssue(t, ask(g)).Access
				n.mustKnow(t, dbtest.Realm, token, true)
				must(t, kill(p, c, g))
				if _, err := n.Recognise(ctx, dbtest.Realm, token); !fault.Is(err, fault.Unauthenticated) {
					t.Errorf("%s: %v; want unauthenticated", name, err)
				}
			}
		}
		n.mustKnow(t, dbtest.Realm, other, true)
		n.mustKnow(t, dbtest.Neighbour, neighbour, true)
	})
}

// Spine 8: a cut-off stays in force when the client is enabled again, for what
// was minted before it and for nothing else. Remove the case CutClient from
// Refuses to see this fail.
func TestACutOffKillsWhatWasMintedBefore(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		ctx := t.Context()
		c := n.mustClient(t, dbtest.Realm)
		before := n.mustIssue(t, ask(n.mustStanding(t, c))).Access
		must(t, n.grants.DisableClient(ctx, by, dbtest.Realm, c.ID, 0, nil))
		_, err := n.Clients.Enable(ctx, by, dbtest.Realm, c.ID, 0)
		must(t, err)
		n.mustKnow(t, dbtest.Realm, before, false)
		c, err = n.Clients.Live(ctx, dbtest.Realm, c.ID)
		must(t, err)
		n.mustKnow(t, dbtest.Realm, n.mustIssue(t, ask(n.mustStanding(t, c))).Access, true)
		n.mustKnow(t, dbtest.Realm, before, false)
	})
}

// Spine 12: the position is read before the alive checks. A token whose checks passed
// just before a cut-off, and which is signed after it, is refused. Move the
// reading of minted in Issue below the call of pass to see this fail.
func TestTheMintedPositionIsOlderThanTheChecks(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		ctx := t.Context()
		for range 4 {
			c := n.mustClient(t, dbtest.Realm)
			g := n.mustStanding(t, c)
			var mu sync.Mutex
			var tokens []string
			var wg sync.WaitGroup
			start := make(chan struct{})
			for range 4 {
				wg.Go(func() {
					<-start
					for {
						i, err := n.Issue(ctx, by, ask(g))
						if err != nil {
							return
						}
						mu.Lock()
						tokens = append(tokens, i.Access)
						mu.Unlock()
					}
				})
			}
			close(start)
			must(t, n.grants.DisableClient(ctx, by, dbtest.Realm, c.ID, 0, nil))
			wg.Wait()
			_, err := n.Clients.Enable(ctx, by, dbtest.Realm, c.ID, 0)
			must(t, err)
			for _, token := range tokens {
				n.mustKnow(t, dbtest.Realm, token, false)
			}
		}
	})
}

func TestARevokedKeyVerifiesNothing(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		c := n.mustClient(t, dbtest.Realm)
		i := n.mustIssue(t, ask(n.mustStanding(t, c)))
		says := n.mustKnow(t, dbtest.Realm, i.Access, true)
		must(t, n.Ring.Revoke(t.Context(), by, dbtest.Realm, says.Key, "stolen"))
		n.mustKnow(t, dbtest.Realm, i.Access, false)
		n.mustKnow(t, dbtest.Realm, n.mustIssue(t, ask(n.mustStanding(t, c))).Access, true)

		sealed := n.mustClient(t, dbtest.Realm, opaque)
		i = n.mustIssue(t, ask(n.mustStanding(t, sealed)))
		must(t, n.Ring.RotateSealing(t.Context(), by, dbtest.Realm, true))
		n.mustKnow(t, dbtest.Realm, i.Access, false)
	})
}

// RFC 7009 on one token of a standing grant, spine 7. Remove the look at tokens
// from Refuses to see this fail.
func TestOneTokenOfAStandingGrantDiesAlone(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		ctx := t.Context()
		for _, c := range []*client.Client{n.mustClient(t, dbtest.Realm), n.mustClient(t, dbtest.Realm, opaque)} {
			g := n.mustStanding(t, c)
			one, two := n.mustIssue(t, ask(g)), n.mustIssue(t, ask(g))
			says := n.mustKnow(t, dbtest.Realm, one.Access, true)
			must(t, n.grants.RevokeToken(ctx, by, dbtest.Realm, c.ID, says.ID, says.Expires))
			n.mustKnow(t, dbtest.Realm, one.Access, false)
			n.mustKnow(t, dbtest.Realm, two.Access, true)
			must(t, n.grants.RevokeToken(ctx, by, dbtest.Realm, c.ID, says.ID, says.Expires))

			must(t, n.grants.Revoke(ctx, by, dbtest.Realm, g.ID, "test"))
			n.mustKnow(t, dbtest.Realm, two.Access, false)
			if again := n.mustStanding(t, c); again.ID == g.ID {
				t.Error("the standing grant came back from the dead")
			} else {
				n.mustKnow(t, dbtest.Realm, n.mustIssue(t, ask(again)).Access, true)
			}
		}
	})
}

// JW-03: what is not an access token is none, however well it is signed, and
// what is not an ID token is no hint.
func TestNoTokenIsTakenForAnother(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		ctx := t.Context()
		c := n.mustClient(t, dbtest.Realm)
		g := n.mustGrant(t, dbtest.Realm, n.mustPerson(t, dbtest.Realm), c)
		i := n.mustIssue(t, Request{Grant: g, Scopes: []string{"openid"}, Audience: []string{api}, ID: &IDRequest{Nonce: "n"}})
		n.mustKnow(t, dbtest.Realm, i.ID, false)
		if _, err := n.Hint(ctx, dbtest.Realm, i.Access); !fault.Is(err, fault.Invalid) {
			t.Errorf("an access token as hint: %v", err)
		}
		if h, err := n.Hint(ctx, dbtest.Realm, i.ID); err != nil || h.Subject != g.Principal || h.Client != c.ID {
			t.Errorf("hint = %+v, %v", h, err)
		}
		key, err := n.Ring.Signer(ctx, dbtest.Realm, "ES256")
		must(t, err)
		payload := appendClaims(nil, "https://id.example.com/realms/test", n.mustKnow(t, dbtest.Realm, i.Access, true))
		for _, typ := range []string{"JWT", "logout+jwt", "dpop+jwt", "statuslist+jwt", "revocation-head+jwt", "token-introspection+jwt", "secevent+jwt", ""} {
			signed, err := jose.Sign(key, typ, payload)
			must(t, err)
			n.mustKnow(t, dbtest.Realm, signed, false)
			if _, err := n.Hint(ctx, dbtest.Realm, signed); err == nil {
				t.Errorf("claims of an access token with typ %q are a hint", typ)
			}
		}
		right, err := jose.Sign(key, "at+jwt", payload)
		must(t, err)
		n.mustKnow(t, dbtest.Realm, right, true)
		for _, value := range []string{string(secret.New("cdr_")), string(secret.New("cdc_")), string(secret.New("cds_")), string(secret.New("cdo_")), "", ".", "..", "a.b.c",
			strings.Repeat("a", MaxBytes+1), "cdo_", "cdo_AAAAAAAAAA"} {
			n.mustKnow(t, dbtest.Realm, value, false)
		}
	})
}

// JW-09: any character dropped, added or changed makes an opaque token
// worthless, and its length tells nothing.
func TestAnOpaqueTokenHasOneSpelling(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		c := n.mustClient(t, dbtest.Realm, opaque)
		value := n.mustIssue(t, ask(n.mustStanding(t, c))).Access
		n.mustKnow(t, dbtest.Realm, value, true)
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		for i := range value {
			n.mustKnow(t, dbtest.Realm, value[:i], false)
			n.mustKnow(t, dbtest.Realm, value[:i]+value[i+1:], false)
			n.mustKnow(t, dbtest.Realm, value[:i]+"A"+value[i:], false)
			for range 3 {
				if c := alphabet[rand.IntN(64)]; c != value[i] {
					n.mustKnow(t, dbtest.Realm, value[:i]+string(c)+value[i+1:], false)
				}
			}
		}
		for _, more := range []string{"A", "=", "\n", " ", "\x00"} {
			n.mustKnow(t, dbtest.Realm, value+more, false)
			n.mustKnow(t, dbtest.Realm, more+value, false)
		}
		short, long := Request{Grant: n.mustStanding(t, c), Audience: []string{api}}, ask(n.mustStanding(t, c))
		if a, b := n.mustIssue(t, short).Access, n.mustIssue(t, long).Access; len(a) != len(b) {
			t.Errorf("%d and %d characters: the length tells the scope", len(a), len(b))
		}
	})
}

// Tokens are sealed in memory that was used before. Fill up with what lies there
// instead of zeros to see it fail.
func TestAnOpaqueTokenHoldsNothingOfTheOneBefore(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		sealer, err := n.Ring.Sealer(t.Context(), dbtest.Realm)
		must(t, err)
		token := func(audience string) string {
			text, err := n.seal(t.Context(), &Token{Realm: dbtest.Realm, ID: "AAAAAAAAAAAAAAAAAAAAAA", Audience: []string{audience}, Issued: time.Unix(0, 0), Expires: time.Unix(0, 0)})
			must(t, err)
			return text
		}
		for range 10 {
			token(strings.Repeat("x", 300))
			sealed, ok := secret.Decode(OpaquePrefix, token("short"))
			if !ok {
				t.Fatal("not of the right form")
			}
			plain, err := sealer.Open(sealed, opaquePlace(dbtest.Realm, 0)...)
			must(t, err)
			if _, behind, found := bytes.Cut(plain, []byte("short")); !found || len(bytes.Trim(behind, "\x00")) > 0 {
				t.Fatalf("behind all that the token says stands %q", behind)
			}
		}
	})
}

// A forged seal: resealed text with a right checksum is still not ours.
func TestAnOpaqueTokenOfAnotherPlaceDoesNotOpen(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		c := n.mustClient(t, dbtest.Realm, opaque)
		value := n.mustIssue(t, ask(n.mustStanding(t, c))).Access
		sealed, ok := secret.Decode(OpaquePrefix, value)
		if !ok {
			t.Fatal("not of the right form")
		}
		for i := range sealed {
			bad := append([]byte(nil), sealed...)
			bad[i] ^= 1
			n.mustKnow(t, dbtest.Realm, secret.Encode(OpaquePrefix, bad), false)
		}
		sealer, err := n.Ring.Sealer(t.Context(), dbtest.Realm)
		must(t, err)
		plain, err := sealer.Open(sealed, opaquePlace(dbtest.Realm, n.Log.Applied().Epoch)...)
		must(t, err)
		for name, place := range map[string][]string{
			"realm": {dbtest.Neighbour, "access_token", "1"}, "type": {dbtest.Realm, "code", "1"},
			"epoch": opaquePlace(dbtest.Realm, n.Log.Applied().Epoch+1), "run together": {dbtest.Realm + "access_token", "1"},
		} {
			n.mustKnow(t, dbtest.Realm, secret.Encode(OpaquePrefix, sealer.Seal(append(make([]byte, keyring.SealHead), plain...), place...)), false)
			if t.Failed() {
				t.Fatalf("sealed for another %s", name)
			}
		}
		n.mustKnow(t, dbtest.Realm, secret.Encode(OpaquePrefix, sealer.Seal(append(make([]byte, keyring.SealHead), plain...), opaquePlace(dbtest.Realm, n.Log.Applied().Epoch)...)), true)
	})
}

// Whatever is sealed, reading it neither panics nor invents.
func FuzzReadOpaque(f *testing.F) {
	t := &Token{ID: "AAAAAAAAAAAAAAAAAAAAAA", Subject: "usr_1", Principal: "usr_1", Client: "cli_1", Grant: "gnt_1", Scopes: []string{"a", "b"}, Audience: []string{"x"},
		Status: audit.Bit{List: "slt_1", Index: 7}, Issued: time.Unix(1, 0), Expires: time.Unix(2, 0)}
	b, err := appendOpaque(nil, t)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:40])
	t.Details = Details{Hash: "x", At: []int{0, 2}}
	if b, err = appendOpaque(nil, t); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := readOpaque(b)
		if !ok {
			return
		}
		again, err := appendOpaque(nil, got)
		if err != nil {
			t.Fatal(err)
		}
		if back, ok := readOpaque(again); !ok || back.Subject != got.Subject || back.Status != got.Status || len(back.Scopes) != len(got.Scopes) || !reflect.DeepEqual(back.Details, got.Details) {
			t.Errorf("%+v became %+v", got, back)
		}
	})
}

// No query on the way: what was loaded once is answered with the database gone.
func TestIssuingAndRecognisingNeedNoDatabase(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		p := n.mustPerson(t, dbtest.Realm)
		var grants []*grant.Grant
		var tokens []string
		for _, c := range []*client.Client{n.mustClient(t, dbtest.Realm), n.mustClient(t, dbtest.Realm, opaque)} {
			for _, g := range []*grant.Grant{n.mustStanding(t, c), n.mustGrant(t, dbtest.Realm, p, c)} {
				grants = append(grants, g)
				tokens = append(tokens, n.mustIssue(t, ask(g)).Access)
				n.mustKnow(t, dbtest.Realm, tokens[len(tokens)-1], true)
			}
		}
		// The lease lasts for the moment that the rest takes.
		n.Env.DB.Close()
		for i, g := range grants {
			n.mustKnow(t, dbtest.Realm, tokens[i], true)
			if _, err := n.Issue(t.Context(), by, ask(g)); err != nil {
				t.Errorf("issue: %v", err)
			}
		}
	})
}
