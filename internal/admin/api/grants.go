package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

type listGrantsInput struct {
	Paging
	Principal string `query:"principal" maxLength:"64" doc:"Grants to act for this principal. At most one of principal, client and session is given."`
	Client    string `query:"client" maxLength:"255" doc:"Grants of this client."`
	Session   string `query:"session" maxLength:"64" doc:"Grants that hang on this session."`
	Ended     bool   `query:"ended" doc:"Also grants that have ended."`
}

// listGrants gives the oldest first.
func (s *Server) listGrants(ctx context.Context, c *Caller, in *listGrantsInput) (*page[wire.Grant], error) {
	f := grant.Filter{Principal: in.Principal, Client: in.Client, Session: in.Session, Dead: in.Ended, After: in.After}
	if n := count(f.Principal, f.Client, f.Session); n > 1 {
		return nil, fault.New(fault.Invalid, "filter_invalid", "give at most one of principal, client and session")
	}
	found, next, err := s.Grants.List(ctx, c.Realm.Name, f, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, grantOf), nil
}

func (s *Server) showGrant(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.Grant], error) {
	g, err := s.Grants.ByID(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	return plain(grantOf(g)), nil
}

func (s *Server) revokeGrant(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	found, err := s.Grants.ByID(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.Operators.MayTouch(ctx, c.By, c.Realm.Name, found.Principal); err != nil {
		return nil, err
	}
	return nil, s.Grants.Revoke(ctx, c.By, c.Realm.Name, in.ID, "revoked by an operator")
}

type listConsentsInput struct {
	ByID
	Paging
}

func (s *Server) listConsents(ctx context.Context, c *Caller, in *listConsentsInput) (*page[wire.Consent], error) {
	if _, err := s.living(ctx, c, in.ID, principal.Person); err != nil {
		return nil, err
	}
	found, next, err := s.Grants.Consents(ctx, c.Realm.Name, grant.Filter{Principal: in.ID, After: in.After}, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, consentOf), nil
}

type consentInput struct {
	ByID
	Client string `path:"client" maxLength:"64"`
}

func (s *Server) revokeConsent(ctx context.Context, c *Caller, in *consentInput) (*nothing, error) {
	if _, err := s.one(ctx, c, in.ID, principal.Person); err != nil {
		return nil, err
	}
	if err := s.Operators.MayTouch(ctx, c.By, c.Realm.Name, in.ID); err != nil {
		return nil, err
	}
	client := in.Client
	if id.Valid("svc", client) { // an id that is an address does not fit into a path
		found, err := s.Clients.ByPrincipal(ctx, c.Realm.Name, client)
		if err != nil {
			return nil, err
		}
		client = found.ID
	}
	return nil, s.Grants.RevokeConsent(ctx, c.By, c.Realm.Name, in.ID, client, "revoked by an operator")
}

func grantOf(g *grant.Grant) wire.Grant {
	return wire.Grant{ID: g.ID, Kind: string(g.Kind), Principal: g.Principal, Client: g.Client, Session: g.Session, Parent: g.Parent, Actor: g.Actor, Scopes: g.Scopes, Audience: g.Audience, Details: g.Details,
		Offline: g.Offline, CreatedAt: g.Created, ExpiresAt: optional(g.Expires), RevokedAt: optional(g.Revoked), RevokeReason: g.Reason}
}

func consentOf(c *grant.Consent) wire.Consent {
	return wire.Consent{User: c.Principal, Client: c.Client, Scopes: c.Scopes, GivenAt: c.Created, UpdatedAt: c.Updated}
}

// count is how many of the words are there.
func count(words ...string) (n int) {
	for _, w := range words {
		if w != "" {
			n++
		}
	}
	return n
}
