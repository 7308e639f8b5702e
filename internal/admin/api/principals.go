package api

import (
	"context"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// one reads a principal of the kind that the path speaks of. One of another
// kind is not found there.
func (s *Server) one(ctx context.Context, c *Caller, id string, kind principal.Kind) (*principal.Principal, error) {
	if !principal.ValidID(id) {
		return nil, unknown(kind)
	}
	p, err := s.People.ByID(ctx, c.Realm.Name, id)
	if fault.Is(err, fault.NotFound) || err == nil && p.Kind != kind {
		return nil, unknown(kind)
	}
	return p, err
}

// touchable is one that the caller may change: it has no rights that the
// caller lacks, and it is not deleted.
func (s *Server) touchable(ctx context.Context, c *Caller, id string, kind principal.Kind) (*principal.Principal, error) {
	p, err := s.one(ctx, c, id, kind)
	if err != nil {
		return nil, err
	}
	if p.State == principal.Deleted {
		return nil, unknown(kind)
	}
	return p, s.Operators.MayTouch(ctx, c.By, c.Realm.Name, id)
}

// suspend stops a principal and ends what it has open.
func (s *Server) suspend(ctx context.Context, c *Caller, id string, kind principal.Kind) (*principal.Principal, error) {
	if _, err := s.touchable(ctx, c, id, kind); err != nil {
		return nil, err
	}
	if err := s.Grants.SuspendPrincipal(ctx, c.By, c.Realm.Name, id, "suspended by an operator", func(tx *db.Tx) error {
		if err := s.Operators.GuardTx(tx, c.By, id); err != nil {
			return err
		}
		return s.Desk.SuspendingTx(tx, id)
	}); err != nil {
		return nil, err
	}
	return s.one(ctx, c, id, kind)
}

func (s *Server) activate(ctx context.Context, c *Caller, id string, kind principal.Kind) (*principal.Principal, error) {
	if _, err := s.touchable(ctx, c, id, kind); err != nil {
		return nil, err
	}
	if err := s.Desk.Activate(ctx, c.By, c.Realm.Name, id); err != nil {
		return nil, err
	}
	return s.one(ctx, c, id, kind)
}

// bury ends a principal for ever, with what it has open and the rights it has.
// One that is deleted already stays so, which is said once every node knows.
func (s *Server) bury(ctx context.Context, c *Caller, id string, kind principal.Kind) error {
	if _, err := s.one(ctx, c, id, kind); err != nil {
		return err
	}
	if err := s.Operators.MayTouch(ctx, c.By, c.Realm.Name, id); err != nil {
		return err
	}
	return s.Desk.Delete(ctx, c.By, c.Realm.Name, id, "deleted by an operator", s.guard(c, id))
}

// guard keeps, in the transaction of a principal's death, operators from ending
// those with more rights, and the last owner from being ended.
func (s *Server) guard(c *Caller, principal string) grant.Guard {
	return func(tx *db.Tx) error { return s.Operators.GuardTx(tx, c.By, principal) }
}

// label is what people call a principal.
func (s *Server) label(ctx context.Context, realm, id string) (kind principal.Kind, name string) {
	p, err := s.People.Cached(ctx, realm, id)
	if err != nil {
		return "", ""
	}
	for _, name := range []string{p.DisplayName, p.Name, p.Email().Address} {
		if name != "" {
			return p.Kind, name
		}
	}
	return p.Kind, ""
}

func unknown(kind principal.Kind) error {
	word := string(kind)
	if kind == principal.Person {
		word = "user"
	}
	return fault.New(fault.NotFound, word+"_not_found", "there is no such %s", word)
}
