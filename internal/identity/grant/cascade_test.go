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
func TestAnEndReadsNoMoreThanHangsOnIt(t *testing.T) {
	d := dbtest.Open(t, db.SQLite).DB
	for kind, statements := range beneath {
		for i, statement := range statements {
			var plan []string
			err := d.View(context.Background(), dbtest.Realm, func(tx *db.Tx) (err error) {
				plan, err = db.All(tx, func(r db.Row) (step string, err error) {
					var id, parent, unused int
					err = r.Scan(&id, &parent, &unused, &step)
					return step, err
				}, "EXPLAIN QUERY PLAN "+statement, []any{db.At(tx.Now), "", tx.Realm, "x", "", 10, "y"}[:6+strings.Count(statement, "$7")]...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			looks := 0
			for _, step := range plan {
				if _, index, ok := strings.Cut(step, "INDEX "); ok {
					if looks++; !strings.Contains(index, " AND ") {
						t.Errorf("%s %d: %s", kind, i, step)
					}
				}
			}
			if looks < 2 {
				t.Errorf("%s %d is not looked up by an index: %q", kind, i, plan)
			}
		}
	}
}
