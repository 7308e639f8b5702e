package session_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

// What expired long ago needs no end: nobody waits for years of history.
func TestEndsLeaveOutWhatHasExpired(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, dbtest.Realm, "ada")
		e.begin(t, dbtest.Realm, ada, "")
		e.Clock.Advance(14 * time.Hour) // two hours after it went idle
		fresh := e.begin(t, dbtest.Realm, ada, "")
		ended, err := e.sessions.EndAll(t.Context(), audittest.By, dbtest.Realm, ada.id, "", "test")
		if err != nil || !slices.Equal(ended, []string{fresh.ID}) {
			t.Errorf("EndAll = %v, %v; want %s", ended, err, fresh.ID)
		}
		if ended, err = e.sessions.EndBorn(t.Context(), audittest.By, dbtest.Realm, ada.password, "test"); err != nil || len(ended) != 0 {
			t.Errorf("EndBorn = %v, %v; want none", ended, err)
		}
	})
}

func TestOldSessionsAreCollected(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, dbtest.Realm, "ada")
		b := e.begin(t, dbtest.Realm, ada, "")
		if err := e.sessions.End(t.Context(), audittest.By, dbtest.Realm, b.ID, "test"); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(60*24*time.Hour - time.Minute) // it could have lived 30 days
		if n, err := e.sessions.Collect(t.Context(), dbtest.Realm); err != nil || n != 0 {
			t.Errorf("Collect = %d, %v; want none yet", n, err)
		}
		e.Clock.Advance(2 * time.Minute)
		if n, err := e.sessions.Collect(t.Context(), dbtest.Realm); err != nil || n != 1 {
			t.Errorf("Collect = %d, %v; want 1", n, err)
		}
		if _, err := e.sessions.ByID(t.Context(), dbtest.Realm, b.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("it is still there: %v", err)
		}
	})
}
