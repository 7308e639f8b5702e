package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/identity/trust"
)

func (s *Server) listIssuers(ctx context.Context, c *Caller, in *Paging) (*page[wire.TrustedIssuer], error) {
	found, next, err := s.Trust.List(ctx, c.Realm.Name, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, issuerOf), nil
}

type createIssuerInput struct{ Body wire.TrustedIssuerSettings }

func (s *Server) createIssuer(ctx context.Context, c *Caller, in *createIssuerInput) (*answer[wire.TrustedIssuer], error) {
	made, err := s.Trust.Create(ctx, c.By, c.Realm.Name, issuerIn(in.Body))
	if err != nil {
		return nil, err
	}
	return versioned(issuerOf(made), made.Version), nil
}

func (s *Server) showIssuer(ctx context.Context, c *Caller, in *ByID) (*answer[wire.TrustedIssuer], error) {
	found, err := s.Trust.ByID(ctx, c.Realm.Name, in.ID)
	if err != nil {
		return nil, err
	}
	return versioned(issuerOf(found), found.Version), nil
}

type replaceIssuerInput struct {
	ByID
	Matching
	Body wire.TrustedIssuerSettings
}

func (s *Server) replaceIssuer(ctx context.Context, c *Caller, in *replaceIssuerInput) (*answer[wire.TrustedIssuer], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	changed, err := s.Trust.Update(ctx, c.By, c.Realm.Name, in.ID, version, issuerIn(in.Body))
	if err != nil {
		return nil, err
	}
	return versioned(issuerOf(changed), changed.Version), nil
}

func (s *Server) deleteIssuer(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.Trust.Delete(ctx, c.By, c.Realm.Name, in.ID, s.ender(c, "its issuer is not trusted any more"))
}

// ender ends a credential with all that was born of it.
func (s *Server) ender(c *Caller, reason string) trust.End {
	return func(ctx context.Context, credential string) error {
		return s.Grants.RevokeCredential(ctx, c.By, c.Realm.Name, credential, reason, nil)
	}
}

type listSubjectsInput struct {
	ByID
	Paging
}

func (s *Server) listSubjects(ctx context.Context, c *Caller, in *listSubjectsInput) (*page[wire.TrustedSubject], error) {
	if _, err := s.Trust.ByID(ctx, c.Realm.Name, in.ID); err != nil {
		return nil, err
	}
	found, next, err := s.Trust.Links(ctx, c.Realm.Name, in.ID, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, subjectOf), nil
}

type linkSubjectInput struct {
	ByID
	Body wire.TrustedSubjectCreate
}

// linkSubject lets the issuer speak for a principal, which the caller must be
// allowed to touch: the issuer can act as it then.
func (s *Server) linkSubject(ctx context.Context, c *Caller, in *linkSubjectInput) (*plainAnswer[wire.TrustedSubject], error) {
	if err := s.Operators.MayTouch(ctx, c.By, c.Realm.Name, in.Body.Principal); err != nil {
		return nil, err
	}
	made, err := s.Trust.Link(ctx, c.By, c.Realm.Name, in.ID, in.Body.Subject, in.Body.Principal)
	if err != nil {
		return nil, err
	}
	return plain(subjectOf(made)), nil
}

type unlinkSubjectInput struct {
	ByID
	Link string `path:"link" maxLength:"64"`
}

func (s *Server) unlinkSubject(ctx context.Context, c *Caller, in *unlinkSubjectInput) (*nothing, error) {
	l, err := s.Trust.LinkByID(ctx, c.Realm.Name, in.ID, in.Link)
	if err != nil {
		return nil, err
	}
	if err := s.Operators.MayTouch(ctx, c.By, c.Realm.Name, l.Principal); err != nil {
		return nil, err
	}
	return nil, s.Trust.Unlink(ctx, c.By, c.Realm.Name, l, s.ender(c, "unlinked by an operator"))
}

func issuerIn(w wire.TrustedIssuerSettings) trust.Settings {
	s := trust.Settings{Name: w.Name, Issuer: w.Issuer, JWKS: w.JWKS, JWKSURI: w.JWKSURI, Algorithms: w.Algorithms,
		Audiences: w.Audiences, Scopes: w.Scopes, LinkByEmail: w.LinkByEmail, MaxLife: w.MaxLife}
	for _, u := range w.Uses {
		s.Uses = append(s.Uses, trust.Use(u))
	}
	return s
}

func issuerOf(i *trust.Issuer) wire.TrustedIssuer {
	w := wire.TrustedIssuer{ID: i.ID, Relaxed: i.Relaxed(), Version: i.Version, CreatedAt: i.Created, UpdatedAt: i.Updated, TrustedIssuerSettings: wire.TrustedIssuerSettings{
		Name: i.Name, Issuer: i.Settings.Issuer, JWKS: i.JWKS, JWKSURI: i.JWKSURI, Algorithms: i.Algorithms,
		Audiences: i.Audiences, Scopes: i.Scopes, LinkByEmail: i.LinkByEmail, MaxLife: i.MaxLife}}
	for _, u := range i.Uses {
		w.Uses = append(w.Uses, string(u))
	}
	return w
}

func subjectOf(l *trust.Link) wire.TrustedSubject {
	return wire.TrustedSubject{ID: l.ID, Subject: l.Subject, Principal: l.Principal, CreatedAt: l.Created}
}
