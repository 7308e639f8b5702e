package grant

import (
	"context"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// StandingFor returns the grant under which a client acts for itself with one
// of its credentials. There is one of each pair; it is made when first needed,
// and again when it was killed, so killing it ends its tokens and leaves the
// client alive. It comes from memory and costs a write only when it is made.
func (s *Store) StandingFor(ctx context.Context, by audit.Actor, c *client.Client, credential string) (*Grant, error) {
	key := standingKey(c.ID, credential)
	who, err := s.Principals.Live(ctx, c.Realm, c.Principal)
	if err != nil {
		return nil, err
	}
	for range 3 {
		cached, err := s.grants.Get(c.Realm, key, func() (*Grant, error) { return s.standing(ctx, by, c, credential) })
		if err != nil {
			return nil, err
		}
		gone, err := s.Status.Killed(ctx, c.Realm, cached.Status)
		if err != nil {
			return nil, err
		}
		if !gone && cached.Follows(c) && cached.Era == who.Era {
			g, err := s.Current(ctx, cached)
			if !fault.Is(err, fault.Forbidden) {
				return g, err
			}
		}
		s.grants.Drop(c.Realm, key)
		if err := s.bury(ctx, by, c.Realm, cached.ID); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Unavailable, "grant_contended", "the standing grant of client %q is being revoked; try again", c.ID)
}

func standingKey(client, credential string) string { return "client " + client + " " + credential }

// standing finds or makes the grant. Of several nodes that try at once one
// inserts it and the others find it.
func (s *Store) standing(ctx context.Context, by audit.Actor, c *client.Client, credential string) (*Grant, error) {
	key := standingKey(c.ID, credential)
	var g *Grant
	err := s.db.View(ctx, c.Realm, func(tx *db.Tx) (err error) {
		g, err = byStanding(tx, key)
		return err
	})
	if err == nil || !db.Missing(err) {
		return g, err
	}
	slot, err := s.Reserve(ctx, c.Realm, ForGrants)
	if err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, c.Realm, func(tx *db.Tx) error {
		born, _, err := s.prove(tx, slot, New{Kind: Standing, Principal: c.Principal, Client: c.ID, Credential: credential})
		if err != nil {
			return err
		}
		born.standing = key
		fresh, err := insertStanding(tx, born)
		if err != nil {
			return err
		}
		if !fresh {
			g, err = byStanding(tx, key)
			return err
		}
		g = born
		audit.Append(tx, by, audit.Event{Action: "grant.create", TargetType: "grant", Target: g.ID, Data: map[string]any{
			"kind": string(g.Kind), "principal": g.Principal, "client": g.Client}})
		return nil
	})
	return g, err
}

// bury makes sure that the database knows of a death that this node knows of,
// so that the standing grant's place is free for a new one.
func (s *Store) bury(ctx context.Context, by audit.Actor, realm, id string) error {
	return s.db.Update(ctx, realm, func(tx *db.Tx) error {
		_, err := s.killOne(tx, by, id, "dead already")
		return err
	})
}
