package grant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// restart gives what a node knows after a start: nothing but the database.
func (w *world) restart() *Status {
	return unfollowed(w.Env.DB, w.Log, w.Realms)
}

// mustHistory makes deaths of every sort and returns what must be dead and
// what alive ever after.
func (w *world) mustHistory(t testing.TB) (dead, alive []Probe) {
	t.Helper()
	ctx := context.Background()
	p := w.mustPerson(t, dbtest.Realm)
	kept, cut := w.mustClient(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
	for i := range 12 {
		g, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, kept))
		probe := Probe{Bit: g.Status, Client: kept.ID, JTI: fmt.Sprint("jti", w.serial, i), Key: "key", Minted: w.Log.Applied()}
		switch i % 3 {
		case 0:
			must(t, w.Revoke(ctx, by, dbtest.Realm, g.ID, "test"))
			dead = append(dead, probe)
		case 1:
			must(t, w.RevokeToken(ctx, by, dbtest.Realm, kept.ID, probe.JTI, w.Clock.Now().Add(10*time.Minute)))
			dead = append(dead, probe)
		default:
			alive = append(alive, probe)
		}
	}
	g, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, cut))
	before := w.Log.Applied()
	must(t, w.DisableClient(ctx, by, dbtest.Realm, cut.ID, 0, nil))
	_, err := w.Clients.Enable(ctx, by, dbtest.Realm, cut.ID, 0)
	must(t, err)
	return append(dead, Probe{Bit: g.Status, Client: cut.ID, Minted: before}), append(alive, Probe{Bit: g.Status, Client: cut.ID, Minted: w.Log.Applied()})
}

func mustKnow(t testing.TB, what string, s *Status, dead, alive []Probe) {
	t.Helper()
	for want, probes := range map[bool][]Probe{true: dead, false: alive} {
		for _, p := range probes {
			if got, err := s.Refuses(context.Background(), dbtest.Realm, p); err != nil || got != want {
				t.Errorf("%s: %+v refused = %v, %v; want %v", what, p, got, err, want)
			}
		}
	}
}

// Spine 9: a start reads pages and the log after them, wherever the flush fell.
// Remove the Replay from read, or the pages from load, to see this fail.
func TestAStartKnowsAllTheDead(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		d1, a1 := w.mustHistory(t)
		mustKnow(t, "followed", w.Status, d1, a1)
		mustKnow(t, "log only", w.restart(), d1, a1)
		must(t, w.Status.Flush(t.Context()))
		w.mustForgetLog(t) // up to here the pages must do
		mustKnow(t, "pages only", w.restart(), d1, a1)
		d2, a2 := w.mustHistory(t)
		mustKnow(t, "pages and log", w.restart(), append(d1, d2...), append(a1, a2...))
		must(t, w.Status.Flush(t.Context()))
		mustKnow(t, "pages again", w.restart(), append(d1, d2...), append(a1, a2...))
		if _, err := w.Status.Refuses(t.Context(), "nowhere", Probe{}); err == nil {
			t.Log("a realm that does not exist has no dead")
		}
		if dead, err := w.restart().Dead(t.Context(), dbtest.Neighbour, d1[0].Bit); err != nil || !dead {
			t.Errorf("another realm's index: dead = %v, %v; want dead, as everything unknown", dead, err)
		}
	})
}

// mustForgetLog makes sure that a replay from the checkpoint brings nothing.
func (w *world) mustForgetLog(t testing.TB) {
	t.Helper()
	var at audit.Position
	must(t, w.Env.DB.View(context.Background(), dbtest.Realm, func(tx *db.Tx) error {
		c, err := loadCheckpoint(tx)
		at = c.position
		return err
	}))
	_, err := w.Log.Replay(context.Background(), dbtest.Realm, at, func(r audit.Record) error {
		if len(r.Deaths) > 0 || r.Cut != nil || r.JTI != nil {
			return errors.New("a death lies after the checkpoint")
		}
		return nil
	})
	must(t, err)
}

// A page is replaced only by one that knows more. Remove the WHERE clause of
// advanceCheckpoint to see this fail.
func TestAnOlderFlushDoesNotOverwriteANewerOne(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		p, c := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		first, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
		slow := w.restart()
		_, err := slow.Snapshot(ctx, dbtest.Realm) // loads, and then hears no more
		must(t, err)
		must(t, w.Revoke(ctx, by, dbtest.Realm, first.ID, "test"))
		w.mustDead(t, first.Status, true)
		must(t, w.Status.Flush(ctx))
		slow.of[dbtest.Realm].lists[first.Status.List].dirty[0] = true
		must(t, slow.Flush(ctx))
		// The node that is up to date goes on with another page.
		w.mustExhaust(t)
		second, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
		must(t, w.Revoke(ctx, by, dbtest.Realm, second.ID, "test"))
		must(t, w.Status.Flush(ctx))
		mustKnow(t, "after a late flush", w.restart(), []Probe{{Bit: first.Status}, {Bit: second.Status}}, nil)
	})
}

// What happens while a realm is being loaded is not lost. Remove the waiting
// list from apply to see this fail.
func TestDeathsDuringALoadAreKept(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		p, c := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		for range 20 {
			g, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
			w.Status.reset() // the next question loads anew
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if _, err := w.Status.Dead(t.Context(), dbtest.Realm, g.Status); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				if err := w.Revoke(t.Context(), by, dbtest.Realm, g.ID, "test"); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			w.mustDead(t, g.Status, true)
		}
	})
}

// P-10, spine 4: what this node knew to be dead stays dead in it, although the
// database has forgotten. Remove the call of inherit to see this fail.
func TestTheDeadStayDeadWhenTheDatabaseForgets(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		dead, alive := w.mustHistory(t)
		mustKnow(t, "before", w.Status, dead, alive)
		p, c := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		g, refresh := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
		must(t, w.Revoke(t.Context(), by, dbtest.Realm, g.ID, "test"))
		dead = append(dead, Probe{Bit: g.Status})
		// The standby that took over had not heard of the last moments.
		must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			if _, err := tx.Exec(`UPDATE grants SET revoked_at = 0 WHERE realm = $1`, tx.Realm); err != nil {
				return err
			}
			for _, table := range []string{"dead_tokens", "status_pages"} {
				if _, err := tx.Exec(`DELETE FROM ` + table + ` WHERE realm = '` + tx.Realm + `'`); err != nil {
					return err
				}
			}
			return startCheckpoint(tx, w.Log.Applied())
		}))
		w.mustJump(t)
		for range 2 {
			w.Status.reset()
		}
		mustKnow(t, "after", w.Status, dead, alive)
		// The row says that the grant lives; this node knows better, and says so.
		if r, err := w.Refresh(t.Context(), by, c, refresh, ""); err != nil || r.Outcome != Unknown || r.Token != "" {
			t.Errorf("refresh = %v, %v; want unknown", r.Outcome, err)
		}
		w.mustBe(t, g, true)
	})
}

// mustJump moves the checkpoint to the head, so that no replay helps.
func (w *world) mustJump(t testing.TB) {
	t.Helper()
	must(t, w.Env.DB.Update(context.Background(), dbtest.Realm, func(tx *db.Tx) error {
		_, err := advanceCheckpoint(tx, checkpoint{position: w.Log.Applied(), cutoffs: []cutoff{}})
		return err
	}))
}

func TestAFailedLoadIsTriedAgain(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		dead, alive := w.mustHistory(t)
		s := w.restart()
		must(t, w.breakPages(t, `x`))
		if _, err := s.Dead(t.Context(), dbtest.Realm, dead[0].Bit); err == nil {
			t.Fatal("a damaged page was taken for a bitmap")
		}
		must(t, w.breakPages(t, ``))
		mustKnow(t, "second attempt", s, dead, alive)
	})
}

// Whoever asks while a realm is being read is told so before long, is never told yes,
// and its going away does not end the reading.
func TestALoadGoesOnWhenNobodyWaits(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		dead, alive := w.mustHistory(t)
		s := w.restart()
		let, loads := make(chan struct{}), 0
		s.patience, s.reading = time.Millisecond, func() { loads++; <-let }
		gone, leave := context.WithCancel(t.Context())
		for range 3 {
			refused, err := s.Refuses(gone, dbtest.Realm, alive[0])
			var f *fault.Error
			if !refused || !errors.As(err, &f) || f.Kind != fault.Unavailable || f.RetryAfter == 0 {
				t.Fatalf("while it is read: refused = %v, %v", refused, err)
			}
		}
		leave()
		if refused, err := s.Refuses(gone, dbtest.Realm, alive[0]); !refused || err == nil {
			t.Errorf("whoever is gone: refused = %v, %v", refused, err)
		}
		close(let)
		s.loads.Wait()
		mustKnow(t, "read meanwhile", s, dead, alive)
		if loads != 1 {
			t.Errorf("it was read %d times", loads)
		}
		closing := w.restart()
		closing.Close()
		if refused, err := closing.Refuses(t.Context(), dbtest.Realm, alive[0]); !refused || !fault.Is(err, fault.Unavailable) {
			t.Errorf("closed: refused = %v, %v", refused, err)
		}
	})
}

// What has died in a realm that no node was asked about is stored as well, so that
// who asks first need not wait for the log.
func TestTheCheckpointMovesOnWhereNobodyAsks(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		dead, alive := w.mustHistory(t)
		left := func() (n int) {
			must(t, w.Env.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				c, err := loadCheckpoint(tx)
				if err == nil {
					n, err = audit.DeathsTx(tx, c.position, 2*flushAfter)
				}
				return err
			}))
			return n
		}
		few, s := left(), w.restart()
		must(t, s.MoveOn(t.Context(), dbtest.Realm))
		if n := left(); few == 0 || n != few {
			t.Fatalf("%d deaths to read, and %d afterwards: few are no reason to write", few, n)
		}
		must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			for range flushAfter {
				audit.Append(tx, by, audit.Event{Action: "a.b", Deaths: []audit.Bit{dead[0].Bit}})
			}
			audit.Barrier(tx)
			return nil
		}))
		must(t, s.MoveOn(t.Context(), dbtest.Realm))
		if n := left(); n != 0 {
			t.Errorf("%d deaths are left to read", n)
		}
		w.mustForgetLog(t)
		mustKnow(t, "moved on", w.restart(), dead, alive)
		if _, held := s.of[dbtest.Realm]; held {
			t.Error("the realm is held in memory")
		}
		for _, other := range []string{dbtest.Neighbour, "nowhere"} {
			must(t, s.MoveOn(t.Context(), other))
		}
	})
}

// breakPages stores a page that is too long for its list, or takes it away.
func (w *world) breakPages(t testing.TB, with string) error {
	list := w.anyBit(t).List
	return w.Env.DB.Update(context.Background(), dbtest.Realm, func(tx *db.Tx) error {
		if with == "" {
			return deletePages(tx, list)
		}
		return savePage(tx, pageRow{list, 0, make([]byte, 2*statuslist.PageBytes)})
	})
}

func TestSnapshotTellsEverythingDead(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		dead, alive := w.mustHistory(t)
		state, err := w.Status.Snapshot(t.Context(), dbtest.Realm)
		must(t, err)
		if audit.Position(state.Pos).Before(w.Log.Applied()) && w.Env.DB.Engine() == db.SQLite {
			t.Errorf("snapshot at %v, the log at %v", state.Pos, w.Log.Applied())
		}
		if len(state.Lists) != 1 || len(state.JTIs) != 4 || len(state.Cutoffs) != 1 {
			t.Fatalf("%d lists, %d tokens, %d cut-offs; want 1, 4 and 1", len(state.Lists), len(state.JTIs), len(state.Cutoffs))
		}
		l := state.Lists[0]
		m, err := statuslist.NewBitmap(l.Size)
		must(t, err)
		must(t, m.Merge(l.Bits))
		if l.URI != statuslist.URI("https://id.example.com/realms/test", l.ID) || m.Count() != 4 || !m.Get(dead[0].Bit.Index) || m.Get(alive[0].Bit.Index) {
			t.Errorf("list %s with %d dead", l.URI, m.Count())
		}
		if state, err := w.Status.Snapshot(t.Context(), dbtest.Neighbour); err != nil || len(state.Lists)+len(state.JTIs)+len(state.Cutoffs) != 0 {
			t.Errorf("the neighbour's snapshot: %+v, %v", state, err)
		}
		w.Clock.Advance(10 * time.Minute)
		if state, err = w.Status.Snapshot(t.Context(), dbtest.Realm); err != nil || len(state.JTIs) != 0 || len(state.Cutoffs) != 1 {
			t.Errorf("ten minutes later: %d tokens, %d cut-offs, %v", len(state.JTIs), len(state.Cutoffs), err)
		}
		w.Clock.Advance(MaxTokenLife)
		if state, err = w.Status.Snapshot(t.Context(), dbtest.Realm); err != nil || len(state.Cutoffs) != 0 {
			t.Errorf("a day later: %d cut-offs, %v", len(state.Cutoffs), err)
		}
		if _, err := w.Status.ListBits(t.Context(), dbtest.Realm, "slt_unknown"); !fault.Is(err, fault.NotFound) {
			t.Errorf("an unknown list: %v", err)
		}
	})
}

// Two nodes: when a kill has returned, both know, and a node that has yet to
// load the realm as well.
func TestAKillIsKnownOnEveryNode(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		other, third := build(t, w.Node(t)), build(t, w.Node(t))
		other.Start(t)
		third.Start(t)
		p, c := w.mustPerson(t, dbtest.Realm), w.mustClient(t, dbtest.Realm)
		for range 10 {
			g, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c))
			other.mustDead(t, g.Status, false)
			must(t, w.Revoke(t.Context(), by, dbtest.Realm, g.ID, "test"))
			w.mustDead(t, g.Status, true)
			other.mustDead(t, g.Status, true)
		}
		dead, alive := w.mustHistory(t)
		mustKnow(t, "first question", third.Status, dead, alive)
	})
}
