package app

import (
	"context"
	"time"
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
