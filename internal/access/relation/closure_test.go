package relation

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// using is the index that a step of a plan looks something up in, begins what it must
// look for there.
var (
	using  = regexp.MustCompile(`access_(relations_object|relations_inside|relations_pkey|relations_1|attributes_pkey|attributes_1)`)
	begins = map[string]string{"relations_object": "object_id ?=", "relations_inside": "object_id ?=",
		"relations_pkey": "subject_id ?=.*relation ?=", "relations_1": "subject_id ?=.*relation ?=", "attributes_pkey": "entity_id ?=", "attributes_1": "entity_id ?="}
)

// What one question needs, and what judges a new fact, is found by the ids of what
// it is about. A plan that begins with all facts of a realm costs more the more
// there are. PostgreSQL plans so even where it takes the tables for empty, because
// nobody has looked at them: then a first batch is all there is when it is judged.
func TestAQuestionReadsNoMoreThanItNeeds(t *testing.T) {
	ann, payment, folder := graph.Entity{Type: "user", ID: "ann"}, graph.Entity{Type: "payment", ID: "1"}, graph.Entity{Type: "folder", ID: "f"}
	sides := [3][]graph.Entity{{ann}, {payment}, {folder}}
	dbtest.Run(t, func(t *testing.T, e *dbtest.Env) {
		for name, ask := range map[string]func(tx *db.Tx) error{
			"between":  func(tx *db.Tx) error { _, err := between(tx, sides, []string{"viewer"}, 1); return err },
			"known":    func(tx *db.Tx) error { _, err := knownAbove(tx, sides, 1); return err },
			"above":    func(tx *db.Tx) error { _, err := askAbove(tx, ann, []string{"group"}).One(); return err },
			"below":    func(tx *db.Tx) error { _, err := askBelow(tx, ann).One(); return err },
			"above of": func(tx *db.Tx) error { _, err := aboveOf(tx, ann, []string{"group"}); return err },
			"any":      func(tx *db.Tx) error { _, err := anyBelow(tx, ann, []string{"group"}); return err },
			"inside":   func(tx *db.Tx) error { _, err := insideOf(tx, sides[2], false, 1, 10); return err },
			"all":      func(tx *db.Tx) error { _, err := aboveAll(tx, sides[2], 1, 10); return err },
			"granted":  func(tx *db.Tx) error { _, err := grantedTo(tx, sides[0], []string{"viewer"}, 1, 10); return err },
		} {
			watched, traffic := dbtest.Watch(context.Background())
			if err := e.DB.View(watched, dbtest.Realm, ask); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			looks, index := 0, ""
			for step := range strings.Lines(traffic.Plan(t, e.DB)) {
				if found := using.FindString(step); found != "" {
					index = found
				}
				if strings.Contains(step, "SEARCH r USING AUTOMATIC") {
					t.Errorf("%s: %s", name, step)
				}
				if !strings.Contains(step, "Index Cond:") && !strings.Contains(step, "SEARCH") || index == "" {
					if strings.Contains(step, "Seq Scan on access_") {
						t.Errorf("%s: %s", name, step)
					}
					continue
				}
				looks++
				if !regexp.MustCompile(begins[using.FindStringSubmatch(index)[1]]).MatchString(step) {
					t.Errorf("%s, by %s: %s", name, index, step)
				}
				index = ""
			}
			if looks == 0 {
				t.Errorf("%s is not looked up by an index: %s", name, traffic.Plan(t, e.DB))
			}
		}
	})
}
