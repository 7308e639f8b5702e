package app

import (
	"log/slog"
	"strings"
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
	one := []*replica.Decision{{Question: policy.Question{Context: policy.Properties{"text": strings.Repeat("x", 8<<20)}}}}
	taken := 0
	for ; taken < 10 && a.noteEdge(rl, "edge", one, 0); taken++ {
	}
	if taken != 4 {
		t.Errorf("%d decisions of 8 MiB each wait to be written", taken)
	}
}
