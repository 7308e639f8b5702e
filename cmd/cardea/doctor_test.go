package main

import (
	"context"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// OP-05: doctor names every relaxed setting, of the configuration and of every
// client of every realm.
func TestDoctorListsWhatIsRelaxed(t *testing.T) {
	s, ctx := prepare(t), context.Background()
	cfg, err := config.Load(config.Input{Getenv: s.getenv})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(ctx, app.Config{Settings: cfg, Version: "test", Quiet: true, Output: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Realms.Create(ctx, audit.System, realm.New{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	relaxed := client.Settings{Name: "Old", Type: client.Web, RedirectURIs: []string{"https://old.example/cb"}, Scopes: []string{"openid"}, PKCEOptional: true}
	if _, err := a.Clients.Create(ctx, audit.System, "acme", client.Draft{ID: "old-app", Settings: relaxed}); err != nil {
		t.Fatal(err)
	}
	a.Close()

	out, errs, err := s.run("doctor")
	if err != nil {
		t.Fatalf("%v %s", err, errs)
	}
	for _, want := range []string{"plain http and a generated master key", "realm default", "realm acme", "was never set up", "client old-app", "PKCE is optional"} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor does not say %q:\n%s", want, out)
		}
	}
	if out, errs, err := s.run("healthcheck"); err == nil {
		t.Errorf("a server that does not run is healthy: %s %s", out, errs)
	}
	if out, errs, err := s.run("migrate", "--check"); err != nil || !strings.Contains(out, "schema is") {
		t.Errorf("migrate: %v %s", err, errs)
	}
	if out, errs, err := s.run("config", "print", "--listen", "nowhere"); err == nil || !strings.Contains(errs, "--listen: listen: want host:port") {
		t.Errorf("config: %v %s %s", err, out, errs)
	}
}

func TestServerAnswersItsHealthcheck(t *testing.T) {
	s := startServer(t)
	if out, errs, err := s.run("healthcheck"); err != nil || out != "ready\n" {
		t.Errorf("%v %s %s", err, out, errs)
	}
	// One process per SQLite file: the message says what to do.
	if _, errs, err := s.run("setup"); err == nil || !strings.Contains(errs, "another") {
		t.Errorf("a second process: %v %s", err, errs)
	}
}
