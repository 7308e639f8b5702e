package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

type listMembersInput struct {
	ByID
	Paging
}

// MemberInput names a member of what ByID names.
type MemberInput struct {
	ByID
	Member string `path:"member" maxLength:"64"`
}

type putMemberInput struct {
	MemberInput
	Body wire.MemberPut
}

func (s *Server) listMembers(kind principal.Kind) handler[listMembersInput, page[wire.Member]] {
	return func(ctx context.Context, c *Caller, in *listMembersInput) (*page[wire.Member], error) {
		if _, err := s.living(ctx, c, in.ID, kind); err != nil {
			return nil, err
		}
		found, next, err := s.People.Members(ctx, c.Realm.Name, in.ID, in.After, in.Limit)
		if err != nil {
			return nil, err
		}
		return paged(found, next, func(m principal.Member) wire.Member { return s.memberOf(ctx, c, m.Member, m) }), nil
	}
}

func (s *Server) putMember(kind principal.Kind) handler[putMemberInput, nothing] {
	return func(ctx context.Context, c *Caller, in *putMemberInput) (*nothing, error) {
		if _, err := s.living(ctx, c, in.ID, kind); err != nil {
			return nil, err
		}
		return nil, s.People.AddMember(ctx, c.By, c.Realm.Name, in.ID, in.Member, in.Body.Relation)
	}
}

func (s *Server) removeMember(kind principal.Kind) handler[MemberInput, nothing] {
	return func(ctx context.Context, c *Caller, in *MemberInput) (*nothing, error) {
		if _, err := s.living(ctx, c, in.ID, kind); err != nil {
			return nil, err
		}
		return nil, s.People.RemoveMember(ctx, c.By, c.Realm.Name, in.ID, in.Member)
	}
}

// listMemberships lists what a user is directly in.
func (s *Server) listMemberships(ctx context.Context, c *Caller, in *listMembersInput) (*page[wire.Member], error) {
	if _, err := s.living(ctx, c, in.ID, principal.Person); err != nil {
		return nil, err
	}
	found, next, err := s.People.Containers(ctx, c.Realm.Name, in.ID, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, func(m principal.Member) wire.Member { return s.memberOf(ctx, c, m.Container, m) }), nil
}

// memberOf describes one of the two that m joins.
func (s *Server) memberOf(ctx context.Context, c *Caller, id string, m principal.Member) wire.Member {
	kind, name := s.label(ctx, c.Realm.Name, id)
	return wire.Member{ID: id, Kind: string(kind), Name: name, Relation: m.Relation, Since: m.Since}
}
