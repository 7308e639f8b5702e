package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

type listServicesInput struct {
	Paging
	Q     string `query:"q" maxLength:"200" doc:"Services whose name or display name begins with it."`
	State string `query:"state" enum:"active,suspended,deleted"`
}

func (s *Server) listServices(ctx context.Context, c *Caller, in *listServicesInput) (*page[wire.Service], error) {
	found, next, err := s.People.List(ctx, c.Realm.Name, principal.Filter{Kind: principal.Service, State: principal.State(in.State), Search: in.Q}, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, serviceOf), nil
}

type createServiceInput struct{ Body wire.ServiceCreate }

func (s *Server) createService(ctx context.Context, c *Caller, in *createServiceInput) (*answer[wire.Service], error) {
	b := in.Body
	p, err := s.People.Create(ctx, c.By, c.Realm.Name, principal.New{Kind: principal.Service, Name: b.Name, DisplayName: b.DisplayName, Owner: b.Owner, ExpiresAt: given(b.ExpiresAt)})
	if err != nil {
		return nil, err
	}
	return versioned(serviceOf(p), p.Version), nil
}

func (s *Server) showService(ctx context.Context, c *Caller, in *ByID) (*answer[wire.Service], error) {
	p, err := s.one(ctx, c, in.ID, principal.Service)
	if err != nil {
		return nil, err
	}
	return versioned(serviceOf(p), p.Version), nil
}

type updateServiceInput struct {
	ByID
	Matching
	Body wire.ServiceUpdate
}

func (s *Server) updateService(ctx context.Context, c *Caller, in *updateServiceInput) (*answer[wire.Service], error) {
	b := in.Body
	p, err := s.rename(ctx, c, in.ID, in.Matching, principal.Service, principal.Change{Name: b.Name, DisplayName: b.DisplayName, ExpiresAt: b.ExpiresAt})
	if err != nil {
		return nil, err
	}
	return versioned(serviceOf(p), p.Version), nil
}

func (s *Server) suspendService(ctx context.Context, c *Caller, in *ByID) (*answer[wire.Service], error) {
	p, err := s.suspend(ctx, c, in.ID, principal.Service)
	if err != nil {
		return nil, err
	}
	return versioned(serviceOf(p), p.Version), nil
}

func (s *Server) activateService(ctx context.Context, c *Caller, in *ByID) (*answer[wire.Service], error) {
	p, err := s.activate(ctx, c, in.ID, principal.Service)
	if err != nil {
		return nil, err
	}
	return versioned(serviceOf(p), p.Version), nil
}

func (s *Server) deleteService(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.bury(ctx, c, in.ID, principal.Service)
}

func (s *Server) listCredentials(kind principal.Kind) handler[ByID, page[wire.Credential]] {
	return func(ctx context.Context, c *Caller, in *ByID) (*page[wire.Credential], error) {
		owner, err := s.named(ctx, c, in.ID, kind)
		if err != nil {
			return nil, err
		}
		found, err := s.Credentials.List(ctx, c.Realm.Name, owner)
		if err != nil {
			return nil, err
		}
		return paged(found, "", credentialOf), nil
	}
}

type credentialInput struct {
	ByID
	Credential string `path:"credential" maxLength:"64"`
}

func (s *Server) revokeServiceCredential(ctx context.Context, c *Caller, in *credentialInput) (*nothing, error) {
	if _, err := s.touchable(ctx, c, in.ID, principal.Service); err != nil {
		return nil, err
	}
	return nil, s.revokeCredential(ctx, c, in.ID, in.Credential)
}

// revokeUserCredential takes a second factor or a passkey from a user, who is signed out
// everywhere. A factor is never told, nor added, nor is a password removed: for
// that there is a link.
func (s *Server) revokeUserCredential(ctx context.Context, c *Caller, in *credentialInput) (*nothing, error) {
	owner, err := s.named(ctx, c, in.ID, principal.Person)
	if err != nil {
		return nil, err
	}
	if _, err := s.touchable(ctx, c, owner, principal.Person); err != nil {
		return nil, err
	}
	found, err := s.Credentials.ByID(ctx, c.Realm.Name, in.Credential)
	if err == nil && found.Principal == owner && !found.Type.Factor() {
		return nil, fault.New(fault.Invalid, "credential_no_factor", "a credential of type %s is not removed here; for a password make a password link", found.Type)
	}
	if err := s.revokeCredential(ctx, c, owner, in.Credential); err != nil {
		return nil, err
	}
	return nil, s.Grants.SignOutEverywhere(ctx, c.By, c.Realm.Name, owner, "a factor was removed by an operator")
}

// revokeCredential ends a credential of a principal and what was born of it.
func (s *Server) revokeCredential(ctx context.Context, c *Caller, owner, id string) error {
	found, err := s.Credentials.ByID(ctx, c.Realm.Name, id)
	if fault.Is(err, fault.NotFound) || err == nil && found.Principal != owner {
		return fault.New(fault.NotFound, "credential_not_found", "there is no such credential")
	}
	if err != nil {
		return err
	}
	return s.Grants.RevokeCredential(ctx, c.By, c.Realm.Name, id, "revoked by an operator", nil)
}

func serviceOf(p *principal.Principal) wire.Service {
	return wire.Service{ID: p.ID, Name: p.Name, DisplayName: p.DisplayName, State: string(p.State), Owner: p.Owner, ExpiresAt: optional(p.ExpiresAt),
		Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
}

func credentialOf(c credential.Credential) wire.Credential {
	w := wire.Credential{ID: c.ID, Type: string(c.Type), Name: c.Name, CreatedAt: c.CreatedAt, ExpiresAt: optional(c.ExpiresAt),
		LastUsedAt: optional(c.LastUsedAt), RevokedAt: optional(c.RevokedAt), CodesLeft: c.CodesLeft()}
	if k, ok := c.Passkey(); ok {
		w.Passkey = &wire.Passkey{AAGUID: k.AAGUID, Model: k.Model, Synced: k.Synced, BackedUp: k.BackedUp, Attested: k.Attested}
	}
	return w
}
