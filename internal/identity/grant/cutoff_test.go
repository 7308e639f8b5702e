package grant

import (
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// told are the cut-offs of a realm's snapshot.
func (w *world) told(t *testing.T, realm string) []statuslist.Cutoff {
	t.Helper()
	state, err := w.Status.Snapshot(t.Context(), realm)
	must(t, err)
	return state.Cutoffs
}

func (w *world) settle(t *testing.T, changes map[string]any) {
	t.Helper()
	_, err := w.Realms.Update(t.Context(), by, dbtest.Realm, 0, realm.Change{Settings: changes})
	must(t, err)
}

// However many people are suspended in a day, the stream tells of those alone
// whose tokens may live.
func TestCutoffsAreToldAsLongAsTokensLive(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.Clock.Advance(2 * MaxTokenLife) // no token of other settings lives
		must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			audit.Append(tx, by, audit.Event{Action: "signing_key.revoke", Target: "key_1", Invalidates: true, Cut: &audit.Cutoff{Kind: statuslist.CutKey, ID: "key_1"}})
			return nil
		}))
		next := w.mustPerson(t, dbtest.Neighbour)
		must(t, w.SuspendPrincipal(t.Context(), by, dbtest.Neighbour, next.id, "test", nil))
		for range 50 {
			p := w.mustPerson(t, dbtest.Realm)
			must(t, w.SuspendPrincipal(t.Context(), by, dbtest.Realm, p.id, "test", nil))
			w.Clock.Advance(time.Minute)
			must(t, w.Status.Flush(t.Context()))
			cuts := w.told(t, dbtest.Realm)
			if len(cuts) > 1+20 {
				t.Fatalf("%d cut-offs where tokens live 10 minutes", len(cuts))
			}
			for _, c := range cuts {
				left := time.Unix(c.Exp, 0).Sub(w.Clock.Now())
				if most := 20 * time.Minute; c.Kind == statuslist.CutPrincipal && (left <= 0 || left > most) {
					t.Fatalf("a cut-off is told for another %s", left)
				}
			}
		}
		w.Clock.Advance(20 * time.Minute)
		must(t, w.Status.Flush(t.Context()))
		if cuts := w.told(t, dbtest.Realm); len(cuts) != 1 || cuts[0].Kind != statuslist.CutKey {
			t.Errorf("of people whose tokens have expired, and a key: %v", cuts)
		}
		dead, err := w.Status.realm(t.Context(), dbtest.Realm)
		must(t, err)
		if len(dead.cuts) != 1 {
			t.Errorf("%d cut-offs are remembered", len(dead.cuts))
		}
	})
}

// Tokens from before a realm's lifetime was shortened have the old one: what
// ended them stays known until the last of them has expired, also after a start.
func TestCutoffsOutliveTokensOfEarlierSettings(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		bit := w.anyBit(t) // before the first list there was no token
		w.settle(t, map[string]any{"access_token_ttl": "24h"})
		w.Clock.Advance(2 * MaxTokenLife)
		p, minted := w.mustPerson(t, dbtest.Realm), w.Log.Applied()
		must(t, w.SuspendPrincipal(ctx, by, dbtest.Realm, p.id, "test", nil))
		w.settle(t, map[string]any{"access_token_ttl": "10s"})
		known := func(s *Status) bool {
			t.Helper()
			dead, err := s.Refuses(ctx, dbtest.Realm, Probe{Bit: bit, Principal: p.id, Minted: minted})
			must(t, err)
			return dead
		}
		for hours := range 23 {
			w.Clock.Advance(time.Hour)
			must(t, w.Status.Flush(ctx))
			if cuts := w.told(t, dbtest.Realm); !known(w.Status) || len(cuts) != 1 {
				t.Fatalf("after %d hours a token of the earlier settings lives again: %v", hours+1, cuts)
			}
		}
		if !known(w.restart()) {
			t.Error("after a start")
		}
		w.Clock.Advance(2 * time.Hour)
		if cuts := w.told(t, dbtest.Realm); len(cuts) != 0 {
			t.Errorf("a day later: %v", cuts)
		}
	})
}
