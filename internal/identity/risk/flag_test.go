package risk

import (
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// flagged is what whoever begins a session sees.
func (w *world) flagged(t testing.TB, who string) (is bool) {
	t.Helper()
	must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
		life, err := principal.LiveTx(tx, who)
		is = life.Flagged
		return err
	}))
	return is
}

func (w *world) unflag(t testing.TB) error {
	return w.Cores.Principals.Unflag(t.Context(), dbtest.Realm, HoldsTx)
}

// Whoever begins a session looks for what is held against somebody only where their
// row is flagged. Drop the triggers to see it fail.
func TestWhoeverIsHeldIsFlagged(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada, bob := w.someone(t), w.someone(t)
		hold := func() {
			t.Helper()
			must(t, w.Env.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error { return demandProof(tx, ada, KeyChange) }))
			if !w.flagged(t, ada) || w.flagged(t, bob) {
				t.Fatalf("ada %t, bob %t", w.flagged(t, ada), w.flagged(t, bob))
			}
		}
		hold()
		must(t, w.unflag(t))
		if !w.flagged(t, ada) {
			t.Fatal("the flag is gone, and the hold is not")
		}
		must(t, w.Env.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error { return releaseSubject(tx, ada) }))
		must(t, w.unflag(t))
		if w.flagged(t, ada) {
			t.Fatal("a flag for nothing")
		}
		hold() // and once more, where there was a row
		w.Clock.Advance(holdProof + time.Hour)
		hold() // which is prolonged
	})
}

// However holds come and go while flags are cleared: a hold without a flag is never
// seen. Have the triggers leave out those that are flagged, or lockFlagged not lock,
// to see it fail.
func TestAFlagNeverLies(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.someone(t)
		update := func(fn func(tx *db.Tx) error) {
			if err := w.Env.DB.UpdateRC(t.Context(), dbtest.Realm, fn); err != nil {
				t.Error(err)
			}
		}
		over := make(chan struct{})
		var clearing sync.WaitGroup
		for range 2 {
			clearing.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
					}
					if err := w.unflag(t); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 150 {
			update(func(tx *db.Tx) error { return demandProof(tx, ada, KeyChange) })
			if lies := w.count(t, `SELECT COUNT(*) FROM risk_holds h JOIN principals p ON p.realm = h.realm AND p.id = h.subject WHERE h.realm = $1 AND NOT p.flagged`); lies != 0 {
				t.Error("a hold without a flag")
				break
			}
			update(func(tx *db.Tx) error { return releaseSubject(tx, ada) })
		}
		close(over)
		clearing.Wait()
	})
}
