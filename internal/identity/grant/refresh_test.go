package grant

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/secret"
)

func TestRefreshRotatesAndTheGraceRepeats(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := w.mustClient(t, dbtest.Realm)
		g, first := w.mustGrant(t, dbtest.Realm, grantFor(w.mustPerson(t, dbtest.Realm), c))
		one := w.mustRefresh(t, c, first, OK)
		if one.Grant.ID != g.ID || one.Token == "" || string(one.Token) == first {
			t.Fatalf("rotation = %+v; want a new token of %s", one, g.ID)
		}
		w.Clock.Advance(Grace)
		if again := w.mustRefresh(t, c, first, Repeated); again.Token != one.Token {
			t.Errorf("the repeated answer has another token")
		}
		two := w.mustRefresh(t, c, string(one.Token), OK)
		w.mustBe(t, g, false)
		// The successor was used: whoever comes with the first token now is not
		// the client that lost an answer.
		w.mustRefresh(t, c, first, Reused)
		w.mustBe(t, g, true)
		w.mustRefresh(t, c, string(two.Token), Unknown)
	})
}

// FAPI 2.0 Security Profile, section 5.3.2.1: no rotation. Who lost an answer
// asks again, however late, and nothing is killed for it.
func TestRefreshTokensOfFAPI2Stay(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		key, err := jose.Generate("k1", jose.ES256)
		must(t, err)
		c := w.mustClient(t, dbtest.Realm, func(s *client.Settings) {
			s.Profile, s.AuthMethod, s.JWKS = client.ProfileFAPI2, client.PrivateKeyJWT, string(jose.Set{key.Public()}.JSON())
			s.RefreshIdleTTL, s.RefreshAbsoluteTTL = 3600, 3*3600
		})
		other := w.mustClient(t, dbtest.Realm)
		g, token := w.mustGrant(t, dbtest.Realm, grantFor(w.mustPerson(t, dbtest.Realm), c))
		for range 4 {
			if r := w.mustRefresh(t, c, token, OK); string(r.Token) != token || !r.Expires.Equal(w.Clock.Now().Add(time.Hour)) {
				t.Fatalf("got %+v; want the same token, for another hour", r)
			}
			w.Clock.Advance(40 * time.Minute)
		}
		if n := w.generation(t, g); n != 1 {
			t.Errorf("%d tokens were made, want 1", n)
		}
		w.mustRefresh(t, other, token, Unknown)
		w.mustBe(t, g, false)
		w.Clock.Advance(30 * time.Minute) // three hours after the grant
		w.mustRefresh(t, c, token, Expired)

		g, token = w.mustGrant(t, dbtest.Realm, grantFor(w.mustPerson(t, dbtest.Realm), c))
		must(t, w.Revoke(t.Context(), by, g.Realm, g.ID, "test"))
		w.mustRefresh(t, c, token, Unknown)
	})
}

// A client that takes the profile goes on with the last token it was given; one
// before that still shows that two parties hold the family.
func TestAFamilyThatStaysRemembersItsPast(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		key, err := jose.Generate("k1", jose.ES256)
		must(t, err)
		c := w.mustClient(t, dbtest.Realm)
		g, first := w.mustGrant(t, dbtest.Realm, grantFor(w.mustPerson(t, dbtest.Realm), c))
		second := string(w.mustRefresh(t, c, first, OK).Token)
		settings := c.Settings
		settings.Profile, settings.AuthMethod, settings.JWKS = client.ProfileFAPI2, client.PrivateKeyJWT, string(jose.Set{key.Public()}.JSON())
		_, err = w.Clients.Update(t.Context(), by, c.Realm, c.ID, 0, settings)
		must(t, err)
		if c, err = w.Clients.Live(t.Context(), c.Realm, c.ID); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(Grace + time.Second)
		if r := w.mustRefresh(t, c, second, OK); string(r.Token) != second {
			t.Errorf("rotated: %+v", r)
		}
		// Not even within the grace after a use of the second.
		w.mustRefresh(t, c, first, Reused)
		w.mustBe(t, g, true)
	})
}

// TK-05. Remove `s.killOne` from refuse to see this fail.
func TestReuseOutsideTheGraceRevokesTheFamily(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := w.mustClient(t, dbtest.Realm)
		p := w.mustPerson(t, dbtest.Realm)
		g, first := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
		other, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
		one := w.mustRefresh(t, c, first, OK)
		w.Clock.Advance(Grace + time.Millisecond)
		if r := w.mustRefresh(t, c, first, Reused); r.Token != "" || r.Grant.ID != g.ID {
			t.Errorf("reuse gave %+v", r)
		}
		w.mustBe(t, g, true)
		w.mustBe(t, other, false)
		w.mustRefresh(t, c, string(one.Token), Unknown)
		// A repetition of the refusal is a refusal.
		w.mustRefresh(t, c, first, Reused)
	})
}

func TestARefreshTokenIsItsClients(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		mine, other := w.mustClient(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		foreign := w.mustClient(t, dbtest.Neighbour)
		g, first := w.mustGrant(t, dbtest.Realm, grantFor(w.mustPerson(t, dbtest.Realm), mine))
		for _, c := range []*client.Client{other, foreign} {
			w.mustRefresh(t, c, first, Unknown)
		}
		w.mustBe(t, g, false)
		w.mustRefresh(t, mine, first, OK)
		// In the grace, but not the client that had it: somebody has stolen it.
		w.mustRefresh(t, other, first, Reused)
		w.mustBe(t, g, true)
	})
}

// P-06, TK-04. Remove `AND refresh_hash = $4` from whileGood to see this fail.
func TestOfManyRefreshesAtOnceOneRotates(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		nodes := []*world{w}
		if w.Env.DB.Engine() == db.Postgres {
			other := build(t, w.Node(t))
			other.Start(t)
			nodes = append(nodes, other)
		}
		c := w.mustClient(t, dbtest.Realm)
		p := w.mustPerson(t, dbtest.Realm)
		for range 4 {
			g, token := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
			var mu sync.Mutex
			tokens, outcomes := map[string]int{}, map[Outcome]int{}
			var wg sync.WaitGroup
			for i := range 64 {
				n := nodes[i%len(nodes)]
				wg.Go(func() {
					r, err := n.Refresh(t.Context(), by, c, token, "")
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					outcomes[r.Outcome]++
					tokens[string(r.Token)]++
				})
			}
			wg.Wait()
			if outcomes[OK] != 1 || outcomes[Repeated] != 63 || len(tokens) != 1 {
				t.Fatalf("%v with %d different tokens; want one rotation and one successor", outcomes, len(tokens))
			}
			if n := w.generation(t, g); n != 2 {
				t.Fatalf("%d tokens were made, want 2", n)
			}
		}
	})
}

// generation is how many tokens of its family a grant has had.
func (w *world) generation(t testing.TB, g *Grant) (n int64) {
	t.Helper()
	must(t, w.Env.DB.View(t.Context(), g.Realm, func(tx *db.Tx) (err error) {
		n, err = db.One(tx, db.Scalar[int64], `SELECT refresh_generation FROM grants WHERE realm = $1 AND id = $2`, tx.Realm, g.ID)
		return err
	}))
	return n
}

// Two parties hold the same token and use it turn by turn, with any gaps: at no
// time can both go on, and once both have come outside the grace nobody gets
// anything.
func TestTwoHoldersNeverBothGoOn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := w.mustClient(t, dbtest.Realm)
		p := w.mustPerson(t, dbtest.Realm)
		for _, gap := range []time.Duration{0, time.Second, Grace, Grace + time.Second, time.Hour} {
			g, token := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
			victim, thief := token, token
			for step := range 6 {
				holder := &victim
				if step%2 == 1 {
					holder = &thief
				}
				r, err := w.Refresh(t.Context(), by, c, *holder, "")
				must(t, err)
				if r.Token != "" {
					*holder = string(r.Token)
				}
				if victim != thief && w.lives(t, g, victim) && w.lives(t, g, thief) {
					t.Fatalf("gap %v, step %d: two living leaves", gap, step)
				}
				w.Clock.Advance(gap)
			}
			if now, err := w.ByID(t.Context(), g.Realm, g.ID); err != nil || gap > Grace && now.Revoked.IsZero() {
				t.Errorf("gap %v: the grant is still alive: %v", gap, err)
			}
		}
	})
}

func (w *world) lives(t testing.TB, g *Grant, token string) bool {
	t.Helper()
	_, err := w.LiveRefresh(t.Context(), g.Realm, token)
	return err == nil
}

func TestRefreshTokensExpireIdleAndForGood(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		short := func(s *client.Settings) { s.RefreshIdleTTL, s.RefreshAbsoluteTTL = 3600, 3*3600 }
		c := w.mustClient(t, dbtest.Realm, short)
		p := w.mustPerson(t, dbtest.Realm)
		_, idle := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
		w.Clock.Advance(time.Hour)
		w.mustRefresh(t, c, idle, Expired)

		g, token := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
		for range 5 {
			w.Clock.Advance(35 * time.Minute)
			token = string(w.mustRefresh(t, c, token, OK).Token)
		}
		w.Clock.Advance(5 * time.Minute) // three hours after the grant
		w.mustRefresh(t, c, token, Expired)
		if now, err := w.ByID(t.Context(), g.Realm, g.ID); err != nil || now.Alive(w.Clock.Now()) {
			t.Errorf("the grant outlives its family: %v", err)
		}
	})
}

// TK-07, what the statement itself re-checks. Remove `revoked_at = 0`, the
// EXISTS clause or `client_life = $6` from whileGood to see this fail.
func TestARefreshTokenDiesWithItsGrantConsentAndClient(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		p := w.mustPerson(t, dbtest.Realm)
		for name, kill := range map[string]func(t *testing.T, g *Grant, c *client.Client) *client.Client{
			"grant": func(t *testing.T, g *Grant, c *client.Client) *client.Client {
				must(t, w.Revoke(t.Context(), by, g.Realm, g.ID, "test"))
				return c
			},
			"consent": func(t *testing.T, g *Grant, c *client.Client) *client.Client {
				// Only the ancestor's death: as if the process died before the cascade.
				must(t, w.Env.DB.Update(t.Context(), g.Realm, func(tx *db.Tx) error {
					_, err := deleteConsent(tx, g.Principal, g.Client)
					return err
				}))
				return c
			},
			"consent given anew": func(t *testing.T, g *Grant, c *client.Client) *client.Client {
				must(t, w.Env.DB.Update(t.Context(), g.Realm, func(tx *db.Tx) error {
					_, err := deleteConsent(tx, g.Principal, g.Client)
					return err
				}))
				w.Clock.Advance(time.Second)
				must(t, w.Remember(t.Context(), by, g.Realm, g.Principal, g.Client, g.Scopes))
				return c
			},
			"client disabled and enabled": func(t *testing.T, g *Grant, c *client.Client) *client.Client {
				must(t, w.DisableClient(t.Context(), by, g.Realm, c.ID, 0, nil))
				_, err := w.Clients.Enable(t.Context(), by, g.Realm, c.ID, 0)
				must(t, err)
				c, err = w.Clients.Live(t.Context(), g.Realm, c.ID)
				must(t, err)
				return c
			},
		} {
			c := w.mustClient(t, dbtest.Realm)
			must(t, w.Remember(t.Context(), by, dbtest.Realm, p.id, c.ID, []string{"openid", "read"}))
			g, token := w.mustGrant(t, dbtest.Realm, grantFor(p, c, consented))
			token = string(w.mustRefresh(t, c, token, OK).Token)
			c = kill(t, g, c)
			if r, err := w.Refresh(t.Context(), by, c, token, ""); err != nil || r.Outcome != Unknown {
				t.Errorf("%s: %v, %v; want unknown", name, r.Outcome, err)
			}
		}
	})
}

func TestARefreshTokenIsReadOnlyWithItsKeyInItsRealm(t *testing.T) {
	key := []byte("key of one realm")
	first := firstRefresh(NewID(time.Unix(1e9, 0)))
	text := string(first.encode(key, "test"))
	if got, ok := readRefresh(key, "test", text); !ok || got != first {
		t.Fatalf("read %+v, %t; want %+v", got, ok, first)
	}
	if got, ok := readRefresh(key, "test", string(first.next().encode(key, "test"))); !ok || got != first.next() || got.generation != 2 {
		t.Errorf("the successor reads as %+v, %t", got, ok)
	}
	if other := firstRefresh(first.grant); other.seed == first.seed {
		t.Error("two families have the same seed")
	}
	if _, ok := readRefresh([]byte("key of another"), "test", text); ok {
		t.Error("read with the key of another realm")
	}
	if _, ok := readRefresh(key, "neighbour", text); ok {
		t.Error("read in another realm")
	}
	b, _ := secret.Decode(RefreshPrefix, text)
	for i := range b {
		forged := bytes.Clone(b)
		forged[i] ^= 1
		if got, ok := readRefresh(key, "test", secret.Encode(RefreshPrefix, forged)); ok {
			t.Errorf("byte %d changed: read as %+v", i, got)
		}
	}
	for n := range b {
		if _, ok := readRefresh(key, "test", secret.Encode(RefreshPrefix, b[:n])); ok {
			t.Errorf("cut to %d bytes: read", n)
		}
	}
}

// What names a grant but was not made by us must not end it: the id of a grant
// is no secret.
func TestAForgedRefreshTokenKillsNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := w.mustClient(t, dbtest.Realm)
		g, first := w.mustGrant(t, dbtest.Realm, grantFor(w.mustPerson(t, dbtest.Realm), c))
		second := string(w.mustRefresh(t, c, first, OK).Token)
		w.Clock.Advance(time.Hour)
		w.mustRefresh(t, c, string(firstRefresh(g.ID).encode([]byte("a guess"), dbtest.Realm)), Unknown)
		w.mustBe(t, g, false)
		w.mustRefresh(t, c, second, OK)
	})
}

// A backup that was put back knows less than a client: its token is refused and
// ends nothing.
func TestARefreshTokenOfTheFutureIsRefused(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := w.mustClient(t, dbtest.Realm)
		g, first := w.mustGrant(t, dbtest.Realm, grantFor(w.mustPerson(t, dbtest.Realm), c))
		second := string(w.mustRefresh(t, c, first, OK).Token)
		third := string(w.mustRefresh(t, c, second, OK).Token)
		must(t, w.Env.DB.Update(t.Context(), g.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE grants SET refresh_hash = $1, refresh_generation = 2 WHERE realm = $2 AND id = $3`, secret.Hash(second), tx.Realm, g.ID)
			return err
		}))
		w.mustRefresh(t, c, third, Unknown)
		w.mustBe(t, g, false)
	})
}

func FuzzRefreshToken(f *testing.F) {
	key := []byte("key of one realm")
	f.Add(string(firstRefresh(NewID(time.Unix(1e9, 0))).encode(key, "test")))
	f.Add("cdr_")
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := readRefresh(key, "test", text); ok && string(got.encode(key, "test")) != text {
			t.Errorf("%q is a second text of %+v", text, got)
		}
	})
}

func TestKnowsAndLiveRefresh(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := w.mustClient(t, dbtest.Realm)
		g, first := w.mustGrant(t, dbtest.Realm, grantFor(w.mustPerson(t, dbtest.Realm), c))
		second := string(w.mustRefresh(t, c, first, OK).Token)
		for token, live := range map[string]bool{first: false, second: true} {
			if got, err := w.KnowsRefresh(t.Context(), g.Realm, token); err != nil || got.ID != g.ID {
				t.Errorf("KnowsRefresh = %v, %v", got, err)
			}
			if got, err := w.LiveRefresh(t.Context(), g.Realm, token); (err == nil) != live || live && (got.Grant.ID != g.ID || !got.Expires.After(w.Clock.Now())) {
				t.Errorf("LiveRefresh = %v, %v; want live = %v", got, err, live)
			}
			if _, err := w.KnowsRefresh(t.Context(), dbtest.Neighbour, token); err == nil {
				t.Error("the neighbour knows the token")
			}
		}
		must(t, w.Revoke(t.Context(), by, g.Realm, g.ID, "test"))
		if _, err := w.LiveRefresh(t.Context(), g.Realm, second); err == nil {
			t.Error("the token is live although its grant is not")
		}
	})
}
