package grant

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// family is one person's grants, each hanging on something else.
type family struct {
	person
	session, offline, consent, otherSession, child *Grant
}

func (w *world) mustFamily(t testing.TB, realm string) family {
	t.Helper()
	p := w.mustPerson(t, realm)
	second := p
	second.session = w.mustSession(t, p)
	c, asking := w.mustClient(t, realm), w.mustClient(t, realm)
	must(t, w.Remember(context.Background(), by, realm, p.id, asking.ID, []string{"openid", "read"}))
	f := family{person: p}
	f.session, _ = w.mustGrant(t, realm, grantFor(p, c))
	f.offline, _ = w.mustGrant(t, realm, grantFor(p, c, offline))
	f.consent, _ = w.mustGrant(t, realm, grantFor(p, asking, consented, offline))
	f.otherSession, _ = w.mustGrant(t, realm, grantFor(second, c))
	c = w.mustClient(t, realm)
	f.child, _ = w.mustGrant(t, realm, grantFor(p, c, offline, func(n *New) { n.Parent, n.Actor = f.consent.ID, c.Principal }))
	return f
}

func (f family) grants() map[string]*Grant {
	return map[string]*Grant{"session": f.session, "offline": f.offline, "consent": f.consent, "other session": f.otherSession, "child": f.child}
}

func TestAKillReachesWhatHangsOnItAndNothingElse(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		stranger, neighbour := w.mustFamily(t, dbtest.Realm), w.mustFamily(t, dbtest.Neighbour)
		for _, one := range []struct {
			name string
			kill func(f family) error
			dead []string
		}{
			{"grant", func(f family) error { return w.Revoke(ctx, by, dbtest.Realm, f.consent.ID, "test") }, []string{"consent", "child"}},
			{"session", func(f family) error { return w.EndSession(ctx, by, dbtest.Realm, f.person.session, "test") }, []string{"session"}},
			{"everywhere", func(f family) error { return w.SignOutEverywhere(ctx, by, dbtest.Realm, f.id, "test") },
				[]string{"session", "offline", "consent", "other session", "child"}},
			{"suspension", func(f family) error { return w.SuspendPrincipal(ctx, by, dbtest.Realm, f.id, "test", nil) },
				[]string{"session", "offline", "consent", "other session", "child"}},
			{"deletion", func(f family) error { return w.DeletePrincipal(ctx, by, dbtest.Realm, f.id, "test", nil) },
				[]string{"session", "offline", "consent", "other session", "child"}},
			{"credential", func(f family) error { return w.RevokeCredential(ctx, by, dbtest.Realm, f.credential, "test", nil) },
				[]string{"session", "other session"}},
			{"consent", func(f family) error {
				return w.RevokeConsent(ctx, by, dbtest.Realm, f.id, f.consent.Client, "test")
			}, []string{"consent", "child"}},
		} {
			t.Run(one.name, func(t *testing.T) {
				f := w.mustFamily(t, dbtest.Realm)
				for range 2 { // a kill that finds its work done is no error
					must(t, one.kill(f))
					for name, g := range f.grants() {
						dead := false
						for _, d := range one.dead {
							dead = dead || d == name
						}
						t.Log(name)
						w.mustBe(t, g, dead)
					}
				}
			})
		}
		for _, other := range []family{stranger, neighbour} {
			for _, g := range other.grants() {
				w.mustBe(t, g, false)
			}
		}
	})
}

func TestAClientsDeathKillsWhatComesOfItsGrants(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		f := w.mustFamily(t, dbtest.Realm)
		must(t, w.DisableClient(t.Context(), by, dbtest.Realm, f.consent.Client, 0, nil))
		w.mustBe(t, f.child, true) // another client's: the cut-off does not reach it
		w.mustBe(t, f.session, false)
		if refused, err := w.Status.Refuses(t.Context(), dbtest.Realm, Probe{Bit: f.consent.Status, Client: f.consent.Client}); err != nil || !refused {
			t.Errorf("a token from before the cut-off: refused = %v, %v", refused, err)
		}
		if refused, err := w.Status.Refuses(t.Context(), dbtest.Realm, Probe{Bit: f.consent.Status, Client: f.consent.Client, Minted: w.Log.Applied()}); err != nil || refused {
			t.Errorf("a token from after the cut-off: refused = %v, %v", refused, err)
		}
	})
}

func TestTheOwnersDeathReachesWhatIsOwned(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		owner := w.mustPerson(t, dbtest.Realm)
		c := w.mustClient(t, dbtest.Realm)
		_, err := w.Principals.Update(t.Context(), by, dbtest.Realm, c.Principal, 0, principal.Change{Owner: &owner.id})
		must(t, err)
		g, err := w.StandingFor(t.Context(), by, c, w.credentialOf(t, c))
		must(t, err)
		must(t, w.SuspendPrincipal(t.Context(), by, dbtest.Realm, owner.id, "left", nil))
		w.mustBe(t, g, true)
	})
}

func TestAGuardStopsTheKill(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		f := w.mustFamily(t, dbtest.Realm)
		last := errors.New("the last owner")
		guard := func(*db.Tx) error { return last }
		for name, err := range map[string]error{
			"suspend": w.SuspendPrincipal(t.Context(), by, dbtest.Realm, f.id, "test", guard),
			"delete":  w.DeletePrincipal(t.Context(), by, dbtest.Realm, f.id, "test", guard),
			"revoke":  w.RevokeCredential(t.Context(), by, dbtest.Realm, f.credential, "test", guard),
			"disable": w.DisableClient(t.Context(), by, dbtest.Realm, f.session.Client, 0, guard),
			"remove":  w.DeleteClient(t.Context(), by, dbtest.Realm, f.session.Client, 0, guard),
		} {
			if !errors.Is(err, last) {
				t.Errorf("%s: %v, want the guard's error", name, err)
			}
		}
		for _, g := range f.grants() {
			w.mustBe(t, g, false)
		}
	})
}

// Spine 8: a large kill goes in chunks, and the last event names the ancestor
// with count and hash of all its dead. Say in cascade, always, that nothing more
// is left to see this fail.
func TestALargeKillGoesInChunks(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.chunk = 4
		p, c := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		var all []*Grant
		for range 10 {
			g, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
			all = append(all, g)
		}
		must(t, w.EndSession(t.Context(), by, dbtest.Realm, p.session, "test"))
		for _, g := range all {
			w.mustBe(t, g, true)
		}
		var counts []float64
		bits := 0
		_, err := w.Log.Replay(t.Context(), dbtest.Realm, audit.Position{}, func(r audit.Record) error {
			if r.Action != "grant.cascade" {
				return nil
			}
			counts = append(counts, r.Data["count"].(float64))
			bits += len(r.Deaths)
			if r.Target != p.session || r.TargetType != "session" || r.Data["sha256"] == "" || !r.Invalidates {
				t.Errorf("event %+v", r)
			}
			return nil
		})
		must(t, err)
		if fmt.Sprint(counts) != "[4 8 10]" || bits != 10 {
			t.Errorf("counts %v, %d bits; want 4 8 10 and 10 bits", counts, bits)
		}
	})
}

// Most of what a client was granted has nothing below it. Its end looks through that in
// parts, so that nobody who writes waits for all of it.
func TestTheEndOfAClientGoesInParts(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.chunk = 4
		p, c, other := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		var children []*Grant
		for i := range 10 {
			g, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
			if i == 0 || i == 9 {
				slot, err := w.Reserve(t.Context(), dbtest.Realm, ForGrants)
				must(t, err)
				must(t, w.Env.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
					child, _, err := w.CreateTx(tx, by, slot, childOf("parent", p, other, g))
					children = append(children, child)
					return err
				}))
			}
		}
		ctx, traffic := dbtest.Watch(t.Context())
		must(t, w.DisableClient(ctx, by, dbtest.Realm, c.ID, 0, nil))
		for _, g := range children {
			w.mustBe(t, g, true)
		}
		if n := strings.Count(traffic.String(), "client = $4 AND id > $5 AND id <= $7"); n != 3 {
			t.Errorf("%d parts of 4 for 10 grants, want 3", n)
		}
	})
}

// Spine 2: a death that comes while a birth below it is under way waits for it,
// and then finds the child. Remove the proof of an ancestor from prove, or on
// PostgreSQL the FOR SHARE of heldGrant or heldConsent, to see this fail.
func TestADeathWaitsForTheBirthBelowIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for name, kill := range deaths(w, t) {
			p, c := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
			must(t, w.Remember(t.Context(), by, p.realm, p.id, c.ID, []string{"openid", "read"}))
			parent, _ := w.mustGrant(t, p.realm, grantFor(p, c, consented))
			slot, err := w.Reserve(t.Context(), p.realm, ForGrants)
			must(t, err)
			killed := make(chan error, 1)
			var once sync.Once
			var child *Grant
			must(t, w.Env.DB.UpdateRC(t.Context(), p.realm, func(tx *db.Tx) (err error) {
				child, _, err = w.CreateTx(tx, by, slot, childOf(name, p, c, parent))
				if err != nil {
					return err
				}
				once.Do(func() {
					go func() { killed <- kill(p, c.ID, parent.ID) }()
					select { // long enough for a death that does not wait
					case err := <-killed:
						killed <- err
					case <-time.After(150 * time.Millisecond):
					}
				})
				return nil
			}))
			must(t, <-killed)
			if name == "principal" {
				continue // does not wait; its era tells the gate
			}
			w.mustBe(t, child, true)
			if t.Failed() {
				t.Fatalf("%s: its death did not reach the child", name)
			}
		}
	})
}

// deaths are the ancestors' deaths by name.
func deaths(w *world, t *testing.T) map[string]func(p person, client, parent string) error {
	ctx := t.Context()
	return map[string]func(p person, client, parent string) error{
		"session":   func(p person, _, _ string) error { return w.EndSession(ctx, by, p.realm, p.session, "test") },
		"principal": func(p person, _, _ string) error { return w.SuspendPrincipal(ctx, by, p.realm, p.id, "test", nil) },
		"credential": func(p person, _, _ string) error {
			return w.RevokeCredential(ctx, by, p.realm, p.credential, "test", nil)
		},
		"consent": func(p person, c, _ string) error { return w.RevokeConsent(ctx, by, p.realm, p.id, c, "test") },
		"parent":  func(p person, _, g string) error { return w.Revoke(ctx, by, p.realm, g, "test") },
	}
}

// childOf is a grant that hangs on the ancestor of that name and, as far as may
// be, on no other.
func childOf(name string, p person, c *client.Client, parent *Grant) New {
	n := grantFor(p, c, offline)
	n.Refresh, n.Session = false, ""
	switch name {
	case "session":
		n.Session, n.Offline = p.session, false
	case "credential":
		n.Credential = p.credential
	case "consent":
		n.Consent = true
	case "parent":
		n.Parent, n.Session, n.Offline = parent.ID, p.session, false
	}
	return n
}

// The same with births on as many goroutines as there are: when the kill has
// returned, nothing below lives, whoever came first.
func TestBirthNeverRacesDeath(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for name, kill := range deaths(w, t) {
			p, c := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
			must(t, w.Remember(t.Context(), by, p.realm, p.id, c.ID, []string{"openid", "read"}))
			parent, _ := w.mustGrant(t, p.realm, grantFor(p, c, consented))
			n := childOf(name, p, c, parent)
			var mu sync.Mutex
			var born []*Grant
			refused := 0
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 20 {
						g, _, err := w.create(t.Context(), p.realm, n)
						mu.Lock()
						if err == nil {
							born = append(born, g)
						} else {
							refused++
						}
						mu.Unlock()
						if err != nil {
							if !fault.Is(err, fault.Forbidden) && !fault.Is(err, fault.Unauthenticated) {
								t.Errorf("%s: birth: %v", name, err)
							}
							return
						}
					}
				})
			}
			eventually(t, "born", func() bool { mu.Lock(); defer mu.Unlock(); return len(born) > 4 })
			must(t, kill(p, c.ID, parent.ID))
			wg.Wait()
			for _, g := range born {
				// A grant of an earlier era is as dead as a revoked one: no
				// token was or will be issued under it.
				now, err := w.Principals.ByID(t.Context(), g.Realm, g.Principal)
				must(t, err)
				if g.Era == now.Life {
					w.mustBe(t, g, true)
				}
			}
			if t.Failed() || refused == 0 {
				t.Fatalf("%s: %d births and %d refusals", name, len(born), refused)
			}
		}
	})
}

func TestRevokedTokensOfAClientAreBounded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		expires := w.Clock.Now().Add(10 * time.Minute)
		must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			for i := range deadTokensPerClient {
				if _, err := insertDeadToken(tx, fmt.Sprint("jti", i), "cli_a", expires); err != nil {
					return err
				}
			}
			return nil
		}))
		revoke := func(client, jti string) error {
			return w.RevokeToken(t.Context(), by, dbtest.Realm, client, jti, expires)
		}
		if err := revoke("cli_a", "one too many"); !fault.Is(err, fault.Unavailable) {
			t.Errorf("past the bound: %v, want unavailable", err)
		}
		must(t, revoke("cli_a", "jti1"))
		must(t, revoke("cli_b", "mine"))
		if refused, err := w.Status.Refuses(t.Context(), dbtest.Realm, Probe{Bit: w.anyBit(t), JTI: "one too many"}); err != nil || refused {
			t.Errorf("the refused revocation took effect: %v, %v", refused, err)
		}
	})
}

// anyBit is the index of some living grant.
func (w *world) anyBit(t testing.TB) audit.Bit {
	t.Helper()
	slot, err := w.Reserve(context.Background(), dbtest.Realm, ForGrants)
	must(t, err)
	return slot.bit
}

// What follows a password reset is done although nobody waits for it any more,
// and not when there was no reset.
func TestASignOutIsFinished(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		unconfirmed := fault.New(fault.Unavailable, "unconfirmed", "test")
		for _, one := range []struct {
			err  error
			dead bool
		}{{nil, true}, {unconfirmed, true}, {fault.New(fault.Unavailable, "database", "test"), false}} {
			f := w.mustFamily(t, dbtest.Realm)
			if err := w.FinishSignOut(gone, by, dbtest.Realm, f.id, "test", one.err); !errors.Is(err, one.err) {
				t.Errorf("got %v, want %v", err, one.err)
			}
			w.mustBe(t, f.offline, one.dead)
		}
	})
}

// A kill that got no further than the death it began with is finished by the
// next attempt: what is below is found by what it was born of.
func TestAKillThatWasCutShortIsFinished(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx, f, c := t.Context(), w.mustFamily(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		must(t, w.Credentials.Revoke(ctx, by, dbtest.Realm, f.credential, "test"))
		_, err := w.Sessions.EndBorn(ctx, by, dbtest.Realm, f.credential, "test")
		must(t, err)
		must(t, w.RevokeCredential(ctx, by, dbtest.Realm, f.credential, "test", nil))
		w.mustBe(t, f.session, true)
		w.mustBe(t, f.otherSession, true)
		w.mustBe(t, f.offline, false)

		g, err := w.StandingFor(ctx, by, c, w.credentialOf(t, c))
		must(t, err)
		must(t, w.Credentials.Revoke(ctx, by, dbtest.Realm, w.credentialOf(t, c), "test"))
		if refused := errors.New("refused"); w.EndRevoked(ctx, by, dbtest.Realm, c.Principal, "test", refused) != refused {
			t.Error("what went wrong before is not told")
		}
		w.mustBe(t, g, false)
		must(t, w.EndRevoked(ctx, by, dbtest.Realm, c.Principal, "test", nil))
		w.mustBe(t, g, true)
	})
}
