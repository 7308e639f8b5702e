package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// seedBatch is how much one transaction makes.
const seedBatch = 500

// seedClient is the client that seeded grants are given to.
const seedClient = "seed"

func (c *console) seedCommand() *cobra.Command {
	var people, grants int
	var name string
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Fill a development database with people and grants, to measure with",
		Long: `Makes people seed-1, seed-2 … who cannot sign in, and grants with refresh tokens that
nobody has, spread over them. What is there already counts, so that it can be run again
with larger numbers. On SQLite it runs while the server does not.`,
		Example: "  cardea seed --principals 1000000 --grants 1000000",
		Args:    cobra.NoArgs,
	}
	s := addSettings(cmd)
	cmd.Flags().IntVar(&people, "principals", 1000, "how many people there shall be")
	cmd.Flags().IntVar(&grants, "grants", 1000, "how many grants there shall be")
	cmd.Flags().StringVar(&name, "realm", realm.Default, "realm to fill")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, s)
		if err != nil {
			return err
		}
		if cfg.Production() {
			return errors.New("this is a production configuration; seed is for measuring on a machine of your own")
		}
		if grants > 0 && people < 1 {
			return errors.New("grants need at least one principal")
		}
		a, err := app.New(cmd.Context(), app.Config{Settings: cfg, Version: version, Output: io.Discard, Quiet: true})
		if err != nil {
			return err
		}
		defer a.Close()
		if err := a.Start(cmd.Context()); err != nil {
			return err
		}
		return (&seeder{app: a, realm: name, say: c.err}).run(cmd.Context(), people, grants)
	}
	return cmd
}

// seeder fills one realm.
type seeder struct {
	app   *app.App
	realm string
	say   io.Writer
}

func (s *seeder) run(ctx context.Context, people, grants int) error {
	began := time.Now()
	ids, err := s.people(ctx, people)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.say, "%d people after %s\n", len(ids), time.Since(began).Round(time.Millisecond))
	if err := s.grants(ctx, ids, grants); err != nil {
		return err
	}
	fmt.Fprintf(s.say, "%d grants after %s\n", grants, time.Since(began).Round(time.Millisecond))
	return nil
}

// people makes sure that there are n of them, and gives their ids.
func (s *seeder) people(ctx context.Context, n int) ([]string, error) {
	var ids []string
	for after := ""; ; {
		page, next, err := s.app.People.List(ctx, s.realm, principal.Filter{Kind: principal.Person}, after, 500)
		if err != nil {
			return nil, err
		}
		for _, p := range page {
			if strings.HasPrefix(p.Name, "seed-") {
				ids = append(ids, p.ID)
			}
		}
		if after = next; next == "" {
			break
		}
	}
	for len(ids) < n {
		var made []string
		err := s.app.DB.Update(ctx, s.realm, func(tx *db.Tx) error {
			made = made[:0]
			for i := len(ids); i < min(n, len(ids)+seedBatch); i++ {
				p, err := principal.CreateTx(tx, audit.System, principal.New{Kind: principal.Person, Name: fmt.Sprintf("seed-%d", i+1)})
				if err != nil {
					return err
				}
				made = append(made, p.ID)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		ids = append(ids, made...)
	}
	return ids[:n], nil
}

// grants makes sure that the seed client has n grants.
func (s *seeder) grants(ctx context.Context, people []string, n int) error {
	_, err := s.app.Clients.Create(ctx, audit.System, s.realm, client.Draft{ID: seedClient, Settings: client.Settings{
		Name: "Seed", Type: client.Web, FirstParty: true, RedirectURIs: []string{"https://seed.example/callback"},
		GrantTypes: []string{client.AuthorizationCode, client.RefreshToken}, Scopes: []string{"openid", "offline_access"}}})
	if err != nil && !fault.Is(err, fault.Conflict) {
		return err
	}
	have := 0
	for f := (grant.Filter{Client: seedClient}); ; {
		page, next, err := s.app.Grants.List(ctx, s.realm, f, 200)
		if err != nil {
			return err
		}
		have += len(page)
		if f.After = next; next == "" {
			break
		}
	}
	for have < n {
		count := min(seedBatch, n-have)
		slots := make([]grant.Slot, count)
		for i := range slots {
			if slots[i], err = s.app.Grants.Reserve(ctx, s.realm, grant.ForGrants); err != nil {
				return err
			}
		}
		err := s.app.DB.Update(ctx, s.realm, func(tx *db.Tx) error {
			for i, slot := range slots {
				_, _, err := s.app.Grants.CreateTx(tx, audit.System, slot, grant.New{Kind: grant.Authorization, Principal: people[(have+i)%len(people)],
					Client: seedClient, Offline: true, Refresh: true, Scopes: []string{"openid", "offline_access"}, Audience: []string{"https://seed.example"}})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		have += count
	}
	return nil
}
