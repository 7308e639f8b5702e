package grant

import (
	"context"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// StandingFor returns the grant under which a client acts for itself with one
// of its credentials. There is one of each pair; it is made when first needed,
// and again when it was killed, so killing it ends its tokens and leaves the
// client alive. It comes from memory and costs a write only when it is made.
func (s *Store) StandingFor(ctx context.Context, by audit.Actor, c *client.Client, credential string) (*Grant, error) {
	return s.stand(ctx, by, c, string(appendStanding(nil, c.ID, credential)), New{Kind: Standing, Principal: c.Principal, Client: c.ID, Credential: credential})
}

// Stood is the grant that StandingFor found last, if it is in memory. Nothing is
// asked about it: it may be dead, which is for the Issue gate to find. What that
// refuses, StandingFor has to look at.
func (s *Store) Stood(c *client.Client, credential string) (*Grant, bool) {
	var space [128]byte
	return s.grants.PeekBytes(c.Realm, appendStanding(space[:0], c.ID, credential))
}

// appendStanding appends what the standing grant of a client is found by.
func appendStanding(b []byte, client, credential string) []byte {
	return append(append(append(append(b, "client "...), client...), ' '), credential...)
}

// Shown is the token that a client showed in order to get another: one of ours,
// by its grant, or one of another issuer, by who that speaks of and the credential
// that the link with that issuer is.
type Shown struct {
	Parent     *Grant
	Principal  string
	Credential string
	Actor      string // who is to act for the principal, if not the client itself
}

// ExchangeFor returns the grant under which a client holds what it got for a
// token that it showed (RFC 8693, RFC 7523). Like a standing grant there is one
// for all requests that are alike. It hangs on the grant of the token, or on the
// link, and on the actor.
func (s *Store) ExchangeFor(ctx context.Context, by audit.Actor, c *client.Client, x Shown) (*Grant, error) {
	n := New{Kind: Exchange, Principal: x.Principal, Client: c.ID, Credential: x.Credential, Actor: x.Actor}
	of := x.Credential
	if x.Parent != nil {
		n.Principal, n.Parent, n.Offline, of = x.Parent.Principal, x.Parent.ID, x.Parent.Offline, x.Parent.ID
		n.ACR, n.AuthTime = x.Parent.ACR, x.Parent.AuthTime // amr would only make tokens longer
		if !n.Offline {
			n.Session = x.Parent.Session
		}
	}
	if of == "" {
		return nil, fault.New(fault.Internal, "exchange_of_nothing", "an exchange needs a grant or a link")
	}
	return s.stand(ctx, by, c, "exchange "+c.ID+" "+of+" "+x.Actor, n)
}

// stand returns the one living grant that stands under a key.
func (s *Store) stand(ctx context.Context, by audit.Actor, c *client.Client, key string, n New) (*Grant, error) {
	who, err := s.Principals.Live(ctx, c.Realm, n.Principal)
	if err != nil {
		return nil, err
	}
	var acting principal.Life
	if n.Actor != "" {
		if acting, err = s.Principals.Live(ctx, c.Realm, n.Actor); err != nil {
			return nil, err
		}
	}
	for range 3 {
		cached, err := s.grants.Get(c.Realm, key, func() (*Grant, error) { return s.standing(ctx, by, c.Realm, key, n) })
		if err != nil {
			return nil, err
		}
		gone, open, err := s.Status.Look(ctx, c.Realm, cached.Status)
		if err != nil {
			return nil, err
		}
		if !gone && cached.Follows(c) && cached.Era == who.Era && cached.ActorEra == acting.Era {
			if open {
				return cached, nil
			}
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

// standing finds or makes the grant. Of several nodes that try at once one
// inserts it and the others find it.
func (s *Store) standing(ctx context.Context, by audit.Actor, realm, key string, n New) (*Grant, error) {
	var g *Grant
	err := s.db.View(ctx, realm, func(tx *db.Tx) (err error) {
		g, err = byStanding(tx, key)
		return err
	})
	if err == nil || !db.Missing(err) {
		return g, err
	}
	slot, err := s.Reserve(ctx, realm, ForGrants)
	if err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, realm, func(tx *db.Tx) error {
		born, _, err := s.prove(tx, slot, n)
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
		data := map[string]any{"kind": string(g.Kind), "principal": g.Principal, "client": g.Client}
		if g.Actor != "" {
			data["actor"] = g.Actor
		}
		if g.Parent != "" {
			data["parent"] = g.Parent
		}
		audit.Append(tx, by, audit.Event{Action: "grant.create", TargetType: "grant", Target: g.ID, Data: data})
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
