package api

import (
	"context"
	"strconv"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/fault"
)

func (s *Server) listFactImports(ctx context.Context, c *Caller, in *Paging) (*page[wire.FactImport], error) {
	found, next, err := s.Facts.Imports(ctx, c.Realm.Name, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, s.factImportOf), nil
}

type createFactImportInput struct{ Body wire.FactImportCreate }

func (s *Server) createFactImport(ctx context.Context, c *Caller, in *createFactImportInput) (*plainAnswer[wire.FactImport], error) {
	return s.factImportShown(s.Facts.CreateImport(ctx, c.By, c.Realm.Name, in.Body.Name))
}

func (s *Server) showFactImport(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.FactImport], error) {
	return s.factImportShown(s.Facts.ImportByID(ctx, c.Realm.Name, in.ID))
}

type putFactImportPartInput struct {
	ByID
	Part string `path:"part" maxLength:"8" doc:"Parts are numbered from 1 and written in that order."`
	Body wire.FactImportPart
}

func (s *Server) putFactImportPart(ctx context.Context, c *Caller, in *putFactImportPartInput) (*plainAnswer[wire.FactImportPartTaken], error) {
	part, err := strconv.ParseInt(in.Part, 10, 32)
	if err != nil {
		return nil, fault.New(fault.Invalid, "part_invalid", "a part is a number from 1")
	}
	n, err := s.Facts.PutPart(ctx, c.Realm.Name, in.ID, part, []byte(in.Body.Lines))
	if err != nil {
		return nil, err
	}
	return plain(wire.FactImportPartTaken{Facts: n}), nil
}

type startFactImportInput struct {
	ByID
	Body wire.FactImportStart
}

func (s *Server) startFactImport(ctx context.Context, c *Caller, in *startFactImportInput) (*plainAnswer[wire.FactImport], error) {
	return s.factImportShown(s.Facts.StartImport(ctx, c.By, c.Realm.Name, in.ID, in.Body.Parts))
}

func (s *Server) cancelFactImport(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.Facts.CancelImport(ctx, c.By, c.Realm.Name, in.ID)
}

func (s *Server) factImportShown(i *relation.Import, err error) (*plainAnswer[wire.FactImport], error) {
	if err != nil {
		return nil, err
	}
	return plain(s.factImportOf(i)), nil
}

func (s *Server) factImportOf(i *relation.Import) wire.FactImport {
	out := wire.FactImport{ID: i.ID, Name: i.Name, State: i.State, Parts: i.Parts, DoneParts: i.DoneParts, Facts: i.Facts, DoneFacts: i.DoneFacts, LastError: i.LastError,
		By: wire.Actor{Kind: i.By.Kind, ID: i.By.ID}, CreatedAt: i.Created.UTC(), UpdatedAt: i.Updated.UTC(), EndedAt: optional(i.Ended)}
	if i.State == relation.ImportDone {
		out.Revision = s.Log.Applied().String()
	}
	return out
}
