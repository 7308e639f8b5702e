package api

import (
	"context"
	"errors"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
)

type listEventsInput struct {
	Paging
	Action string    `query:"action" maxLength:"100" doc:"Events whose action begins with it, such as client."`
	Actor  string    `query:"actor" maxLength:"64" doc:"What this principal did."`
	Target string    `query:"target" maxLength:"100" doc:"What was done to this."`
	Since  time.Time `query:"since"`
	Until  time.Time `query:"until"`
	Deeds  bool      `query:"deeds" doc:"Leave out activity.segment and decision.segment, which say that activity and decisions were written down. A page may then hold less than its limit while more follow."`
}

// listEvents gives the newest first.
func (s *Server) listEvents(ctx context.Context, c *Caller, in *listEventsInput) (*page[wire.Event], error) {
	found, next, err := s.Log.Query(ctx, c.Realm.Name, audit.Filter{Action: in.Action, Actor: in.Actor, Target: in.Target,
		Since: in.Since, Until: in.Until, Deeds: in.Deeds, Before: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return paged(found, next, eventOf), nil
}

// verifyEvents reads the whole log of the realm again.
func (s *Server) verifyEvents(ctx context.Context, c *Caller, _ *nothing) (*plainAnswer[wire.LogVerified], error) {
	v, err := s.Log.Verify(ctx, c.Realm.Name)
	var f *fault.Error
	if errors.As(err, &f) || ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		return plain(wire.LogVerified{Problem: err.Error()}), nil
	}
	return plain(wire.LogVerified{Intact: true, Size: v.Size, Root: v.Root.String(), Checkpoints: v.Checkpoints}), nil
}

func eventOf(r audit.Record) wire.Event {
	return wire.Event{ID: r.ID, Position: r.Position.String(), At: r.At, Action: r.Action, TargetType: r.TargetType, Target: r.Target, Data: r.Data,
		Actor: wire.Actor{Kind: r.Actor.Kind, ID: r.Actor.ID, Client: r.Actor.Client, Session: r.Actor.Session, IP: r.Actor.IP, UserAgent: r.Actor.UserAgent}}
}
