package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
)

type listSessionsInput struct {
	Paging
	User  string `query:"user" maxLength:"64" doc:"Sessions of this user."`
	Ended bool   `query:"ended" doc:"Also sessions that have ended."`
}

// listSessions gives the newest first.
func (s *Server) listSessions(ctx context.Context, c *Caller, in *listSessionsInput) (*page[wire.Session], error) {
	found, next, err := s.Sessions.List(ctx, c.Realm.Name, session.Filter{Principal: in.User, Live: !in.Ended}, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, sessionOf), nil
}

func (s *Server) showSession(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.Session], error) {
	found, err := s.Sessions.ByID(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	return plain(sessionOf(found)), nil
}

func (s *Server) endSession(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	found, err := s.Sessions.ByID(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.Operators.MayTouch(ctx, c.By, c.Realm.Name, found.Principal); err != nil {
		return nil, err
	}
	return nil, s.Grants.EndSession(ctx, c.By, c.Realm.Name, in.ID, "ended by an operator")
}

func (s *Server) signOutUser(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	if _, err := s.one(ctx, c, in.ID, principal.Person); err != nil {
		return nil, err
	}
	if err := s.Operators.MayTouch(ctx, c.By, c.Realm.Name, in.ID); err != nil {
		return nil, err
	}
	return nil, s.Grants.SignOutEverywhere(ctx, c.By, c.Realm.Name, in.ID, "signed out by an operator")
}

// makePasswordLink asks for a right that the helpdesk lacks: whoever has the
// link can become the user.
func (s *Server) makePasswordLink(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.SecretLink], error) {
	if _, err := s.touchable(ctx, c, in.ID, principal.Person); err != nil {
		return nil, err
	}
	link, expires, err := s.Desk.PasswordLink(ctx, c.By, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	return plain(secretLink(c.Realm, "/set-password", string(link), expires)), nil
}

func sessionOf(e *session.Session) wire.Session {
	return wire.Session{ID: e.ID, User: e.Principal, ACR: e.ACR, AMR: e.AMR, SignedInAt: e.AuthTime, LastSeenAt: e.LastSeenAt,
		ExpiresAt: e.Until(), EndedAt: optional(e.EndedAt), EndReason: e.Reason, IP: e.IP, UserAgent: e.UserAgent}
}
