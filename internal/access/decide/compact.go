package decide

import (
	"context"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/audit"
)

// steps is a graph with the changes that led to it.
type steps struct {
	*graph.Graph
	done []graph.Change
}

// do changes the graph, or leaves it as it is.
func (g *steps) do(c graph.Change) error {
	next, err := g.Apply(c)
	if err != nil {
		return err
	}
	g.Graph, g.done = next, append(g.done, c)
	return nil
}

// compact makes a large graph compact again while questions are answered from it as
// it is: the turn is held at the beginning and at the end alone.
func (st *state) compact(ctx context.Context, s *Snapshots, when func(*graph.Graph) bool, compacted func(*graph.Graph) (*graph.Graph, error)) {
	var old *graph.Graph
	st.inTurn(ctx, func() {
		if st.loaded.Load() && !st.compacting && when(st.graph) {
			old, st.compacting, st.since = st.graph, true, nil
		}
	})
	if old == nil {
		return
	}
	fresh, err := compacted(old)
	for round := 0; ; round++ {
		var since []graph.Change
		last := true
		st.inTurn(context.WithoutCancel(ctx), func() {
			if !st.compacting { // it was built anew meanwhile
				return
			}
			since, st.since = st.since, nil
			if last = err != nil || len(since) == 0 || round == catchUps; !last {
				return
			}
			st.compacting = false
			if err == nil {
				fresh, err = applied(fresh, since)
			}
			if err != nil {
				s.o.Logger.Warn("the facts of a realm are not made compact", "realm", st.realm, "err", err)
				return
			}
			st.graph = fresh
			if now, _ := st.published(); now != nil {
				st.publish(s, audit.AtRevision(now.Revision()))
			}
		})
		if last {
			return
		}
		fresh, err = applied(fresh, since)
	}
}

// catchUps is how often what changed meanwhile is done beside, each time less, before
// the rest is done while questions wait.
const catchUps = 8

func applied(g *graph.Graph, all []graph.Change) (*graph.Graph, error) {
	for _, c := range all {
		next, err := g.Apply(c)
		if err != nil {
			return nil, err
		}
		g = next
	}
	return g, nil
}

// inTurn does something with the fields that only one at a time works on.
func (st *state) inTurn(ctx context.Context, do func()) {
	select {
	case st.turn <- struct{}{}:
		defer func() { <-st.turn }()
		do()
	case <-ctx.Done():
	}
}

// compactSome begins to make one of the realms compact, if one needs it and no other
// is being made so.
func (s *Snapshots) compactSome(ctx context.Context, all []*state) {
	for _, st := range all {
		if snap, _ := st.published(); snap == nil || !s.stale(snap.Graph()) || !s.compacting.CompareAndSwap(false, true) {
			continue
		}
		s.wg.Go(func() {
			defer s.compacting.Store(false)
			st.compact(ctx, s, s.stale, (*graph.Graph).Compact)
		})
		return
	}
}
