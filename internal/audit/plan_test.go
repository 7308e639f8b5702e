package audit

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/id"
)

// Where a replay begins is found by a few looks into a realm's log, however much
// happened since.
func TestAReplayFindsItsBeginning(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		const events = 37
		at := func(i int) Position { return Position{Epoch: 1 + int64(i)/20, Seq: 10 + 3*int64(i)} }
		put := func(realm string, from int) {
			if err := e.DB.Update(t.Context(), realm, func(tx *db.Tx) error {
				if err := saveTree(tx, &tree{realm: realm, size: events, frontier: make([]tlog.Hash, 1)}); err != nil {
					return err
				}
				for i := from; i < events; i++ {
					p := at(i)
					if realm != dbtest.Realm {
						p.Seq++
					}
					if _, err := tx.Exec(`INSERT INTO events (realm, id, at, action, actor, target, body, epoch, position, leaf) VALUES ($1, $2, 0, 'a', '', '', '{}', $3, $4, $5)`,
						realm, fmt.Sprint("evt_", realm, i), p.Epoch, p.Seq, int64(i)); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		put(dbtest.Realm, 0)
		put(dbtest.Neighbour, 9) // what was before has been deleted
		if err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			for i := range events {
				for d, want := range map[int64]int64{-1: int64(i) - 1, 0: int64(i), 1: int64(i)} {
					p := at(i)
					p.Seq += d
					if got, err := leafUpTo(tx, dbtest.Realm, p); err != nil || got != want {
						t.Errorf("up to %v: %d, want %d (%v)", p, got, want, err)
					}
				}
				if got, err := leafUpTo(tx, dbtest.Neighbour, at(i)); err != nil || got != max(8, int64(i)-1) {
					t.Errorf("neighbour up to %v: %d (%v)", at(i), got, err)
				}
			}
			for p, want := range map[Position]int64{{}: -1, {Epoch: 9}: events - 1} {
				if got, err := leafUpTo(tx, dbtest.Realm, p); err != nil || got != want {
					t.Errorf("up to %v: %d, want %d (%v)", p, got, want, err)
				}
			}
			got, err := leafUpTo(tx, "nobody", Position{Epoch: 9})
			if err != nil || got != -1 {
				t.Errorf("of a realm without events: %d, %v", got, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	d := dbtest.Open(t, db.SQLite).DB
	ctx, traffic := dbtest.Watch(context.Background())
	if err := d.View(ctx, dbtest.Realm, func(tx *db.Tx) error {
		_, err := leafUpTo(tx, dbtest.Realm, Position{Epoch: 1, Seq: 1})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, step := range strings.Split(traffic.Plan(t, d), "\n") {
		if strings.Contains(step, " e ") && !strings.Contains(step, "(realm=? AND leaf=?)") {
			t.Error(step)
		}
	}
	if plan := traffic.Plan(t, d); !strings.Contains(plan, "(realm=? AND leaf=?)") {
		t.Error(plan)
	}
}

// Neither a search nor a verification reads more of activity and of the log than it
// names.
func TestActivityIsFoundByItsIDs(t *testing.T) {
	d := dbtest.Open(t, db.SQLite).DB
	for name, ask := range map[string]func(tx *db.Tx) error{
		"search": func(tx *db.Tx) error {
			var f found
			return f.read(tx, tx.Realm, "act_1", "act_2", 20)
		},
		"hashes": func(tx *db.Tx) error {
			_, err := hashed(tx, tx.Realm, []string{"act_1"})
			return err
		},
		"lengths": func(tx *db.Tx) error {
			_, err := lengthsOf(tx, tx.Realm, []string{"act_1"})
			return err
		},
		"vouched": func(tx *db.Tx) error {
			_, err := vouched(tx, tx.Realm, "act_1", 5, 100)
			return err
		},
		"outside": func(tx *db.Tx) error {
			_, err := outside(tx, tx.Realm, 5)
			return err
		},
	} {
		ctx, traffic := dbtest.Watch(context.Background())
		if err := d.View(ctx, dbtest.Realm, ask); err != nil {
			t.Fatal(err)
		}
		plan := traffic.Plan(t, d)
		if !strings.Contains(plan, "(realm=? AND ") {
			t.Error(name, plan)
		}
		for _, step := range strings.Split(plan, "\n") {
			if strings.Contains(step, "SCAN") && !strings.Contains(step, "SCAN q") && !strings.Contains(step, "SCAN s") || strings.Contains(step, "TEMP B-TREE") {
				t.Error(name, step)
			}
		}
		t.Log(name, plan)
	}
}

// To delete a day of activity is not to read ninety days of it.
func TestForgettingReadsWhatIsOld(t *testing.T) {
	dbtest.Narrow(t, func(tx *db.Tx) error {
		if err := insertSegment(tx, id.New("act", tx.Now), "n", 1, "{}"); err != nil {
			return err
		}
		s := sweep{before: tx.Now.Add(time.Hour)}
		if n, _, err := deleteSegments(tx, &s); err != nil || n != 1 {
			return fmt.Errorf("%d deleted, %w", n, err)
		}
		_, err := deleteRefusals(tx, tx.Now)
		return err
	})
}
