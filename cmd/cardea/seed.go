package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
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

const (
	seedBatch  = 500        // how much one transaction makes
	seedReport = 50_000     // how much is made between two lines of progress
	seedMost   = 10_000_000 // people, and grants
)

// seedClient is the client that seeded grants are given to.
const seedClient = "seed"

func (c *console) seedCommand() *cobra.Command {
	var people, grants int
	var name string
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Fill a development database with people and grants, to measure with",
		Long: `Makes people seed-1, seed-2 … who cannot sign in, and grants of a client seed with refresh
tokens that nobody has, spread over them. What is there already counts, so that it can be
run again with larger numbers, also after it was interrupted; nothing is ever taken away.
On SQLite it runs while the server does not. A configuration for production is refused.`,
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
		if err := seedable(people, grants); err != nil {
			return err
		}
		a, err := app.New(cmd.Context(), app.Config{Settings: cfg, Version: version, Output: io.Discard, Quiet: true})
		if err != nil {
			return err
		}
		defer a.Close()
		if err := a.Start(cmd.Context()); err != nil {
			return err
		}
		if _, err := a.Realms.ByName(cmd.Context(), name); err != nil {
			return err
		}
		s := &seeder{app: a, realm: name, say: c.err, every: seedReport, began: time.Now()}
		return s.run(cmd.Context(), people, grants)
	}
	return cmd
}

// seedable says what is wrong with the numbers asked for.
func seedable(people, grants int) error {
	for flag, n := range map[string]int{"principals": people, "grants": grants} {
		if n < 0 || n > seedMost {
			return fmt.Errorf("--%s must be between 0 and %d", flag, seedMost)
		}
	}
	if grants > 0 && people < 1 {
		return errors.New("grants need at least one principal")
	}
	return nil
}

// seeder fills one realm.
type seeder struct {
	app   *app.App
	realm string
	say   io.Writer
	every int // see seedReport
	began time.Time
}

func (s *seeder) run(ctx context.Context, people, grants int) error {
	ids, err := s.people(ctx, people)
	if err != nil {
		return err
	}
	have, err := s.grants(ctx, ids, grants)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.say, "realm %s has %d people and %d grants to measure with, after %s\n", s.realm, len(ids), have, s.took())
	return nil
}

func (s *seeder) took() time.Duration { return time.Since(s.began).Round(time.Millisecond) }

// report says how far it is, when that is further by a whole step.
func (s *seeder) report(what string, before, now, of int) {
	if before/s.every != now/s.every && now < of {
		fmt.Fprintf(s.say, "%d of %d %s after %s\n", now, of, what, s.took())
	}
}

// people makes sure that there are n of them, and gives the ids of all there are.
func (s *seeder) people(ctx context.Context, n int) ([]string, error) {
	var ids []string
	taken := map[string]bool{}
	for after := ""; ; {
		page, next, err := s.app.People.List(ctx, s.realm, principal.Filter{Kind: principal.Person}, after, 500)
		if err != nil {
			return nil, err
		}
		for _, p := range page {
			if number, ok := strings.CutPrefix(p.Name, seedName); ok && isNumber(number) {
				ids, taken[p.Name] = append(ids, p.ID), true
			}
		}
		if after = next; next == "" {
			break
		}
	}
	number := 0
	for len(ids) < n {
		var made []string
		last := number
		err := s.app.DB.Update(ctx, s.realm, func(tx *db.Tx) error {
			made, last = made[:0], number
			for len(made) < min(n-len(ids), seedBatch) {
				last++
				name := seedName + strconv.Itoa(last)
				if taken[name] {
					continue
				}
				p, err := principal.CreateTx(tx, audit.System, principal.New{Kind: principal.Person, Name: name})
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
		number = last
		s.report("people", len(ids), len(ids)+len(made), n)
		ids = append(ids, made...)
	}
	return ids, nil
}

// seedName begins the names of the people that are made.
const seedName = "seed-"

func isNumber(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && strconv.Itoa(n) == s
}

// grants makes sure that the seed client has n grants, and tells how many it has.
func (s *seeder) grants(ctx context.Context, people []string, n int) (have int, err error) {
	_, err = s.app.Clients.Create(ctx, audit.System, s.realm, client.Draft{ID: seedClient, Settings: client.Settings{
		Name: "Seed", Type: client.Web, FirstParty: true, RedirectURIs: []string{"https://seed.example/callback"},
		GrantTypes: []string{client.AuthorizationCode, client.RefreshToken}, Scopes: []string{"openid", "offline_access"}}})
	if err != nil && !fault.Is(err, fault.Conflict) {
		return 0, err
	}
	for f := (grant.Filter{Client: seedClient}); ; {
		page, next, err := s.app.Grants.List(ctx, s.realm, f, 200)
		if err != nil {
			return 0, err
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
				return have, err
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
			return have, err
		}
		s.report("grants", have, have+count, n)
		have += count
	}
	return have, nil
}
