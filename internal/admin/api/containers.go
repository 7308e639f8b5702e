package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

type searchInput struct {
	Paging
	Q string `query:"q" maxLength:"200" doc:"Those whose name or display name begins with it."`
}

func (s *Server) listGroups(ctx context.Context, c *Caller, in *searchInput) (*page[wire.Group], error) {
	found, next, err := s.People.List(ctx, c.Realm.Name, principal.Filter{Kind: principal.Group, Search: in.Q}, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, groupOf), nil
}

type createGroupInput struct{ Body wire.GroupCreate }

func (s *Server) createGroup(ctx context.Context, c *Caller, in *createGroupInput) (*answer[wire.Group], error) {
	p, err := s.People.Create(ctx, c.By, c.Realm.Name, principal.New{Kind: principal.Group, Name: in.Body.Name, DisplayName: in.Body.DisplayName})
	if err != nil {
		return nil, err
	}
	return versioned(groupOf(p), p.Version), nil
}

func (s *Server) showGroup(ctx context.Context, c *Caller, in *ByID) (*answer[wire.Group], error) {
	p, err := s.living(ctx, c, in.ID, principal.Group)
	if err != nil {
		return nil, err
	}
	return versioned(groupOf(p), p.Version), nil
}

type updateGroupInput struct {
	ByID
	Matching
	Body wire.GroupUpdate
}

func (s *Server) updateGroup(ctx context.Context, c *Caller, in *updateGroupInput) (*answer[wire.Group], error) {
	p, err := s.rename(ctx, c, in.ID, in.Matching, principal.Group, principal.Change{Name: in.Body.Name, DisplayName: in.Body.DisplayName})
	if err != nil {
		return nil, err
	}
	return versioned(groupOf(p), p.Version), nil
}

func (s *Server) deleteGroup(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.bury(ctx, c, in.ID, principal.Group)
}

func (s *Server) listOrganizations(ctx context.Context, c *Caller, in *searchInput) (*page[wire.Organization], error) {
	found, next, err := s.People.List(ctx, c.Realm.Name, principal.Filter{Kind: principal.Organization, Search: in.Q}, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, organizationOf), nil
}

type createOrganizationInput struct{ Body wire.OrganizationCreate }

func (s *Server) createOrganization(ctx context.Context, c *Caller, in *createOrganizationInput) (*answer[wire.Organization], error) {
	p, err := s.People.Create(ctx, c.By, c.Realm.Name, principal.New{Kind: principal.Organization, Name: in.Body.Name, DisplayName: in.Body.DisplayName})
	if err != nil {
		return nil, err
	}
	return versioned(organizationOf(p), p.Version), nil
}

func (s *Server) showOrganization(ctx context.Context, c *Caller, in *ByID) (*answer[wire.Organization], error) {
	p, err := s.living(ctx, c, in.ID, principal.Organization)
	if err != nil {
		return nil, err
	}
	return versioned(organizationOf(p), p.Version), nil
}

type updateOrganizationInput struct {
	ByID
	Matching
	Body wire.OrganizationUpdate
}

func (s *Server) updateOrganization(ctx context.Context, c *Caller, in *updateOrganizationInput) (*answer[wire.Organization], error) {
	p, err := s.rename(ctx, c, in.ID, in.Matching, principal.Organization, principal.Change{Name: in.Body.Name, DisplayName: in.Body.DisplayName})
	if err != nil {
		return nil, err
	}
	return versioned(organizationOf(p), p.Version), nil
}

func (s *Server) deleteOrganization(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.bury(ctx, c, in.ID, principal.Organization)
}

func (s *Server) rename(ctx context.Context, c *Caller, id string, m Matching, kind principal.Kind, change principal.Change) (*principal.Principal, error) {
	version, err := m.version()
	if err != nil {
		return nil, err
	}
	if _, err := s.touchable(ctx, c, id, kind); err != nil {
		return nil, err
	}
	return s.People.Update(ctx, c.By, c.Realm.Name, id, version, change)
}

// living is one that is not deleted.
func (s *Server) living(ctx context.Context, c *Caller, id string, kind principal.Kind) (*principal.Principal, error) {
	p, err := s.one(ctx, c, id, kind)
	if err == nil && p.State == principal.Deleted {
		return nil, unknown(kind)
	}
	return p, err
}

func groupOf(p *principal.Principal) wire.Group {
	return wire.Group{ID: p.ID, Name: p.Name, DisplayName: p.DisplayName, Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
}

func organizationOf(p *principal.Principal) wire.Organization {
	return wire.Organization{ID: p.ID, Name: p.Name, DisplayName: p.DisplayName, State: string(p.State), Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
}
