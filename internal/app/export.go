package app

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

// exportTerms lists what a person accepted, for what they take along.
func (a *App) exportTerms(ctx context.Context, realm, person string, item func(any) error) error {
	type exported struct {
		Document string    `json:"document"`
		Version  string    `json:"version"`
		Title    string    `json:"title"`
		At       time.Time `json:"accepted_at"`
	}
	all, err := a.Terms.AcceptedBy(ctx, realm, person)
	if err != nil {
		return err
	}
	for _, one := range all {
		v, err := a.Terms.ByID(ctx, realm, one.Terms)
		if err != nil {
			return err
		}
		if err := item(exported{v.Document, v.Version, v.Title, one.At}); err != nil {
			return err
		}
	}
	return nil
}

// exportProofs lists what a person signs in with.
func (a *App) exportProofs(ctx context.Context, realm, person string, item func(any) error) error {
	type exported struct {
		Type   string     `json:"type"`
		Name   string     `json:"name,omitempty"`
		Device string     `json:"device,omitempty"`
		Added  time.Time  `json:"added_at"`
		Used   *time.Time `json:"last_used_at,omitempty"`
	}
	all, err := a.Credentials.List(ctx, realm, person)
	if err != nil {
		return err
	}
	for _, c := range all {
		e := exported{Type: string(c.Type), Name: c.Name, Added: c.CreatedAt}
		if info, ok := c.Passkey(); ok {
			e.Device = info.Model
		}
		if !c.LastUsedAt.IsZero() {
			e.Used = &c.LastUsedAt
		}
		if err := item(e); err != nil {
			return err
		}
	}
	return nil
}

// exportMemberships lists the groups and organizations that a person is in.
func (a *App) exportMemberships(ctx context.Context, realm, person string, item func(any) error) error {
	type exported struct {
		Kind     string    `json:"kind"`
		Name     string    `json:"name,omitempty"`
		Title    string    `json:"title,omitempty"`
		Relation string    `json:"relation"`
		Since    time.Time `json:"since"`
	}
	for after := ""; ; {
		page, next, err := a.People.Containers(ctx, realm, person, after, 100)
		if err != nil {
			return err
		}
		for _, m := range page {
			in, err := a.People.ByID(ctx, realm, m.Container)
			if fault.Is(err, fault.NotFound) {
				continue // gone meanwhile
			}
			if err != nil {
				return err
			}
			if err := item(exported{string(in.Kind), in.Name, in.DisplayName, m.Relation, m.Since}); err != nil {
				return err
			}
		}
		if after = next; after == "" {
			return nil
		}
	}
}
