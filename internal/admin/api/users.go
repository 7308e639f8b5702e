package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

type listUsersInput struct {
	Paging
	Q     string `query:"q" maxLength:"200" doc:"Users whose username, display name or address begins with it."`
	State string `query:"state" enum:"active,suspended,deleted"`
}

func (s *Server) listUsers(ctx context.Context, c *Caller, in *listUsersInput) (*page[wire.User], error) {
	found, next, err := s.People.List(ctx, c.Realm.Name, principal.Filter{Kind: principal.Person, State: principal.State(in.State), Search: in.Q}, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, userOf), nil
}

type createUserInput struct{ Body wire.UserCreate }

func (s *Server) createUser(ctx context.Context, c *Caller, in *createUserInput) (*answer[wire.User], error) {
	b := in.Body
	n := principal.New{Kind: principal.Person, Name: b.Username, DisplayName: b.DisplayName, Locale: b.Locale, Profile: profileIn(b.Profile), ExpiresAt: given(b.ExpiresAt)}
	for _, e := range b.Emails {
		n.Emails = append(n.Emails, principal.Email(e))
	}
	p, err := s.People.Create(ctx, c.By, c.Realm.Name, n)
	if err != nil {
		return nil, err
	}
	return versioned(userOf(p), p.Version), nil
}

// showUser also finds a user by username or e-mail address.
func (s *Server) showUser(ctx context.Context, c *Caller, in *ByID) (*answer[wire.User], error) {
	p, err := s.userBy(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	due, err := s.Desk.Leaving(ctx, c.Realm.Name, p.ID)
	if err != nil {
		return nil, err
	}
	u := userOf(p)
	u.DeletesAt = optional(due)
	return versioned(u, p.Version), nil
}

func (s *Server) userBy(ctx context.Context, c *Caller, name string) (*principal.Principal, error) {
	if principal.ValidID(name) {
		return s.one(ctx, c, name, principal.Person)
	}
	return s.People.ByIdentifier(ctx, c.Realm.Name, name)
}

// named is the id of a living principal, which a user's username or address
// names too.
func (s *Server) named(ctx context.Context, c *Caller, name string, kind principal.Kind) (string, error) {
	if kind == principal.Person && !principal.ValidID(name) {
		found, err := s.userBy(ctx, c, name)
		if err != nil {
			return "", err
		}
		name = found.ID
	}
	_, err := s.living(ctx, c, name, kind)
	return name, err
}

type updateUserInput struct {
	ByID
	Matching
	Body wire.UserUpdate
}

func (s *Server) updateUser(ctx context.Context, c *Caller, in *updateUserInput) (*answer[wire.User], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	if _, err := s.touchable(ctx, c, in.ID, principal.Person); err != nil {
		return nil, err
	}
	b := in.Body
	change := principal.Change{Name: b.Username, DisplayName: b.DisplayName, Locale: b.Locale, ExpiresAt: b.ExpiresAt}
	if b.Profile != nil {
		p := profileIn(*b.Profile)
		change.Profile = &p
	}
	p, err := s.People.Update(ctx, c.By, c.Realm.Name, in.ID, version, change)
	if err != nil {
		return nil, err
	}
	return versioned(userOf(p), p.Version), nil
}

func (s *Server) suspendUser(ctx context.Context, c *Caller, in *ByID) (*answer[wire.User], error) {
	p, err := s.suspend(ctx, c, in.ID, principal.Person)
	if err != nil {
		return nil, err
	}
	return versioned(userOf(p), p.Version), nil
}

func (s *Server) activateUser(ctx context.Context, c *Caller, in *ByID) (*answer[wire.User], error) {
	p, err := s.activate(ctx, c, in.ID, principal.Person)
	if err != nil {
		return nil, err
	}
	return versioned(userOf(p), p.Version), nil
}

func (s *Server) deleteUser(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	return nil, s.bury(ctx, c, in.ID, principal.Person)
}

type addEmailInput struct {
	ByID
	Body wire.Email
}

func (s *Server) addEmail(ctx context.Context, c *Caller, in *addEmailInput) (*answer[wire.User], error) {
	if _, err := s.touchable(ctx, c, in.ID, principal.Person); err != nil {
		return nil, err
	}
	if err := s.People.AddEmail(ctx, c.By, c.Realm.Name, in.ID, in.Body.Address, in.Body.Verified); err != nil {
		return nil, err
	}
	if in.Body.Primary {
		if err := s.People.SetPrimaryEmail(ctx, c.By, c.Realm.Name, in.ID, in.Body.Address); err != nil {
			return nil, err
		}
	}
	return s.showUser(ctx, c, &in.ByID)
}

// EmailInput names an address of a user.
type EmailInput struct {
	ByID
	Address string `path:"address" maxLength:"500"`
}

type updateEmailInput struct {
	EmailInput
	Body wire.EmailUpdate
}

func (s *Server) updateEmail(ctx context.Context, c *Caller, in *updateEmailInput) (*answer[wire.User], error) {
	if _, err := s.touchable(ctx, c, in.ID, principal.Person); err != nil {
		return nil, err
	}
	if v := in.Body.Verified; v != nil {
		if !*v {
			return nil, fault.New(fault.Invalid, "verified_invalid", "an address stays verified; remove it instead").WithField("verified", "can only become true")
		}
		if err := s.People.VerifyEmail(ctx, c.By, c.Realm.Name, in.ID, in.Address); err != nil {
			return nil, err
		}
	}
	if p := in.Body.Primary; p != nil && *p {
		if err := s.People.SetPrimaryEmail(ctx, c.By, c.Realm.Name, in.ID, in.Address); err != nil {
			return nil, err
		}
	}
	return s.showUser(ctx, c, &in.ByID)
}

func (s *Server) removeEmail(ctx context.Context, c *Caller, in *EmailInput) (*answer[wire.User], error) {
	if _, err := s.touchable(ctx, c, in.ID, principal.Person); err != nil {
		return nil, err
	}
	if err := s.People.RemoveEmail(ctx, c.By, c.Realm.Name, in.ID, in.Address); err != nil {
		return nil, err
	}
	return s.showUser(ctx, c, &in.ByID)
}

func userOf(p *principal.Principal) wire.User {
	u := wire.User{ID: p.ID, Username: p.Name, DisplayName: p.DisplayName, State: string(p.State), Locale: p.Locale, Profile: profileOut(p.Profile),
		ExpiresAt: optional(p.ExpiresAt), Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Emails: []wire.Email{}}
	for _, e := range p.Emails {
		u.Emails = append(u.Emails, wire.Email(e))
	}
	return u
}

func profileIn(p wire.Profile) principal.Profile {
	return principal.Profile{GivenName: p.GivenName, FamilyName: p.FamilyName, MiddleName: p.MiddleName, Nickname: p.Nickname,
		Profile: p.Profile, Picture: p.Picture, Website: p.Website, Gender: p.Gender, Birthdate: p.Birthdate, Zoneinfo: p.Zoneinfo,
		PhoneNumber: p.PhoneNumber, PhoneNumberVerified: p.PhoneNumberVerified, Address: principal.Address(p.Address)}
}

func profileOut(p principal.Profile) wire.Profile {
	return wire.Profile{GivenName: p.GivenName, FamilyName: p.FamilyName, MiddleName: p.MiddleName, Nickname: p.Nickname,
		Profile: p.Profile, Picture: p.Picture, Website: p.Website, Gender: p.Gender, Birthdate: p.Birthdate, Zoneinfo: p.Zoneinfo,
		PhoneNumber: p.PhoneNumber, PhoneNumberVerified: p.PhoneNumberVerified, Address: wire.Address(p.Address)}
}
