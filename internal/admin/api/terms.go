package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/identity/terms"
)

func (s *Server) listTerms(ctx context.Context, c *Caller, in *Paging) (*page[wire.Terms], error) {
	found, next, err := s.Terms.List(ctx, c.Realm.Name, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, termsOf), nil
}

func (s *Server) showTerms(ctx context.Context, c *Caller, in *ByID) (*plainAnswer[wire.Terms], error) {
	v, err := s.Terms.ByID(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	return plain(termsOf(v)), nil
}

type createTermsInput struct{ Body wire.TermsCreate }

func (s *Server) createTerms(ctx context.Context, c *Caller, in *createTermsInput) (*plainAnswer[wire.Terms], error) {
	b := in.Body
	v, err := s.Terms.Create(ctx, c.By, c.Realm.Name, terms.New{Document: b.Document, Version: b.Version, Title: b.Title, Link: b.Link, Text: b.Text, Effective: given(b.EffectiveAt)})
	if err != nil {
		return nil, err
	}
	return plain(termsOf(v)), nil
}

func (s *Server) withdrawTerms(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.Terms.Withdraw(ctx, c.By, c.Realm.Name, in.ID)
}

type listAcceptancesInput struct {
	ByID
	Paging
}

func (s *Server) listAcceptances(ctx context.Context, c *Caller, in *listAcceptancesInput) (*page[wire.TermsAcceptance], error) {
	if _, err := s.Terms.ByID(ctx, c.Realm.Name, in.ID); err != nil {
		return nil, err
	}
	found, next, err := s.Terms.Acceptances(ctx, c.Realm.Name, in.ID, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, acceptanceOf), nil
}

func (s *Server) listUserTerms(ctx context.Context, c *Caller, in *ByID) (*page[wire.TermsAcceptance], error) {
	found, err := s.Terms.AcceptedBy(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	return paged(found, "", acceptanceOf), nil
}

func termsOf(v *terms.Version) wire.Terms {
	return wire.Terms{ID: v.ID, Document: v.Document, Version: v.Version, Title: v.Title, Link: v.Link, Text: v.Text, EffectiveAt: v.Effective.UTC(),
		WithdrawnAt: optional(v.Withdrawn), CreatedAt: v.Created.UTC()}
}

func acceptanceOf(a terms.Acceptance) wire.TermsAcceptance {
	return wire.TermsAcceptance{User: a.Person, Terms: a.Terms, AcceptedAt: a.At.UTC()}
}
