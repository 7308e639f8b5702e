package grant

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// Spine 7: one grant for each client and credential, made once by however many
// requests and nodes, made again after a kill. Remove the ON CONFLICT clause
// from insertStanding to see this fail.
func TestOneStandingGrantForEachClientAndCredential(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		nodes := []*world{w}
		if w.Env.DB.Engine() == db.Postgres {
			other := build(t, w.Node(t))
			other.Start(t)
			nodes = append(nodes, other)
		}
		c := w.mustClient(t, dbtest.Realm)
		first := w.credentialOf(t, c)
		second, _, err := w.Credentials.AddSecret(ctx, by, dbtest.Realm, c.Principal, "", 0)
		must(t, err)
		race := func(credential string) string {
			var mu sync.Mutex
			ids := map[string]bool{}
			var wg sync.WaitGroup
			for _, n := range nodes {
				for range 16 {
					wg.Go(func() {
						g, err := n.StandingFor(ctx, by, c, credential)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						defer mu.Unlock()
						ids[g.ID] = true
					})
				}
			}
			wg.Wait()
			if len(ids) != 1 {
				t.Fatalf("%d standing grants, want 1", len(ids))
			}
			for id := range ids {
				return id
			}
			return ""
		}
		a, b := race(first), race(second.ID)
		if a == b {
			t.Error("two credentials share a grant")
		}
		must(t, w.Revoke(ctx, by, dbtest.Realm, a, "test"))
		if again := race(first); again == a {
			t.Error("the dead grant came back")
		}
		if still := race(second.ID); still != b {
			t.Error("killing one grant took the other with it")
		}
	})
}

func TestAStandingGrantCostsNoWrite(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := w.mustClient(t, dbtest.Realm)
		credential := w.credentialOf(t, c)
		first, err := w.StandingFor(t.Context(), by, c, credential)
		must(t, err)
		w.Env.DB.Close()
		if again, err := w.StandingFor(t.Context(), by, c, credential); err != nil || again.ID != first.ID {
			t.Errorf("with the database gone: %v, %v", again, err)
		}
	})
}

func TestAStandingGrantFollowsItsList(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := w.mustClient(t, dbtest.Realm)
		credential := w.credentialOf(t, c)
		first, err := w.StandingFor(t.Context(), by, c, credential)
		must(t, err)
		w.mustExhaust(t)
		w.anyBit(t)
		moved, err := w.StandingFor(t.Context(), by, c, credential)
		must(t, err)
		if moved.ID != first.ID || moved.Status.List == first.Status.List {
			t.Errorf("moved = %+v, was %+v", moved, first)
		}
		must(t, w.Revoke(t.Context(), by, dbtest.Realm, first.ID, "test"))
		w.mustDead(t, first.Status, true)
		w.mustDead(t, moved.Status, true)
		if next, err := w.StandingFor(t.Context(), by, c, credential); err != nil || next.ID == first.ID {
			t.Errorf("after the kill: %v, %v", next, err)
		}
	})
}

// What an owner's suspension stopped starts anew when the owner comes back, with
// another grant: the old one is dead.
func TestAStandingGrantDoesNotOutliveItsEra(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		owner, c := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		_, err := w.Principals.Update(ctx, by, dbtest.Realm, c.Principal, 0, principal.Change{Owner: &owner.id})
		must(t, err)
		first, err := w.StandingFor(ctx, by, c, w.credentialOf(t, c))
		must(t, err)
		// Only the death itself, as if the process had died before the cascade.
		must(t, w.Principals.Suspend(ctx, by, dbtest.Realm, owner.id, "test"))
		if _, err := w.StandingFor(ctx, by, c, w.credentialOf(t, c)); !fault.Is(err, fault.Forbidden) {
			t.Errorf("while the owner is suspended: %v, want forbidden", err)
		}
		must(t, w.Principals.Activate(ctx, by, dbtest.Realm, owner.id))
		next, err := w.StandingFor(ctx, by, c, w.credentialOf(t, c))
		must(t, err)
		if next.ID == first.ID {
			t.Error("the grant of before the suspension goes on")
		}
		w.mustBe(t, first, true)
	})
}

func TestAStandingGrantNeedsItsCredential(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.mustClient(t, dbtest.Realm)
		credential := w.credentialOf(t, c)
		g, err := w.StandingFor(ctx, by, c, credential)
		must(t, err)
		must(t, w.RevokeCredential(ctx, by, dbtest.Realm, credential, "leaked", nil))
		w.mustBe(t, g, true)
		if _, err := w.StandingFor(ctx, by, c, credential); !fault.Is(err, fault.Forbidden) {
			t.Errorf("with a dead credential: %v, want forbidden", err)
		}
		other := w.mustClient(t, dbtest.Realm)
		if _, err := w.StandingFor(ctx, by, other, w.credentialOf(t, w.mustClient(t, dbtest.Realm))); !fault.Is(err, fault.Forbidden) {
			t.Errorf("with another client's credential: %v, want forbidden", err)
		}
	})
}

func TestCreateRefusesWhatExceedsItsAncestors(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		p, stranger, c := w.mustPerson(t, dbtest.Realm), w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		must(t, w.Remember(t.Context(), by, dbtest.Realm, p.id, c.ID, []string{"openid"}))
		parent, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
		for name, change := range map[string]func(*New){
			"another's session":        func(n *New) { n.Session = stranger.session },
			"another's credential":     func(n *New) { n.Credential = stranger.credential },
			"more than was consented":  func(n *New) { n.Consent = true },
			"more than its parent has": func(n *New) { n.Parent, n.Scopes = parent.ID, []string{"openid", "write"} },
			"its parent's, offline":    func(n *New) { n.Parent, n.Offline = parent.ID, true },
			"another's grant":          func(n *New) { n.Parent, n.Principal, n.Session = parent.ID, stranger.id, stranger.session },
		} {
			if _, _, err := w.create(t.Context(), dbtest.Realm, grantFor(p, c, change)); !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s: %v, want forbidden", name, err)
			}
		}
		for name, change := range map[string]func(*New){
			"unknown principal": func(n *New) { n.Principal = "usr_nobody" },
			"unknown client":    func(n *New) { n.Client = "cli_nobody" },
			"unknown session":   func(n *New) { n.Session = "ses_nobody" },
			"unknown parent":    func(n *New) { n.Parent = "gnt_nobody" },
		} {
			if g, _, err := w.create(t.Context(), dbtest.Realm, grantFor(p, c, change)); err == nil {
				t.Errorf("%s: made %s", name, g.ID)
			}
		}
		// A slot of one realm makes no grant in another, and none is none.
		slot, err := w.Reserve(t.Context(), dbtest.Neighbour, ForGrants)
		must(t, err)
		for _, s := range []Slot{slot, {}} {
			err := w.Env.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				_, _, err := w.CreateTx(tx, by, s, grantFor(p, c))
				return err
			})
			if err == nil {
				t.Error("made with a foreign slot")
			}
		}
	})
}

func TestAGrantLivesNoLongerThanWhatRenewsIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		p, c := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		now := w.Clock.Now()
		for name, one := range map[string]struct {
			change func(*New)
			want   time.Duration
		}{
			"with refresh, in a session":    {func(*New) {}, 30 * 24 * time.Hour},
			"with refresh, offline":         {offline, 90 * 24 * time.Hour},
			"without refresh, for a moment": {func(n *New) { n.Refresh = false }, 11 * time.Minute},
		} {
			g, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c, one.change))
			if got := g.Expires.Sub(now); got != one.want {
				t.Errorf("%s: %v, want %v", name, got, one.want)
			}
		}
	})
}

func TestConsentGrowsAndIsForgotten(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		p, c := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		look := func(want []string) {
			t.Helper()
			got, err := w.Consent(ctx, dbtest.Realm, p.id, c.ID)
			must(t, err)
			if got == nil && want != nil || got != nil && !slices.Equal(got.Scopes, want) {
				t.Errorf("consent = %+v, want %q", got, want)
			}
		}
		look(nil)
		must(t, w.Remember(ctx, by, dbtest.Realm, p.id, c.ID, []string{"read", "openid", "read"}))
		look([]string{"openid", "read"})
		must(t, w.Remember(ctx, by, dbtest.Realm, p.id, c.ID, []string{"openid"}))
		look([]string{"openid", "read"})
		must(t, w.Remember(ctx, by, dbtest.Realm, p.id, c.ID, []string{"write"}))
		look([]string{"openid", "read", "write"})
		if got, err := w.Consent(ctx, dbtest.Neighbour, p.id, c.ID); err != nil || got != nil {
			t.Errorf("the neighbour's consent: %+v, %v", got, err)
		}
		must(t, w.RevokeConsent(ctx, by, dbtest.Realm, p.id, c.ID, "test"))
		look(nil)
		must(t, w.RevokeConsent(ctx, by, dbtest.Realm, p.id, c.ID, "test"))
		must(t, w.SuspendPrincipal(ctx, by, dbtest.Realm, p.id, "test", nil))
		if err := w.Remember(ctx, by, dbtest.Realm, p.id, c.ID, []string{"read"}); !fault.Is(err, fault.Forbidden) {
			t.Errorf("consent of a suspended person: %v, want forbidden", err)
		}
	})
}

func TestListsComeInPages(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		p, other := w.mustPerson(t, dbtest.Realm), w.mustPerson(t, dbtest.Realm)
		c, second := w.mustClient(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		var dead *Grant
		for i := range 7 {
			g, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
			if i == 3 {
				dead = g
			}
		}
		w.mustGrant(t, dbtest.Realm, grantFor(other, second))
		w.mustGrant(t, dbtest.Neighbour, grantFor(w.mustPerson(t, dbtest.Neighbour), w.mustClient(t, dbtest.Neighbour)))
		must(t, w.Revoke(ctx, by, dbtest.Realm, dead.ID, "test"))
		for _, one := range []struct {
			f    Filter
			want int
		}{{Filter{}, 7}, {Filter{Principal: p.id}, 6}, {Filter{Client: c.ID}, 6}, {Filter{Session: p.session}, 6}, {Filter{Principal: p.id, Dead: true}, 7},
			{Filter{Client: second.ID}, 1}, {Filter{Session: "ses_none"}, 0}} {
			var ids []string
			for pages := 0; ; pages++ {
				page, next, err := w.List(ctx, dbtest.Realm, one.f, 2)
				must(t, err)
				for _, g := range page {
					ids = append(ids, g.ID)
				}
				if one.f.After = next; next == "" || pages > 5 {
					break
				}
			}
			if len(ids) != one.want || !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
				t.Errorf("%+v: %d grants %v, want %d, each once", one.f, len(ids), ids, one.want)
			}
		}
		for _, client := range []string{c.ID, second.ID} {
			must(t, w.Remember(ctx, by, dbtest.Realm, p.id, client, []string{"read"}))
		}
		must(t, w.Remember(ctx, by, dbtest.Realm, other.id, c.ID, []string{"read"}))
		for want, f := range map[int]Filter{2: {Principal: p.id}, 1: {Principal: other.id}} {
			got := 0
			for {
				page, next, err := w.Consents(ctx, dbtest.Realm, f, 1)
				must(t, err)
				got += len(page)
				if f.After = next; next == "" {
					break
				}
			}
			if got != want {
				t.Errorf("%d consents, want %d", got, want)
			}
		}
		if page, _, err := w.Consents(ctx, dbtest.Realm, Filter{Client: c.ID}, 10); err != nil || len(page) != 2 {
			t.Errorf("consents for the client: %d, %v; want 2", len(page), err)
		}
		if _, _, err := w.Consents(ctx, dbtest.Realm, Filter{}, 10); !fault.Is(err, fault.Invalid) {
			t.Errorf("consents of nobody: %v, want invalid", err)
		}
	})
}

// Spine 7: one grant for each parent, client and actor, made once by however many
// requests and nodes, without a write afterwards; and dead with any of them.
func TestOneExchangeGrantForEachParentClientAndActor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		nodes := []*world{w}
		if w.Env.DB.Engine() == db.Postgres {
			other := build(t, w.Node(t))
			other.Start(t)
			nodes = append(nodes, other)
		}
		p, c, api := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		robot := w.mustClient(t, dbtest.Realm).Principal
		parent, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
		race := func(x Shown) *Grant {
			t.Helper()
			var mu sync.Mutex
			found := map[string]*Grant{}
			var wg sync.WaitGroup
			for _, n := range nodes {
				for range 16 {
					wg.Go(func() {
						g, err := n.ExchangeFor(ctx, by, api, x)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						defer mu.Unlock()
						found[g.ID] = g
					})
				}
			}
			wg.Wait()
			if len(found) != 1 {
				t.Fatalf("%d grants, want 1", len(found))
			}
			for _, g := range found {
				return g
			}
			return nil
		}
		plain, acting := race(Shown{Parent: parent}), race(Shown{Parent: parent, Actor: robot})
		if plain.ID == acting.ID || plain.Parent != parent.ID || plain.Session != parent.Session || acting.Actor != robot || plain.Principal != p.id || !plain.Expires.Equal(parent.Expires) {
			t.Fatalf("%+v\n%+v", plain, acting)
		}
		below, err := w.ExchangeFor(ctx, by, w.mustClient(t, dbtest.Realm), Shown{Parent: acting})
		must(t, err)
		must(t, w.SuspendPrincipal(ctx, by, dbtest.Realm, robot, "test", nil))
		w.mustBe(t, acting, true)
		w.mustBe(t, below, true)
		w.mustBe(t, plain, false)
		must(t, w.Revoke(ctx, by, dbtest.Realm, parent.ID, "test"))
		w.mustBe(t, plain, true)
		if _, err := w.ExchangeFor(ctx, by, api, Shown{Parent: parent}); !fault.Is(err, fault.Forbidden) {
			t.Errorf("below a dead grant: %v, want forbidden", err)
		}
		if _, err := w.ExchangeFor(ctx, by, api, Shown{Principal: p.id}); err == nil {
			t.Error("of nothing")
		}
	})
}

func TestAnExchangeGrantCostsNoWrite(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		p, c, api := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		parent, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
		first, err := w.ExchangeFor(t.Context(), by, api, Shown{Parent: parent})
		must(t, err)
		w.Env.DB.Close()
		if again, err := w.ExchangeFor(t.Context(), by, api, Shown{Parent: parent}); err != nil || again.ID != first.ID {
			t.Errorf("with the database gone: %v, %v", again, err)
		}
	})
}
