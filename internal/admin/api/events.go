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

type verifyEventsInput struct {
	After string `query:"after" maxLength:"8192" doc:"next of the step before."`
}

// verifyEvents reads the log of the realm again, in steps that a request has time for.
func (s *Server) verifyEvents(ctx context.Context, c *Caller, in *verifyEventsInput) (*plainAnswer[wire.LogVerified], error) {
	v, next, err := s.Log.VerifyStep(ctx, c.Realm.Name, in.After)
	out := wire.LogVerified{Intact: err == nil && next == "", Size: v.Size, Of: v.Of, Checkpoints: v.Checkpoints, Segments: v.Segments, Forgotten: v.Forgotten, Next: next}
	var f *fault.Error
	switch {
	case errors.As(err, &f) || ctx.Err() != nil:
		return nil, err
	case err != nil:
		out.Problem = err.Error()
	case out.Intact:
		out.Root = v.Root.String()
	}
	return plain(out), nil
}

type listActivityInput struct {
	Paging
	Action  string    `query:"action" maxLength:"100" doc:"Activity whose action begins with it, such as token."`
	Actor   string    `query:"actor" maxLength:"255" doc:"What this principal or client did."`
	Target  string    `query:"target" maxLength:"255" doc:"What was done to this, or under this grant."`
	Client  string    `query:"client" maxLength:"255" doc:"What this client did or was refused, and which tokens it got."`
	Session string    `query:"session" maxLength:"64" doc:"What was done in this session."`
	IP      string    `query:"ip" maxLength:"64" doc:"What was done from this address."`
	JTI     string    `query:"jti" maxLength:"64" doc:"The issuance of the token with this jti."`
	Since   time.Time `query:"since"`
	Until   time.Time `query:"until" doc:"Activity before it."`
}

// listActivity gives the newest first. It reads a bounded part of what is kept, so
// that a page can be empty before the last.
func (s *Server) listActivity(ctx context.Context, c *Caller, in *listActivityInput) (*plainAnswer[wire.ActivityPage], error) {
	found, err := s.Log.Activities(ctx, c.Realm.Name, audit.ActivityFilter{Action: in.Action, Actor: in.Actor, Target: in.Target, Client: in.Client,
		Session: in.Session, IP: in.IP, JTI: in.JTI, Since: in.Since, Until: in.Until, After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := wire.ActivityPage{Items: []wire.Activity{}, Next: found.Next, Reached: optional(found.Reached), Unreadable: found.Unreadable}
	for i := range found.Records {
		out.Items = append(out.Items, activityOf(&found.Records[i]))
	}
	return plain(out), nil
}

func activityOf(a *audit.Activity) wire.Activity {
	out := wire.Activity{At: a.At, Action: a.Action, Actor: actorOf(a.Actor), Target: a.Target, Reason: a.Reason, Count: a.Count}
	for i := 0; i+1 < len(a.Data); i += 2 {
		if out.Data == nil {
			out.Data = map[string]string{}
		}
		out.Data[a.Data[i]] = a.Data[i+1]
	}
	return out
}

func actorOf(a audit.Actor) wire.Actor {
	return wire.Actor{Kind: a.Kind, ID: a.ID, Client: a.Client, Session: a.Session, IP: a.IP, UserAgent: a.UserAgent}
}

func eventOf(r audit.Record) wire.Event {
	return wire.Event{ID: r.ID, Position: r.Position.String(), At: r.At, Action: r.Action, TargetType: r.TargetType, Target: r.Target, Data: r.Data,
		Actor: actorOf(r.Actor)}
}
