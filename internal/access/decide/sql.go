package decide

import (
	"context"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// bySQL reads what one question needs: what its subject and its resource are
// inside of, the roles between the two, and what is known about all of them. It
// sees what is committed, so it is as new as any revision that was told.
func (s *Snapshots) bySQL(ctx context.Context, realm string, q *policy.Question) (snap *policy.Snapshot, at audit.Position, err error) {
	err = s.o.DB.View(ctx, realm, func(tx *db.Tx) error {
		snap = nil
		if at, err = audit.HeadTx(tx); err != nil {
			return err
		}
		set, err := s.policies(tx)
		if err != nil || set == nil {
			return err
		}
		g, err := s.closure(tx, q)
		if err == nil {
			snap = policy.NewSnapshot(set, g, at.Revision()).WithGate(s.o.Directory.Gate).Excerpt()
		}
		return err
	})
	return snap, at, err
}

func (s *Snapshots) closure(tx *db.Tx, q *policy.Question) (*graph.Graph, error) {
	ends := [2][]graph.Entity{{q.Subject}, {q.Resource}}
	var entries []Entry
	for side := range ends {
		above, err := s.directoryAbove(tx, ends[side][0])
		if err != nil {
			return nil, err
		}
		entries = append(entries, above...)
		for _, x := range above {
			if x.Entity != ends[side][0] {
				ends[side] = append(ends[side], x.Entity)
			}
		}
	}
	c, err := relation.Closure(tx, ends[0], ends[1])
	if err != nil {
		return nil, err
	}
	g, err := graph.Empty().Apply(c)
	if err != nil {
		return nil, err
	}
	return s.join(g, tx.Realm, entries), nil
}

// directoryAbove reads one of the directory's own with everything that it is in
// there, and with its owners.
func (s *Snapshots) directoryAbove(tx *db.Tx, e graph.Entity) (all []Entry, err error) {
	if s.o.Directory.Read == nil || !s.o.Directory.Owns(e) {
		return nil, nil
	}
	seen := map[string]bool{e.ID: true}
	for next := []string{e.ID}; len(next) > 0; {
		entries, err := s.o.Directory.Read(tx, next)
		if err != nil {
			return nil, err
		}
		next = nil
		more := func(id string) {
			if !seen[id] {
				seen[id] = true
				next = append(next, id)
			}
		}
		for _, x := range entries {
			all = append(all, x)
			for _, t := range x.In {
				more(t.Object.ID)
			}
			if owner, ok := x.Attributes["owner"].(string); ok {
				more(owner)
			}
		}
	}
	return all, nil
}
