package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/relation"
)

func (s *Server) listFactSources(ctx context.Context, c *Caller, _ *nothing) (*page[wire.FactSource], error) {
	all, err := s.Facts.Sources(ctx, c.Realm.Name)
	if err != nil {
		return nil, err
	}
	return paged(all, "", factSourceOf), nil
}

type putFactSourceInput struct{ Body wire.FactSourcePut }

func (s *Server) createFactSource(ctx context.Context, c *Caller, in *putFactSourceInput) (*answer[wire.FactSource], error) {
	made, err := s.Facts.CreateSource(ctx, c.By, c.Realm.Name, factSourceIn(in.Body))
	if err != nil {
		return nil, err
	}
	return versioned(factSourceOf(made), made.Version), nil
}

func (s *Server) showFactSource(ctx context.Context, c *Caller, in *ByID) (*answer[wire.FactSource], error) {
	found, err := s.Facts.SourceByID(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	return versioned(factSourceOf(found), found.Version), nil
}

type replaceFactSourceInput struct {
	ByID
	Matching
	Body wire.FactSourcePut
}

func (s *Server) replaceFactSource(ctx context.Context, c *Caller, in *replaceFactSourceInput) (*answer[wire.FactSource], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	changed, err := s.Facts.UpdateSource(ctx, c.By, c.Realm.Name, in.ID, version, factSourceIn(in.Body))
	if err != nil {
		return nil, err
	}
	return versioned(factSourceOf(changed), changed.Version), nil
}

func (s *Server) deleteFactSource(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.Facts.DeleteSource(ctx, c.By, c.Realm.Name, in.ID)
}

func (s *Server) pullFactSource(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.FactSourcePull], error) {
	job, err := s.Facts.PullNow(ctx, c.By, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	return plain(wire.FactSourcePull{Job: job}), nil
}

func factSourceIn(w wire.FactSourcePut) relation.Source {
	return relation.Source{Name: w.Name, Kind: w.Kind, URL: w.URL, Query: w.Query, Secret: w.Secret, Every: w.Every, Shrink: w.Shrink, Enabled: w.Enabled}
}

func factSourceOf(n *relation.Source) wire.FactSource {
	return wire.FactSource{ID: n.ID, Version: n.Version, DueAt: optional(n.Due), PulledAt: optional(n.Pulled), GoodAt: optional(n.Good), Failures: n.Failures, LastError: n.LastError,
		Facts: n.Facts, Added: n.Added, Removed: n.Removed, CreatedAt: n.Created, UpdatedAt: n.Updated,
		FactSourceSettings: wire.FactSourceSettings{Name: n.Name, Kind: n.Kind, URL: n.URL, Query: n.Query, Every: n.Every, Shrink: n.Shrink, Enabled: n.Enabled}}
}
