package api

import (
	"context"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/secret"
)

type listInvitationsInput struct {
	Paging
	State string `query:"state" enum:"open,accepted,withdrawn,expired"`
}

func (s *Server) listInvitations(ctx context.Context, c *Caller, in *listInvitationsInput) (*page[wire.Invitation], error) {
	found, next, err := s.Desk.Invitations(ctx, c.Realm.Name, life.InvitationState(in.State), in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, invitationOf), nil
}

func (s *Server) showInvitation(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.Invitation], error) {
	found, err := s.Desk.Invitation(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	return plain(invitationOf(found)), nil
}

type createInvitationInput struct {
	Repeatable
	Body wire.InvitationCreate
}

func (s *Server) createInvitation(ctx context.Context, c *Caller, in *createInvitationInput) (*plainAnswer[wire.InvitationSent], error) {
	b := in.Body
	n := life.NewInvitation{Address: b.Email, Name: b.Name, Locale: b.Locale, Life: time.Duration(b.ExpiresIn) * time.Second, Link: s.handsOver(b.Deliver)}
	for _, group := range b.Groups {
		n.Containers = append(n.Containers, life.Containment{Container: group})
	}
	if b.Organization != "" {
		n.Containers = append(n.Containers, life.Containment{Container: b.Organization, Relation: b.Relation})
	}
	made, err := repeatable(ctx, s, c, in.Repeatable, "create-invitation", "", b, func(tx *db.Tx) (wire.InvitationSent, error) {
		i, link, err := s.Desk.InviteTx(tx, c.By, n)
		return invitationSent(c, i, link), err
	})
	if err != nil {
		return nil, err
	}
	return plain(made), nil
}

type sendInvitationInput struct {
	Repeatable
	ByID
	Body wire.InvitationSend
}

func (s *Server) sendInvitation(ctx context.Context, c *Caller, in *sendInvitationInput) (*plainAnswer[wire.InvitationSent], error) {
	made, err := repeatable(ctx, s, c, in.Repeatable, "send-invitation", in.ID, in.Body, func(tx *db.Tx) (wire.InvitationSent, error) {
		i, link, err := s.Desk.ResendTx(tx, c.By, in.ID, time.Duration(in.Body.ExpiresIn)*time.Second, s.handsOver(in.Body.Deliver))
		return invitationSent(c, i, link), err
	})
	if err != nil {
		return nil, err
	}
	return plain(made), nil
}

func (s *Server) withdrawInvitation(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.Desk.Withdraw(ctx, c.By, c.Realm.Name, in.ID)
}

// handsOver reports whether a link is for the operator to hand over: because
// they want that, or because there is no mail.
func (s *Server) handsOver(deliver string) bool {
	return deliver == "link" || deliver == "" && !s.Desk.Mail()
}

func invitationSent(c *Caller, i *life.Invitation, link secret.Text) wire.InvitationSent {
	if i == nil {
		return wire.InvitationSent{}
	}
	sent := wire.InvitationSent{Invitation: invitationOf(i)}
	if link != "" {
		shown := secretLink(c.Realm, "/invitation", string(link), i.Expires)
		sent.Link = &shown
	}
	return sent
}

func invitationOf(i *life.Invitation) wire.Invitation {
	out := wire.Invitation{ID: i.ID, Email: i.Address, Name: i.Name, Locale: i.Locale, Groups: []string{}, State: string(i.State), InvitedBy: i.By, User: i.Person,
		CreatedAt: i.Created.UTC(), ExpiresAt: i.Expires.UTC(), EndedAt: optional(i.Ended)}
	for _, in := range i.Containers {
		out.Groups = append(out.Groups, in.Container)
	}
	return out
}

// mailPasswordLink has a user sent a link that nobody but they see.
func (s *Server) mailPasswordLink(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	if _, err := s.touchable(ctx, c, in.ID, "person"); err != nil {
		return nil, err
	}
	return nil, s.Desk.MailPasswordLink(ctx, c.By, c.Realm.Name, in.ID)
}
