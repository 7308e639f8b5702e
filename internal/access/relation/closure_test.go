package relation

import (
	"context"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// What one question needs, and what judges a new fact, is found by the ids of what
// it is about. A plan that begins with all facts of a realm costs more the more
// there are.
func TestAQuestionReadsNoMoreThanItNeeds(t *testing.T) {
	sides := [3][]graph.Entity{{{Type: "user", ID: "ann"}}, {{Type: "payment", ID: "1"}}, {{Type: "folder", ID: "f"}}}
	for name, statement := range map[string]func(*db.Tx, [3][]graph.Entity) (string, []any){"relations": betweenText, "attributes": knownText,
		"above": func(tx *db.Tx, _ [3][]graph.Entity) (string, []any) {
			return aboveText(tx, sides[0][0], []string{"group"})
		},
		"below": func(tx *db.Tx, _ [3][]graph.Entity) (string, []any) { return belowText(tx, sides[0][0]) }} {
		var plan []string
		err := dbtest.Open(t, db.SQLite).DB.View(context.Background(), dbtest.Realm, func(tx *db.Tx) (err error) {
			text, args := statement(tx, sides)
			plan, err = db.All(tx, func(r db.Row) (step string, err error) {
				var id, parent, unused int
				err = r.Scan(&id, &parent, &unused, &step)
				return step, err
			}, "EXPLAIN QUERY PLAN "+text, args...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		looks := 0
		for _, step := range plan {
			if strings.Contains(step, "sqlite_autoindex_access_") || strings.Contains(step, "INDEX access_") {
				if looks++; !strings.Contains(step, "_id=?") {
					t.Errorf("%s: %s", name, step)
				}
			}
		}
		if looks == 0 {
			t.Errorf("%s are not looked up by an index: %q", name, plan)
		}
	}
}
