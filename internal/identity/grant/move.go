package grant

import (
	"context"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// Current returns g with an index in a list that is still open. The Issue gate
// calls it before it mints: a grant whose list has closed moves to the current
// one, so that the closed list can retire when its last token has expired. For
// all but the first token after a closure it costs one look into memory.
func (s *Store) Current(ctx context.Context, g *Grant) (*Grant, error) {
	open, err := s.Status.Open(ctx, g.Realm, g.Status.List)
	if err != nil || open {
		return g, err
	}
	slot, err := s.Reserve(ctx, g.Realm, ForGrants)
	if err != nil {
		return nil, err
	}
	var moved *Grant
	err = s.db.UpdateRC(ctx, g.Realm, func(tx *db.Tx) error {
		if moved, err = move(tx, g, slot.bit, tx.Now.Add(MaxTokenLife)); err == nil {
			audit.Append(tx, audit.System, audit.Event{Action: "grant.move", TargetType: "grant", Target: g.ID,
				Data: map[string]any{"list": slot.bit.List}})
			return nil
		}
		if !db.Missing(err) {
			return err
		}
		moved, err = byID(tx, g.ID) // another request has moved it, or it is dead
		return err
	})
	if err != nil {
		return nil, err
	}
	s.grants.Drop(g.Realm, g.ID)
	s.grants.Drop(g.Realm, g.standing)
	if !moved.Revoked.IsZero() {
		return nil, dies(g.ID, "it was revoked")
	}
	return moved, nil
}
