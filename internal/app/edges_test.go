package app

import (
	"log/slog"
	"testing"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/realm"
)

// What edges hand in waits in memory for no longer than there is room, however long
// the questions are.
func TestLongDecisionsOfEdgesTakeTheirRoom(t *testing.T) {
	a := &App{Journal: journal.New(nil, "n", slog.New(slog.DiscardHandler))}
	rl := &realm.Realm{Name: "r", Settings: realm.Settings{DecisionLog: 1}}
	long := make([]any, 500_000) // what a list of small numbers becomes that was sent in 1 MB
	for i := range long {
		long[i] = 1.0
	}
	one := []*replica.Decision{{Question: policy.Question{Context: policy.Properties{"list": long}}}}
	taken := 0
	for ; taken < 10 && a.noteEdge(rl, "edge", one, 0); taken++ {
	}
	if taken < 2 || taken > 4 {
		t.Errorf("%d decisions of 16 MB each wait to be written", taken)
	}
}
