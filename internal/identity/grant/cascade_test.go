package grant

import (
	"context"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// What hangs on somebody is found by what it hangs on. A plan that begins with all
// grants of a realm holds up whoever writes, the longer the more people there are.
// PostgreSQL plans so even where it takes the table for empty, because nobody has
// looked at it; by what it kills those that it found, it knows with its next look.
func TestAnEndReadsNoMoreThanHangsOnIt(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		for kind, statements := range beneath {
			for i, statement := range statements {
				ctx, traffic := dbtest.Watch(context.Background())
				if err := e.DB.UpdateRC(ctx, dbtest.Realm, func(tx *db.Tx) error {
					text := statement(tx)
					_, err := db.All(tx, scanCasualty(tx.Now), text, []any{db.At(tx.Now), "", tx.Realm, "x", "", 10, "y"}[:6+strings.Count(text, "$7")]...)
					return err
				}); err != nil {
					t.Fatalf("%s %d: %v", kind, i, err)
				}
				plan := traffic.Plan(t, e.DB)
				looks, killing := 0, false
				for step := range strings.Lines(plan) {
					if strings.Contains(step, " Scan ") {
						killing = strings.Contains(step, " on grants  (") // and no alias
					}
					_, index, ok := strings.Cut(step, "INDEX ")
					if !ok {
						_, index, ok = strings.Cut(step, "Index Cond: ")
					}
					if !ok {
						continue
					}
					if looks++; !strings.Contains(index, " AND ") && !killing {
						t.Errorf("%s %d: %s", kind, i, step)
					}
				}
				if looks < 2 {
					t.Errorf("%s %d is not looked up by an index: %s", kind, i, plan)
				}
			}
		}
	})
}
