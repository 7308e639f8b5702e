package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cardea-id/cardea/e2e/live"
	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// fillBatch is how many people one transaction makes.
const fillBatch = 500

// fill makes n people, each with an address, an offline grant and a refresh
// token, in an installation that does not run. It goes through the same cores
// as the server, so that what it leaves is what years of use would leave:
// rows, indexes and events.
func fill(ctx context.Context, w io.Writer, s *live.Server, n int) error {
	env := map[string]string{}
	for _, pair := range s.Env() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	settings, err := config.Load(config.Input{Getenv: func(name string) string { return env[name] }})
	if err != nil {
		return err
	}
	a, err := app.New(ctx, app.Config{Settings: settings, Quiet: true})
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.Start(ctx); err != nil {
		return err
	}
	began := time.Now()
	by := audit.System
	const clientID = "bench-fill"
	err = a.DB.Update(ctx, realm.Default, func(tx *db.Tx) error {
		_, err := a.Clients.CreateTx(tx, by, client.Draft{ID: clientID, Settings: client.Settings{
			Name: "Fill", Type: client.Web, FirstParty: true, RedirectURIs: []string{"https://fill.example/callback"},
			GrantTypes: []string{client.AuthorizationCode, client.RefreshToken}, Scopes: []string{"openid", "offline_access"},
		}})
		return err
	})
	if err != nil {
		return err
	}
	for done := 0; done < n; done += fillBatch {
		size := min(fillBatch, n-done)
		slots := make([]grant.Slot, size)
		for i := range slots {
			if slots[i], err = a.Grants.Reserve(ctx, realm.Default, grant.ForGrants); err != nil {
				return err
			}
		}
		err = a.DB.UpdateRC(ctx, realm.Default, func(tx *db.Tx) error {
			for i, slot := range slots {
				person, err := principal.CreateTx(tx, by, principal.New{
					Kind: principal.Person, DisplayName: fmt.Sprintf("Person %d", done+i),
					Emails: []principal.Email{{Address: fmt.Sprintf("person%d@fill.example", done+i), Verified: true, Primary: true}},
				})
				if err != nil {
					return err
				}
				if _, _, err := a.Grants.CreateTx(tx, by, slot, grant.New{
					Kind: grant.Authorization, Principal: person.ID, Client: clientID, Offline: true, Refresh: true,
					Scopes: []string{"openid", "offline_access"}, AuthTime: tx.Now,
				}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\n%d people, each with a grant and a refresh token, made in %.0f s.\n", n, time.Since(began).Seconds())
	return nil
}
