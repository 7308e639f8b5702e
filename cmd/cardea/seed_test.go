package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// seeding runs fn on each database, with the environment of a command line that
// uses it and a way to look into it between commands.
func seeding(t *testing.T, fn func(t *testing.T, s *server, look func(func(ctx context.Context, a *app.App)))) {
	for name, engine := range map[string]db.Engine{"sqlite": db.SQLite, "postgres": db.Postgres} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			s.env["CARDEA_DATABASE_URL"] = dbtest.URL(t, engine)
			fn(t, s, func(see func(context.Context, *app.App)) {
				t.Helper()
				cfg, err := config.Load(config.Input{Getenv: s.getenv})
				if err != nil {
					t.Fatal(err)
				}
				a, err := app.New(t.Context(), app.Config{Settings: cfg, Output: io.Discard, Quiet: true})
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				if err := a.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				see(t.Context(), a)
			})
		})
	}
}

// seeded are the names of the people and the grants of the seed client in a
// realm, the grants by person.
func seeded(ctx context.Context, t *testing.T, a *app.App, in string) (names []string, grants map[string]int) {
	t.Helper()
	of := map[string]string{}
	for after := ""; ; {
		page, next, err := a.People.List(ctx, in, principal.Filter{Kind: principal.Person}, after, 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			names, of[p.ID] = append(names, p.Name), p.Name
		}
		if after = next; next == "" {
			break
		}
	}
	grants = map[string]int{}
	for f := (grant.Filter{Client: seedClient}); ; {
		page, next, err := a.Grants.List(ctx, in, f, 200)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page {
			grants[of[g.Principal]]++
		}
		if f.After = next; next == "" {
			break
		}
	}
	slices.Sort(names)
	return names, grants
}

func TestSeed(t *testing.T) {
	seeding(t, func(t *testing.T, s *server, look func(func(context.Context, *app.App))) {
		must := func(want string, args ...string) {
			t.Helper()
			out, errs, err := s.run(append([]string{"seed"}, args...)...)
			if err != nil || out != "" || !strings.Contains(errs, want) {
				t.Fatalf("seed %v: %v\n%s%s", args, err, out, errs)
			}
		}
		must("realm default has 0 people and 0 grants", "--principals", "0", "--grants", "0")
		must("realm default has 3 people and 7 grants", "--principals", "3", "--grants", "7")
		look(func(ctx context.Context, a *app.App) {
			names, grants := seeded(ctx, t, a, realm.Default)
			if fmt.Sprint(names, grants) != "[seed-1 seed-2 seed-3] map[seed-1:3 seed-2:2 seed-3:2]" {
				t.Errorf("got %v %v", names, grants)
			}
			// Somebody of a similar name is none of them, and a gap is filled.
			if _, err := a.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, Name: "seed-corn"}); err != nil {
				t.Fatal(err)
			}
			second, err := a.People.ByIdentifier(ctx, realm.Default, "seed-2")
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Grants.DeletePrincipal(ctx, audit.System, realm.Default, second.ID, "left", nil); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Realms.Create(ctx, audit.System, realm.New{Name: "acme"}); err != nil {
				t.Fatal(err)
			}
		})
		must("realm default has 2 people and 5 grants", "--principals", "1", "--grants", "2") // nothing is taken away
		must("realm default has 1203 people and 1105 grants", "--principals", "1203", "--grants", "1105")
		must("realm default has 1203 people and 1105 grants", "--principals", "1203", "--grants", "1105")
		must("realm acme has 2 people and 1 grants", "--principals", "2", "--grants", "1", "--realm", "acme")
		look(func(ctx context.Context, a *app.App) {
			names, grants := seeded(ctx, t, a, realm.Default)
			total := 0
			for _, n := range grants {
				total += n
			}
			if len(names) != 1204 || !slices.Contains(names, "seed-2") || !slices.Contains(names, "seed-1203") || slices.Contains(names, "seed-1204") || total != 1105 {
				t.Errorf("%d people, %d grants, %v", len(names), total, names[:5])
			}
			for _, in := range []string{realm.Default, "acme"} {
				if v, err := a.Log.Verify(ctx, in); err != nil {
					t.Errorf("the log of realm %s: %v %v", in, v, err)
				}
			}
		})
	})
}

func TestSeedRefuses(t *testing.T) {
	s := prepare(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"--principals must be between 0 and 10000000", []string{"--principals", "-1", "--grants", "0"}},
		{"--principals must be between 0 and 10000000", []string{"--principals", "10000001"}},
		{"--grants must be between 0 and 10000000", []string{"--grants", "-1"}},
		{"grants need at least one principal", []string{"--principals", "0"}},
		{`there is no realm "nowhere"`, []string{"--realm", "nowhere"}},
		{"seed is for measuring on a machine of your own", []string{"--issuer", "https://id.example.com", "--master-key-file", key}},
		{`unknown command "many"`, []string{"many"}},
	} {
		_, errs, err := s.run(append([]string{"seed"}, c.args...)...)
		if err == nil || !strings.Contains(errs+err.Error(), c.want) {
			t.Errorf("%v: %v\n%s", c.args, err, errs)
		}
	}
}

// Whoever waits for a million is told how far it is.
func TestSeedReportsItsProgress(t *testing.T) {
	var said bytes.Buffer
	s := &seeder{say: &said, every: 1000, began: time.Now()}
	for have := 0; have < 3200; have += 500 {
		s.report("people", have, min(have+500, 3200), 3200)
	}
	var steps []string
	for line := range strings.Lines(said.String()) {
		steps = append(steps, strings.Join(strings.Fields(line)[:4], " "))
	}
	if got, want := strings.Join(steps, "; "), "1000 of 3200 people; 2000 of 3200 people; 3000 of 3200 people"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
