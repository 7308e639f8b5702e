// Package kill ends the real binary with kill -9 at random moments under load,
// starts it again and holds it to what it had acknowledged (docs/promises.md:
// P-01, P-02, P-05, P-06, P-12).
package kill

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/e2e/live"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// kills is the size of a campaign: CARDEA_TEST_KILLS, which make test and
// make long set, else so few that they only show that the test works.
func kills(t *testing.T) int {
	text := os.Getenv("CARDEA_TEST_KILLS")
	if text == "" {
		return 2
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CARDEA_TEST_KILLS: %q is not a number of kills", text)
	}
	return n
}

func TestKill(t *testing.T) {
	binary, err := live.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); campaign(t, binary, "") })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); campaign(t, binary, dbtest.URL(t, db.Postgres)) })
}

// campaign alternates: load and a kill at a random moment, then a start and
// every question whose answer was acknowledged before.
func campaign(t *testing.T, binary, database string) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	server, err := live.Install(ctx, live.Options{Binary: binary, Dir: t.TempDir(), Database: database,
		Env: []string{"CARDEA_RATES_ADMIN_READ=600000/1m", "CARDEA_RATES_ADMIN_WRITE=600000/1m", "CARDEA_RATES_ADMIN_SECRET=600000/1m"}}) // one operator asks as fast as can be
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	w, err := newWorld(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	for round := range kills(t) {
		during, stop := context.WithCancel(ctx)
		var load sync.WaitGroup
		for _, worker := range w.workers() {
			load.Go(func() { worker(during) })
		}
		<-time.After(time.Duration(20+rand.IntN(230)) * time.Millisecond)
		server.Kill()
		stop()
		load.Wait()
		if w.wrong() != nil {
			t.Fatalf("round %d, under load: %v\n%s", round, w.wrong(), server.Log(3000))
		}
		if err := server.Start(ctx); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := w.verify(ctx); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, server.Log(3000))
		}
	}
	t.Logf("%d kills; acknowledged and found again: %s", kills(t), w.summary())
	if err := w.fruitful(); err != nil {
		t.Fatal(err)
	}
}
