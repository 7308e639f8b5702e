package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/identity/risk"
)

type listIncidentsInput struct {
	Paging
	State    string `query:"state" enum:"open,closed" doc:"Incidents in this state."`
	User     string `query:"user" maxLength:"64" doc:"Incidents about this user's id."`
	Detector string `query:"detector" maxLength:"64" doc:"Incidents that this detector opened."`
}

// listIncidents gives the newest first.
func (s *Server) listIncidents(ctx context.Context, c *Caller, in *listIncidentsInput) (*page[wire.Incident], error) {
	found, next, err := s.Risk.Incidents(ctx, c.Realm.Name, risk.Filter{State: risk.State(in.State), Principal: in.User, Detector: in.Detector}, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, incidentOf), nil
}

func (s *Server) showIncident(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.Incident], error) {
	return incidentShown(s.Risk.Incident(ctx, c.Realm.Name, in.ID))
}

type incidentEventsInput struct {
	ByID
	Paging
}

func (s *Server) listIncidentEvents(ctx context.Context, c *Caller, in *incidentEventsInput) (*page[wire.Event], error) {
	found, next, err := s.Risk.Timeline(ctx, c.Realm.Name, in.ID, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, eventOf), nil
}

type closeIncidentInput struct {
	ByID
	Body wire.IncidentClose
}

// closeIncident lets in again whom it kept out, which is nobody with more rights
// than the caller.
func (s *Server) closeIncident(ctx context.Context, c *Caller, in *closeIncidentInput) (*plainAnswer[wire.Incident], error) {
	i, err := s.Risk.Incident(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.Operators.MayTouch(ctx, c.By, c.Realm.Name, i.Principal); err != nil {
		return nil, err
	}
	return incidentShown(s.Risk.Close(ctx, c.By, c.Realm.Name, in.ID, in.Body.Note))
}

func incidentShown(i *risk.Incident, err error) (*plainAnswer[wire.Incident], error) {
	if err != nil {
		return nil, err
	}
	return plain(incidentOf(i)), nil
}

func incidentOf(i *risk.Incident) wire.Incident {
	return wire.Incident{ID: i.ID, State: string(i.State), User: i.Principal, Network: i.Network, Detector: i.Detector, Reason: i.Reason, Args: i.Args,
		Findings: i.Findings, OpenedAt: i.Opened, LastAt: i.Last, ClosedAt: optional(i.Closed), ClosedBy: i.ClosedBy, Note: i.Note}
}
