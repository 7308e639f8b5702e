package residual_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/cardea-id/cardea/internal/access/decide"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// In a realm whose facts are not held, rows are shown of which Decide says yes on
// all facts; the same models, but what is needed of them is read by SQL.
func TestDatabasesShowWhatDecideAllowsInLargeRealms(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		var set *policy.Set
		facts := relation.NewStore(relation.Options{DB: e.DB, Log: e.Log})
		snaps := decide.New(decide.Options{DB: e.DB, Log: e.Log, Facts: facts, Most: 1, Policies: func(*db.Tx) (*policy.Set, error) { return set, nil }})
		e.Start(t)
		n := 80
		if os.Getenv(models) != "" {
			n = 2000
		}
		var before graph.Change
		compareBy(t, sqlite(t), n, func(s *policy.Snapshot, q *policy.Question, rows policy.Rows) (policy.Residual, error) {
			set = s.Set()
			var now graph.Change
			now.Add = slices.Collect(s.Graph().All())
			for _, typ := range s.Graph().Types() {
				for e := range s.Graph().Known(typ, "") {
					for name, v := range s.Graph().Attributes(e) {
						now.Set = append(now.Set, graph.Attribute{Entity: e, Name: name, Value: v})
					}
				}
			}
			for _, c := range []graph.Change{{Remove: before.Add, Unset: before.Set}, now} {
				if len(c.Add)+len(c.Remove)+len(c.Set)+len(c.Unset) == 0 {
					continue
				}
				if _, err := facts.Write(t.Context(), audittest.By, dbtest.Realm, relation.Batch{Change: c}); err != nil {
					t.Fatal(err)
				}
			}
			before = now
			got, snap, _, err := snaps.Partial(t.Context(), dbtest.Realm, q, rows)
			if err == nil && snap == nil {
				t.Fatal("no snapshot")
			}
			want, cannot := policy.Partial(s, q, rows)
			if (err != nil) != (cannot != nil) || errors.Is(err, policy.ErrInexpressible) != errors.Is(cannot, policy.ErrInexpressible) ||
				got.Reason != want.Reason || (got.StepUp == nil) != (want.StepUp == nil) || !slices.Equal(got.Policies, want.Policies) {
				t.Fatalf("by SQL: %+v %v; in memory: %+v %v", got, err, want, cannot)
			}
			return got, err
		})
	})
}
