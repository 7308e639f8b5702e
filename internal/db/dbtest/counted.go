package dbtest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
)

// Counted opens the database again, in the place of the first one, with a counter
// that rises alike with each transaction: it counts how often the time is asked for.
func (e *Env) Counted(t testing.TB) *atomic.Int64 {
	t.Helper()
	e.DB.Close()
	n := new(atomic.Int64)
	d, err := db.Open(context.Background(), db.Options{URL: e.URL, MaxConns: 8, Now: func() time.Time {
		n.Add(1)
		return e.Clock.Now()
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	e.DB = d
	return n
}
