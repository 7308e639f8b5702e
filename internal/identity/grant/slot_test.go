package grant

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

// Spine 9: no index is given out twice, by however many goroutines and nodes,
// while lists fill up and close. Take the `next = next + step` out of takeBlock
// (or hand the counter out unpermuted per node) to see this fail.
func TestNoIndexIsGivenOutTwice(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		nodes := []*world{w}
		if w.Env.DB.Engine() == db.Postgres {
			other := build(t, w.Node(t))
			other.Start(t)
			nodes = append(nodes, other)
		}
		w.mustShrink(t, 64, 8)
		var mu sync.Mutex
		seen, listed := map[audit.Bit]bool{}, map[string]bool{}
		var wg sync.WaitGroup
		for _, n := range nodes {
			for range 4 {
				wg.Go(func() {
					for range 40 {
						slot, err := n.Reserve(t.Context(), dbtest.Realm, ForGrants)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						if seen[slot.bit] {
							t.Errorf("index %v came twice", slot.bit)
						}
						seen[slot.bit], listed[slot.bit.List] = true, true
						mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
		if len(listed) < 2 {
			t.Errorf("%d lists: none was filled", len(listed))
		}
	})
}

// mustShrink opens the realm's first list with fewer indexes than usual.
func (w *world) mustShrink(t testing.TB, size, step int64) {
	t.Helper()
	w.anyBit(t)
	must(t, w.Env.DB.Update(context.Background(), dbtest.Realm, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE status_lists SET size = $2, step = $3, next = 0 WHERE realm = $1 AND state = 'open'`, tx.Realm, size, step)
		return err
	}))
	w.blocks.of = map[blockKey]*block{}
}

func TestNeighboursSayNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		inOrder := 0
		last := w.anyBit(t)
		for range 50 {
			next := w.anyBit(t)
			if next.Index == last.Index+1 {
				inOrder++
			}
			last = next
		}
		if inOrder > 5 {
			t.Errorf("%d of 50 indexes follow the one before", inOrder)
		}
	})
}

func TestListsGrowWithTheRealm(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for i, want := range []int64{1 << 13, 1 << 16, 1 << 20, 1 << 20} {
			bit := w.anyBit(t)
			state, err := w.Status.ListBits(t.Context(), dbtest.Realm, bit.List)
			must(t, err)
			if state.Size != want || int64(len(state.Bits)) != want/8 {
				t.Errorf("list %d has %d indexes in %d bytes, want %d", i, state.Size, len(state.Bits), want)
			}
			w.mustExhaust(t)
		}
		keys, err := w.Reserve(t.Context(), dbtest.Realm, ForAPIKeys)
		must(t, err)
		if state, err := w.Status.ListBits(t.Context(), dbtest.Realm, keys.bit.List); err != nil || state.Size != 1<<13 {
			t.Errorf("the first list of API keys: %d indexes, %v; it is a list of its own", state.Size, err)
		}
	})
}

// mustExhaust uses the open list up, so that the next reservation closes it.
func (w *world) mustExhaust(t testing.TB) {
	t.Helper()
	must(t, w.Env.DB.Update(context.Background(), dbtest.Realm, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE status_lists SET next = size WHERE realm = $1 AND state = 'open'`, tx.Realm)
		return err
	}))
	w.blocks.of = map[blockKey]*block{}
}

// Spine 9: a grant on a closed list moves at its first issue, a kill then sets
// both bits until the last old token has expired, and the list retires.
// Remove g.old from bits to see this fail.
func TestAGrantMovesWhenItsListHasClosed(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c, p := w.mustClient(t, dbtest.Realm), w.mustPerson(t, dbtest.Realm)
		a, refreshA := w.mustGrant(t, dbtest.Realm, grantFor(p, c, offline))
		b, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c, offline))
		idle, refresh := w.mustGrant(t, dbtest.Realm, grantFor(p, c, offline))
		killed, killedRefresh := w.mustGrant(t, dbtest.Realm, grantFor(p, c, offline))
		if same, err := w.Current(ctx, a); err != nil || same.Status != a.Status {
			t.Errorf("a grant on an open list moved: %v, %v", same, err)
		}
		w.mustExhaust(t)
		w.anyBit(t)
		moved := map[*Grant]*Grant{}
		for _, g := range []*Grant{a, b} {
			now, err := w.Current(ctx, g)
			must(t, err)
			if now.Status.List == g.Status.List {
				t.Fatal("the grant did not move")
			}
			// Another node moves it with the old value in its hands.
			again, err := w.Current(ctx, g)
			must(t, err)
			if again.Status != now.Status {
				t.Errorf("moved twice: %v and %v", now.Status, again.Status)
			}
			moved[g] = now
		}
		must(t, w.Revoke(ctx, by, dbtest.Realm, a.ID, "test"))
		w.mustBe(t, moved[a], true)
		w.mustDead(t, a.Status, true)
		w.mustDead(t, b.Status, false)
		if _, err := w.Current(ctx, b); err != nil {
			t.Error(err)
		}
		if _, err := w.Current(ctx, a); !fault.Is(err, fault.Forbidden) {
			t.Errorf("a dead grant moves: %v", err)
		}
		w.mustRefresh(t, c, refreshA, Unknown)

		w.Clock.Advance(MaxTokenLife + time.Minute)
		_, err := w.Collect(ctx, dbtest.Realm)
		must(t, err)
		if _, err := w.Status.ListBits(ctx, dbtest.Realm, a.Status.List); !fault.Is(err, fault.NotFound) {
			t.Errorf("the closed list: %v; it should have retired", err)
		}
		must(t, w.Revoke(ctx, by, dbtest.Realm, b.ID, "test"))
		w.mustBe(t, moved[b], true)

		// A grant that slept through all that wakes up on the current list.
		r := w.mustRefresh(t, c, refresh, OK)
		now, err := w.Current(ctx, r.Grant)
		must(t, err)
		if now.Status.List == idle.Status.List {
			t.Error("the grant is still on the retired list")
		}
		w.mustBe(t, now, false)

		// One that was killed in its sleep has no bit that would tell: its row does.
		must(t, w.Revoke(ctx, by, dbtest.Realm, killed.ID, "test"))
		w.mustRefresh(t, c, killedRefresh, Unknown)
		if _, err := w.Current(ctx, killed); !fault.Is(err, fault.Forbidden) {
			t.Errorf("a grant killed on a retired list moves: %v", err)
		}
	})
}

// A grant that moves again before tokens with its first index have expired
// takes all its indexes along, and no longer than that.
func TestAGrantThatMovesTwiceForgetsNoIndex(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c, p := w.mustClient(t, dbtest.Realm), w.mustPerson(t, dbtest.Realm)
		for _, kill := range []func(g *Grant) error{
			func(g *Grant) error { return w.Revoke(ctx, by, dbtest.Realm, g.ID, "test") },
			func(g *Grant) error { return w.SignOutEverywhere(ctx, by, dbtest.Realm, p.id, "test") },
		} {
			g, _ := w.mustGrant(t, dbtest.Realm, grantFor(p, c, offline))
			had := []audit.Bit{g.Status}
			for range 3 {
				w.Clock.Advance(time.Hour)
				w.mustExhaust(t)
				w.anyBit(t)
				moved, err := w.Current(ctx, g)
				must(t, err)
				had, g = append(had, moved.Status), moved
			}
			w.Clock.Advance(MaxTokenLife - 90*time.Minute) // tokens with the first index have expired
			now, err := w.ByID(ctx, dbtest.Realm, g.ID)
			must(t, err)
			if bits := now.bits(w.Clock.Now()); len(bits) != 3 {
				t.Errorf("%v would die; want the last three of %v", bits, had)
			}
			must(t, kill(g))
			w.mustDead(t, had[0], false)
			for _, bit := range had[1:] {
				w.mustDead(t, bit, true)
			}
			p.session = w.mustSession(t, p)
		}
	})
}

// A node that does not know of a new epoch yet leaves its list alone.
func TestALaggardClosesNoListOfANewerEpoch(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.anyBit(t)
		must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			if l, err := closeList(tx, ForGrants, w.epoch()-1); !db.Missing(err) {
				t.Errorf("closed %v, %v", l.id, err)
			}
			return nil
		}))
	})
}

func (w *world) mustDead(t testing.TB, bit audit.Bit, want bool) {
	t.Helper()
	if dead, err := w.Status.Dead(context.Background(), dbtest.Realm, bit); err != nil || dead != want {
		t.Errorf("bit %v: dead = %v, %v; want %v", bit, dead, err, want)
	}
}

// A closed list gives out nothing more, not even what a node has left of it.
func TestWhatIsLeftOfAClosedListIsLost(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		other := build(t, w.Node(t))
		other.Start(t)
		mine, theirs := w.anyBit(t), other.anyBit(t)
		if mine.List != theirs.List {
			t.Fatalf("two open lists: %v and %v", mine, theirs)
		}
		must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE status_lists SET next = size WHERE realm = $1 AND state = 'open'`, tx.Realm)
			return err
		}))
		w.blocks.of = map[blockKey]*block{}
		if next := w.anyBit(t); next.List == mine.List {
			t.Fatal("the list did not close")
		}
		if next := other.anyBit(t); next.List == theirs.List {
			t.Error("the other node still gives out indexes of the closed list")
		}
	})
}
