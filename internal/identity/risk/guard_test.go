package risk

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/secret"
)

// Ordinary life under the defaults: one letter for a new phone, and nothing
// that stands in anybody's way.
func TestTheDefaultsAreQuiet(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.someone(t)
		laptop, phone := w.browser(firefox, home), w.browser(iphone, away)
		for range 3 {
			for _, b := range []browser{laptop, phone, {laptop.mark, firefox, away}, w.browser(firefox, home)} {
				w.try(t, b, ada, "lantern quarry mild adder") // a slip
				v, s := w.signIn(t, b, ada)
				if s == nil || v.StepUp || v.Refuse {
					t.Fatalf("%+v meets %+v", b, v)
				}
				w.Clock.Advance(8 * time.Hour)
			}
		}
		if len(*w.told) != 1 || (*w.told)[0].Finding.Detector != NewDevice || (*w.told)[0].Finding.Args["device"] != "Safari on iPhone" {
			t.Errorf("told: %+v, want the new phone alone", *w.told)
		}
		if n := w.count(t, `SELECT COUNT(*) FROM incidents WHERE realm = $1`); n != 0 {
			t.Errorf("%d incidents", n)
		}
	})
}

// Leaked pairs of names and passwords: by default the network waits between
// tries, and nobody else does. Return Known first in Admit to see it fail.
func TestANetworkThatStuffsIsSlowedAndOwnersAreNot(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada, bob := w.someone(t), w.someone(t)
		owner := w.browser(firefox, away) // at the attacker's own network
		if _, s := w.signIn(t, owner, ada); s == nil {
			t.Fatal("the owner cannot sign in")
		}
		thief := w.browser(firefox, away)
		for i := range 12 {
			w.try(t, thief, fmt.Sprint("nobody", i), fmt.Sprint("some leaked password ", i))
			w.Clock.Advance(time.Second)
		}
		if r := w.try(t, thief, ada, right); r.Outcome != credential.Limited || r.RetryAfter <= 0 {
			t.Fatalf("the network may go on: %+v", r)
		}
		if r := w.try(t, owner, ada, right); r.Outcome != credential.Right {
			t.Errorf("the owner's browser meets %+v", r)
		}
		if r := w.try(t, w.browser(firefox, home), ada, right); r.Outcome != credential.Right {
			t.Errorf("another network meets %+v", r)
		}
		w.Clock.Advance(slowEvery)
		if r := w.try(t, thief, ada, right); r.Outcome != credential.Right {
			t.Fatalf("a slowed network never gets its turn: %+v", r)
		}
		if v := w.assess(t, thief, ada, true); !v.StepUp || !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Reason == "risk.guessed" }) {
			t.Errorf("a leaked password opens with no more: %+v", v)
		}
		if v := w.assess(t, owner, ada, true); v.StepUp || v.Refuse {
			t.Errorf("the owner meets %+v", v)
		}
		w.Clock.Advance(holdNetwork)
		for i := range 3 {
			if r := w.try(t, thief, bob, right); r.Outcome != credential.Right {
				t.Errorf("try %d an hour later: %+v", i, r)
			}
		}
	})
}

// Of any number of tries from a slowed network one is let through, on however
// many nodes. Remove `next_at <= $5` from takeTurn to see it fail.
func TestOfManyTriesAtOnceOneHasItsTurn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		nodes := []*world{w}
		if w.Env.DB.Engine() == db.Postgres {
			other := build(t, w.Node(t))
			other.Start(t)
			nodes = append(nodes, other)
		}
		thief := w.browser(firefox, away)
		network := hashNetwork(w.Key, dbtest.Realm, networkOf(away))
		must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			return putHold(tx, hold{subject: network, detector: Stuffing, action: Slow, until: tx.Now.Add(time.Hour)})
		}))
		var admitted atomic.Int32
		var wg sync.WaitGroup
		for i := range 40 {
			n := nodes[i%len(nodes)]
			wg.Go(func() {
				wait, _, err := n.Admit(t.Context(), dbtest.Realm, thief.actor(), credential.Tried{Subject: "?x"})
				if err != nil {
					t.Error(err)
				}
				if wait == 0 {
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		if admitted.Load() != 1 {
			t.Errorf("%d were let through", admitted.Load())
		}
	})
}

func TestALockedNetworkWaitsItOut(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.set(t, map[string]any{"risk_credential_stuffing": "lock"})
		ada := w.someone(t)
		owner, thief := w.browser(firefox, away), w.browser(firefox, away)
		w.signIn(t, owner, ada)
		for i := range 12 {
			w.try(t, thief, fmt.Sprint("nobody", i), "some leaked password")
		}
		if r := w.try(t, thief, ada, right); r.Outcome != credential.Limited || r.RetryAfter > holdNetwork {
			t.Errorf("the thief meets %+v", r)
		}
		if _, s := w.signIn(t, owner, ada); s == nil {
			t.Error("the owner is locked out")
		}
		all, _, err := w.Incidents(t.Context(), dbtest.Realm, Filter{State: Opened}, "", 10)
		must(t, err)
		if len(all) != 1 || all[0].Detector != Stuffing || all[0].Principal != "" || all[0].Network == "" {
			t.Fatalf("incidents: %+v", all)
		}
		_, err = w.Close(t.Context(), audittest.By, dbtest.Realm, all[0].ID, "our own test")
		must(t, err)
		if r := w.try(t, thief, ada, right); r.Outcome != credential.Right {
			t.Errorf("a closed incident still holds: %+v", r)
		}
	})
}

// One password at many accounts, from a network each.
func TestSprayingIsSeenAcrossNetworks(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for i := range 10 {
			w.try(t, w.browser(firefox, fmt.Sprint("203.0.113.", i)), fmt.Sprint("nobody", i), "Autumn2026 is here!!")
		}
		found := 0
		for _, e := range w.signals(t) {
			if e.Data["detector"] == Spraying {
				found++
			}
		}
		if found != 3 { // from the eighth account on, each network once
			t.Errorf("%d findings", found)
		}
		if n := w.count(t, `SELECT COUNT(*) FROM risk_echoes WHERE realm = $1`); n != 1 {
			t.Errorf("%d echoes of one password", n)
		}
	})
}

func (w *world) signals(t testing.TB) []audit.Record {
	t.Helper()
	all, _, err := w.Env.Log.Query(t.Context(), dbtest.Realm, audit.Filter{Action: "risk.signal", Limit: 1000})
	must(t, err)
	return all
}

// A lock is for passwords from unknown browsers. It looks like a wrong password
// to whoever guesses, and the owner goes in and out (MF-05). Drop `!s.known` or
// `in.Password` from Assess, or `a.Known` from Admit, to see it fail.
func TestALockNeverLocksTheOwnerOut(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.set(t, map[string]any{"risk_new_device": "lock"})
		ada, bob := w.someone(t), w.someone(t)
		owner := w.browser(firefox, home)
		if _, s := w.signIn(t, owner, ada); s == nil {
			t.Fatal("the first sign-in of all is a new device")
		}
		thief := w.browser(iphone, away)
		if v, s := w.signIn(t, thief, ada); !v.Refuse || s != nil {
			t.Fatalf("the new device gets in: %+v", v)
		}
		if len(*w.told) != 1 || !(*w.told)[0].Locked || (*w.told)[0].Incident == "" || (*w.told)[0].Principal != ada {
			t.Fatalf("told: %+v", *w.told)
		}
		for range 3 {
			if r := w.try(t, w.browser(firefox, home), ada, right); r.Outcome != credential.Wrong {
				t.Errorf("an unknown browser learns of the lock: %+v", r)
			}
		}
		if _, s := w.signIn(t, owner, ada); s == nil {
			t.Error("the owner's browser is locked out")
		}
		if v := w.assess(t, thief, ada, false); v.Refuse {
			t.Errorf("a passkey is locked out: %+v", v)
		}
		if _, s := w.signIn(t, thief, bob); s == nil {
			t.Error("somebody else is locked out")
		}
		all, _, err := w.Incidents(t.Context(), dbtest.Realm, Filter{Principal: ada}, "", 10)
		must(t, err)
		if len(all) != 1 || all[0].Findings != 1 || all[0].State != Opened {
			t.Fatalf("incidents: %+v", all)
		}
		closed, err := w.Close(t.Context(), audittest.By, dbtest.Realm, all[0].ID, " Ada's new phone.\n")
		must(t, err)
		if closed.Note != "Ada's new phone." || closed.State != Closed || closed.ClosedBy != audittest.By.ID {
			t.Errorf("closed: %+v", closed)
		}
		if r := w.try(t, w.browser(firefox, home), ada, right); r.Outcome != credential.Right {
			t.Errorf("a closed incident still locks: %+v", r)
		}
		if _, err := w.Close(t.Context(), audittest.By, dbtest.Realm, all[0].ID, "again"); !fault.Is(err, fault.Conflict) {
			t.Errorf("closed twice: %v", err)
		}
	})
}

// A strong proof releases what waited for one, and a lock ends by itself.
func TestLocksEnd(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.set(t, map[string]any{"risk_new_device": "lock"})
		ada := w.someone(t)
		owner, thief := w.browser(firefox, home), w.browser(iphone, away)
		_, s := w.signIn(t, owner, ada)
		for _, end := range []func(){
			func() { w.begin(t, owner, ada, s.Credential, "aal2") },
			func() { w.Clock.Advance(holdPerson) },
		} {
			w.signIn(t, thief, ada)
			if r := w.try(t, thief, ada, right); r.Outcome != credential.Wrong {
				t.Fatalf("not locked: %+v", r)
			}
			end()
			if r := w.try(t, thief, ada, right); r.Outcome != credential.Right {
				t.Errorf("still locked: %+v", r)
			}
			w.Clock.Advance(quiet)
		}
	})
}

// Where nothing was held when a sign-in was looked at, its proof releases nothing:
// what came in between is not what it answered.
func TestACalmSignInReleasesNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.someone(t)
		owner := w.browser(firefox, home)
		_, s := w.signIn(t, owner, ada)
		calm := func() bool { return w.assess(t, owner, ada, false).Calm }
		strong := *s
		strong.ACR = "aal2"
		if !calm() {
			t.Error("not calm where nothing is held")
		}
		must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			return putHold(tx, hold{subject: ada, detector: "new_device", action: StepUp, until: tx.Now.Add(time.Hour)})
		}))
		if calm() {
			t.Error("calm where the person has to prove more")
		}
		for calm, left := range map[bool]int64{true: 1, false: 0} {
			must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				if err := putHold(tx, hold{subject: ada, detector: "new_device", action: StepUp, until: tx.Now.Add(time.Hour)}); err != nil {
					return err
				}
				return w.MemoryTx(tx, ada).Remember(&strong, calm)
			}))
			if n := w.count(t, `SELECT COUNT(*) FROM risk_holds WHERE realm = $1`); n != left {
				t.Errorf("calm %v: %d holds are left, want %d", calm, n, left)
			}
		}
		// What the sign-in itself raises is held as well.
		w.set(t, map[string]any{"risk_new_device": "step_up"})
		if w.assess(t, w.browser(iphone, away), ada, false).Calm {
			t.Error("calm where the sign-in was found to be strange")
		}
	})
}

func TestRevokeEndsWhatTheAccountHasOpen(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.set(t, map[string]any{"risk_new_device": "revoke"})
		ada := w.someone(t)
		_, s := w.signIn(t, w.browser(firefox, home), ada)
		if v, other := w.signIn(t, w.browser(iphone, away), ada); !v.Refuse || other != nil {
			t.Fatalf("got in: %+v", v)
		}
		if _, err := w.Cores.Sessions.Live(t.Context(), dbtest.Realm, s.ID); err == nil {
			t.Error("the session lives")
		}
		if ended, err := w.Cores.Sessions.ByID(t.Context(), dbtest.Realm, s.ID); err != nil || ended.EndedAt.IsZero() {
			t.Errorf("the session is dead but not ended: %+v, %v", ended, err)
		}
		if len(*w.told) != 1 || !(*w.told)[0].Revoked {
			t.Errorf("told: %+v", *w.told)
		}
	})
}

func TestOffIsOff(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		off := map[string]any{}
		for _, name := range Detectors() {
			off["risk_"+name] = "off"
		}
		w.set(t, off)
		ada := w.someone(t)
		w.signIn(t, w.browser(firefox, home), ada)
		w.Clock.Advance(200 * 24 * time.Hour)
		for i := range 12 {
			w.try(t, w.browser(firefox, away), fmt.Sprint("nobody", i), "some leaked password")
		}
		if v, s := w.signIn(t, w.browser(iphone, away), ada); s == nil || len(v.Findings) != 0 {
			t.Errorf("found %+v", v)
		}
		if all := w.signals(t); len(all) != 0 || len(*w.told) != 0 {
			t.Errorf("%d events, %d letters", len(all), len(*w.told))
		}
	})
}

func TestTriesAtASuspendedAccount(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.someone(t)
		must(t, w.Cores.Principals.Suspend(t.Context(), audittest.By, dbtest.Realm, ada, "left"))
		b := w.browser(firefox, home)
		w.try(t, b, ada, "lantern quarry mild adder")
		if all := w.signals(t); len(all) != 0 {
			t.Fatalf("a slip is %+v", all)
		}
		if r := w.try(t, b, ada, right); r.Outcome != credential.Wrong {
			t.Fatalf("a suspended account opens: %+v", r)
		}
		all := w.signals(t)
		if len(all) != 1 || all[0].Target != ada || all[0].Data["reason"] != "risk.suspended_right" {
			t.Errorf("found: %+v", all)
		}
		for range 4 {
			w.try(t, b, ada, right)
		}
		if again := w.signals(t); len(again) != 1 {
			t.Errorf("said %d times within the hour", len(again))
		}
	})
}

// A token that two parties hold asks for a stronger proof at the next sign-in,
// where the realm says so, and a lost answer does not.
func TestTwoHoldersOfARefreshToken(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.set(t, map[string]any{"risk_refresh_reuse": "step_up"})
		ada := w.someone(t)
		b := w.browser(firefox, home)
		_, s := w.signIn(t, b, ada)
		c := w.client(t)
		first := w.grantTo(t, c, ada, s.ID)
		w.refresh(t, c, first, grant.OK)
		w.Clock.Advance(time.Minute)
		w.refresh(t, c, first, grant.Reused) // its answer may have been lost
		if all := w.signals(t); len(all) != 0 {
			t.Fatalf("a lost answer is %+v", all)
		}
		first = w.grantTo(t, c, ada, s.ID)
		second := w.refresh(t, c, first, grant.OK)
		w.refresh(t, c, second, grant.OK)
		w.Clock.Advance(time.Minute)
		w.refresh(t, c, first, grant.Reused)
		all := w.signals(t)
		if len(all) != 1 || all[0].Target != ada || all[0].Data["detector"] != Reuse {
			t.Fatalf("found: %+v", all)
		}
		if v := w.assess(t, b, ada, true); !v.StepUp || v.Refuse {
			t.Errorf("the next sign-in meets %+v", v)
		}
		w.begin(t, b, ada, s.Credential, "aal2")
		if v := w.assess(t, b, ada, true); v.StepUp {
			t.Errorf("after a strong proof: %+v", v)
		}
	})
}

func TestARefreshTokenWithAnotherKey(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.someone(t)
		_, s := w.signIn(t, w.browser(firefox, home), ada)
		c := w.client(t)
		token := w.grantTo(t, c, ada, s.ID)
		r, err := w.store.Refresh(t.Context(), audittest.By, c, token, "key one")
		must(t, err)
		if other, err := w.store.Refresh(t.Context(), audittest.By, c, string(r.Token), "key two"); err != nil || other.Outcome != grant.Unknown {
			t.Fatalf("another key: %v, %v", other.Outcome, err)
		}
		all := w.signals(t)
		if len(all) != 1 || all[0].Data["detector"] != KeyChange {
			t.Errorf("found: %+v", all)
		}
		if mine, err := w.store.Refresh(t.Context(), audittest.By, c, string(r.Token), "key one"); err != nil || mine.Outcome != grant.OK {
			t.Errorf("its own key: %v, %v", mine.Outcome, err)
		}
	})
}

func TestAPasskeyThatCountsBackwards(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.someone(t)
		rl, err := w.Cores.Realms.ByName(t.Context(), dbtest.Realm)
		must(t, err)
		for _, c := range []struct{ before, now, want int64 }{{9, 0, 0}, {9, 9, 1}} {
			must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				_, err := w.CounterTx(tx, audittest.By, rl, ada, "crd_x", c.before, c.now)
				return err
			}))
			if all := w.signals(t); int64(len(all)) != c.want {
				t.Errorf("from %d to %d: %d findings", c.before, c.now, len(all))
			}
		}
	})
}

// The timeline of an incident is the log: what its person did and suffered, in
// order, each event once, page by page.
func TestAnIncidentHasATimeline(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.set(t, map[string]any{"risk_new_device": "lock"})
		ada, bob := w.someone(t), w.someone(t)
		w.signIn(t, w.browser(firefox, home), ada)
		w.signIn(t, w.browser(firefox, home), bob)
		w.signIn(t, w.browser(iphone, away), ada)
		w.Clock.Advance(time.Minute)
		var id string
		must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
			id, err = Open(tx, audit.Actor{Kind: "person", ID: ada}, Report{Principal: ada, Finding: NotMine()})
			return err
		}))
		i, err := w.Incident(t.Context(), dbtest.Realm, id)
		must(t, err)
		if i.Findings != 2 || i.Detector != NewDevice || !i.Last.After(i.Opened) {
			t.Errorf("not joined: %+v", i)
		}
		var actions, pages []string
		for after := ""; ; {
			page, next, err := w.Timeline(t.Context(), dbtest.Realm, id, after, 2)
			must(t, err)
			for _, e := range page {
				if strings.Contains(fmt.Sprint(e), bob) {
					t.Errorf("an event of somebody else: %+v", e)
				}
				actions = append(actions, e.Action)
			}
			if pages = append(pages, next); next == "" {
				break
			}
			after = next
		}
		want := []string{"incident.continue", "risk.signal", "incident.open", "credential.create", "principal.create"}
		for _, a := range want {
			if n := len(actions) - len(slices.DeleteFunc(slices.Clone(actions), func(x string) bool { return x == a })); n != 1 && a != "credential.create" {
				t.Errorf("%d of %s in %v", n, a, actions)
			}
		}
		if len(pages) < 2 || actions[0] != want[0] || actions[len(actions)-1] != "principal.create" {
			t.Errorf("%d pages: %v", len(pages), actions)
		}
	})
}

// However much is tried, the memories are bounded; and they are forgotten.
func TestMemoriesAreBoundedAndCollected(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.someone(t)
		w.signIn(t, w.browser(firefox, home), ada)
		for i := range 20 {
			w.try(t, w.browser(firefox, fmt.Sprintf("2001:db8:0:%x00::1", i)), fmt.Sprint("nobody", i), fmt.Sprint("some leaked password ", i))
		}
		if n := w.count(t, `SELECT COUNT(*) FROM risk_sources WHERE realm = $1`); n != 21 {
			t.Fatalf("%d networks", n)
		}
		for range 2 {
			_, err := w.Collect(t.Context(), dbtest.Realm)
			must(t, err)
			w.Clock.Advance(49 * time.Hour)
		}
		_, err := w.Collect(t.Context(), dbtest.Realm)
		must(t, err)
		for _, table := range []string{"risk_sources", "risk_echoes", "risk_holds"} {
			if n := w.count(t, `SELECT COUNT(*) FROM `+table+` WHERE realm = $1`); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
		if n := w.count(t, `SELECT COUNT(*) FROM risk_people WHERE realm = $1`); n != 1 {
			t.Errorf("a person was forgotten")
		}
		must(t, w.store.DeletePrincipal(t.Context(), audittest.By, dbtest.Realm, ada, "test", nil))
		if n := w.count(t, `SELECT COUNT(*) FROM risk_people WHERE realm = $1`); n != 0 {
			t.Errorf("a deleted person is remembered")
		}
	})
}

// A memory that is written again soon stays where the sweep's index has it, and no
// memory is swept before its time.
func TestMemoriesStayInTheirPlaceInTheIndex(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.someone(t)
		type last struct{ person, source int64 }
		seen := func() last {
			w.signIn(t, w.browser(firefox, home), ada)
			now := w.Clock.Now().UnixMilli()
			at := last{w.count(t, `SELECT last_at FROM risk_people WHERE realm = $1`), w.count(t, `SELECT last_at FROM risk_sources WHERE realm = $1`)}
			if at.person < now || at.source < now || at.person > now+personExact.Milliseconds() || at.source > now+sourceExact.Milliseconds() {
				t.Errorf("at %d the last times are %+v", now, at)
			}
			return at
		}
		now := w.Clock.Now()
		w.Clock.Advance(now.Truncate(personExact).Add(personExact).Sub(now)) // to midnight
		first := seen()
		w.Clock.Advance(sourceExact - time.Minute)
		if second := seen(); second != first {
			t.Errorf("moved from %+v to %+v", first, second)
		}
		w.Clock.Advance(personExact)
		if third := seen(); third.person == first.person || third.source == first.source {
			t.Errorf("stays at %+v", third)
		}
	})
}

// What strangers type is nowhere in the memories, nor is their address.
func TestMemoriesHoldNothingOfStrangers(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for i := range 12 {
			w.try(t, w.browser(firefox, away), fmt.Sprint("typed-name-", i), "typed-password-that-is-wrong")
		}
		for _, query := range []string{`SELECT COUNT(*) FROM risk_sources WHERE realm = $1 AND (memory LIKE '%typed%' OR memory LIKE '%198.51%' OR network LIKE '%198.51%')`,
			`SELECT COUNT(*) FROM risk_echoes WHERE realm = $1 AND (memory LIKE '%typed%')`} {
			if n := w.count(t, query); n != 0 {
				t.Errorf("%s: %d", query, n)
			}
		}
		for _, e := range w.signals(t) {
			if strings.Contains(fmt.Sprint(e), "typed") {
				t.Errorf("an event says what was typed: %+v", e)
			}
		}
	})
}

func (w *world) client(t testing.TB) *client.Client {
	t.Helper()
	c, err := w.Cores.Clients.Create(t.Context(), audittest.By, dbtest.Realm, client.Draft{Settings: client.Settings{Name: "app", Type: client.Web,
		AuthMethod: client.SecretBasic, RedirectURIs: []string{"https://app.example.com/cb"}, GrantTypes: []string{client.AuthorizationCode, client.RefreshToken},
		Scopes: []string{"openid"}}})
	must(t, err)
	live, err := w.Cores.Clients.Live(t.Context(), dbtest.Realm, c.ID)
	must(t, err)
	return live
}

// grantTo gives a client a grant and returns its refresh token.
func (w *world) grantTo(t testing.TB, c *client.Client, who, session string) string {
	t.Helper()
	slot, err := w.store.Reserve(t.Context(), dbtest.Realm, grant.ForGrants)
	must(t, err)
	var token secret.Text
	must(t, w.Env.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
		_, token, err = w.store.CreateTx(tx, audittest.By, slot, grant.New{Kind: grant.Authorization, Principal: who, Client: c.ID, Session: session,
			Scopes: []string{"openid"}, ACR: "aal1", AMR: []string{"pwd"}, Refresh: true})
		return err
	}))
	return string(token)
}

func (w *world) refresh(t testing.TB, c *client.Client, token string, want grant.Outcome) string {
	t.Helper()
	r, err := w.store.Refresh(t.Context(), audittest.By, c, token, "")
	must(t, err)
	if r.Outcome != want {
		t.Fatalf("the refresh is %v, want %v", r.Outcome, want)
	}
	return string(r.Token)
}
