package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
)

func (s *Server) showOwnRealm(_ context.Context, c *Caller, _ *nothing) (*answer[wire.Realm], error) {
	return versioned(realmOf(c.Realm), c.Realm.Version), nil
}

type updateOwnRealmInput struct {
	Matching
	Body wire.RealmUpdate
}

// updateOwnRealm changes everything but the host: hosts are names that all
// realms share, so that only the default realm gives them out. Sending the
// present one changes nothing.
func (s *Server) updateOwnRealm(ctx context.Context, c *Caller, in *updateOwnRealmInput) (*answer[wire.Realm], error) {
	if h := in.Body.Host; h != nil && c.Realm.Name != realm.Default {
		if *h != c.Realm.Host {
			return nil, fault.New(fault.Forbidden, "not_permitted", "only operators of the default realm change a realm's host").
				WithField("host", "is given by the default realm")
		}
		in.Body.Host = nil
	}
	return s.changeRealm(ctx, c, c.Realm.Name, in.Matching, in.Body)
}

func (s *Server) listRealms(ctx context.Context, c *Caller, in *Paging) (*page[wire.Realm], error) {
	found, next, err := s.Realms.List(ctx, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, realmOf), nil
}

type createRealmInput struct{ Body wire.RealmCreate }

func (s *Server) createRealm(ctx context.Context, c *Caller, in *createRealmInput) (*answer[wire.RealmCreated], error) {
	b := in.Body
	made, err := s.Realms.Create(ctx, c.By, realm.New{Name: b.Name, DisplayName: b.DisplayName, Host: b.Host, Settings: realmSettingsIn(b.Settings)})
	if err != nil {
		return nil, err
	}
	link, err := s.setupLink(ctx, c, made)
	if err != nil {
		return nil, err
	}
	return versioned(wire.RealmCreated{Realm: realmOf(made), Setup: link}, made.Version), nil
}

// RealmInput names a realm.
type RealmInput struct {
	Name string `path:"name" maxLength:"40"`
}

func (s *Server) showRealm(ctx context.Context, c *Caller, in *RealmInput) (*answer[wire.Realm], error) {
	found, err := s.Realms.ByName(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return versioned(realmOf(found), found.Version), nil
}

type updateRealmInput struct {
	RealmInput
	Matching
	Body wire.RealmUpdate
}

func (s *Server) updateRealm(ctx context.Context, c *Caller, in *updateRealmInput) (*answer[wire.Realm], error) {
	return s.changeRealm(ctx, c, in.Name, in.Matching, in.Body)
}

func (s *Server) deleteRealm(ctx context.Context, c *Caller, in *RealmInput) (*nothing, error) {
	return nil, s.Realms.Delete(ctx, c.By, in.Name)
}

func (s *Server) makeSetupLink(ctx context.Context, c *Caller, in *RealmInput) (*plainAnswer[wire.SecretLink], error) {
	found, err := s.Realms.ByName(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	link, err := s.setupLink(ctx, c, found)
	if err != nil {
		return nil, err
	}
	return plain(link), nil
}

func (s *Server) setupLink(ctx context.Context, c *Caller, r *realm.Realm) (wire.SecretLink, error) {
	link, expires, err := s.Operators.SetupLink(ctx, c.By, r.Name)
	if err != nil {
		return wire.SecretLink{}, err
	}
	return secretLink(r, "/setup", string(link), expires), nil
}

// secretLink is an address that works once. The link is a query parameter, as
// pages without scripts need; it is worth nothing once it was used.
func secretLink(r *realm.Realm, path, link string, expires time.Time) wire.SecretLink {
	return wire.SecretLink{URL: r.Issuer + path + "?link=" + link, ExpiresAt: expires.UTC()}
}

func (s *Server) changeRealm(ctx context.Context, c *Caller, name string, m Matching, b wire.RealmUpdate) (*answer[wire.Realm], error) {
	version, err := m.version()
	if err != nil {
		return nil, err
	}
	change := realm.Change{DisplayName: b.DisplayName, Host: b.Host}
	if b.Settings != nil {
		change.Settings = realmSettingsIn(*b.Settings)
	}
	for _, name := range b.Reset {
		if change.Settings == nil {
			change.Settings = map[string]any{}
		}
		change.Settings[name] = nil
	}
	changed, err := s.Realms.Update(ctx, c.By, name, version, change)
	if err != nil {
		return nil, err
	}
	return versioned(realmOf(changed), changed.Version), nil
}

func realmOf(r *realm.Realm) wire.Realm {
	return wire.Realm{Name: r.Name, DisplayName: r.DisplayName, Host: r.Host, Issuer: r.Issuer, Settings: realmSettingsOut(r.Settings),
		Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

// realmSettingsIn names the settings that were sent. The wire type and the
// realm's know each setting by the same name, which a test holds them to.
func realmSettingsIn(w wire.RealmSettings) map[string]any {
	data, err := json.Marshal(w)
	named := map[string]any{}
	if err == nil {
		err = json.Unmarshal(data, &named)
	}
	if err != nil {
		panic(fmt.Sprintf("realm settings are plain JSON: %v", err))
	}
	return named
}

func realmSettingsOut(s realm.Settings) (w wire.RealmSettings) {
	data, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(data, &w)
	}
	if err != nil {
		panic(fmt.Sprintf("realm settings are plain JSON: %v", err))
	}
	return w
}
