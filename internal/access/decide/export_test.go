package decide

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// Compact makes a realm compact while something happens.
func (s *Snapshots) Compact(realm string, meanwhile func()) {
	s.state(realm).compact(context.Background(), s, func(*graph.Graph) bool { return true }, func(g *graph.Graph) (*graph.Graph, error) {
		meanwhile()
		return g.Compact()
	})
}

// CarryOn is what happens after events, until it is done, where all is stale.
func (s *Snapshots) CarryOn() {
	s.stale = func(*graph.Graph) bool { return true }
	s.carryOn(context.Background())
	s.wg.Wait()
}

// LetGo is what happens every minute.
func (s *Snapshots) LetGo() { s.letGo() }

// Noted is how many events wait to be done for a realm.
func (s *Snapshots) Noted(realm string) int {
	st := s.state(realm)
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.noted)
}

// Held is how many realms are in memory.
func (s *Snapshots) Held() int {
	return len(*s.realms.Load())
}

// Reset is what happens when the log cannot say what was missed.
func (s *Snapshots) Reset() { s.reset() }

// Bound sets how much one residual may read by SQL, and look through.
func (s *Snapshots) Bound(read, scanned int) { s.bounds = bounds{read, scanned} }

// Loading sets how long a question waits for a load, and what is done before one.
func (s *Snapshots) Loading(wait time.Duration, before func()) { s.wait, s.reading = wait, before }

// Loaded waits for the load of a realm that is going on.
func (s *Snapshots) Loaded(realm string) {
	st := s.state(realm)
	st.mu.Lock()
	a := st.attempt
	st.mu.Unlock()
	if a != nil {
		<-a.done
	}
}
