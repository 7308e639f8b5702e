package audit_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// BenchmarkChange is a change with its event, from 64 callers at once; the
// second of each pair is acknowledged only when it holds everywhere.
func BenchmarkChange(b *testing.B) {
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		for _, invalidates := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/invalidates=%v", engine, invalidates), func(b *testing.B) {
				e := audittest.New(b, dbtest.Open(b, engine))
				e.Start(b)
				var n atomic.Int64
				b.SetParallelism(32)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						err := e.DB.UpdateRC(context.Background(), dbtest.Realm, func(tx *db.Tx) error {
							audit.Append(tx, audittest.By, audit.Event{Action: "a.b", Target: fmt.Sprint(n.Add(1)), Invalidates: invalidates})
							return nil
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}
