package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/folder"
	folders "github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/realm"
)

// started is the server that a command line is about, in this process.
func started(t *testing.T, s *server) *app.App {
	t.Helper()
	cfg, err := config.Load(config.Input{Getenv: s.getenv})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Config{Settings: cfg, Version: "test", Quiet: true, Output: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		a.Close()
		t.Fatal(err)
	}
	return a
}

// OP-05: doctor names every relaxed setting, of the configuration and of every
// realm, client and trusted issuer.
func TestDoctorListsWhatIsRelaxed(t *testing.T) {
	s, ctx := prepare(t), context.Background()
	a := started(t, s)
	defer a.Close()
	if _, err := a.Realms.Create(ctx, audit.System, realm.New{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acme", realm.Default} { // the other one keeps the defaults
		change := realm.Change{Settings: map[string]any{"password_max_age": "90d", "password_history": 5, "operator_acr": "aal1", "operator_fresh": "30d",
			"registration": "open", "registration_pkce": "optional", "passkey_user_verification": "preferred", "passkey_regression": "report", "risk_password_spraying": "off"}}
		if name == realm.Default {
			change = realm.Change{Settings: map[string]any{"password_max_age": "0s", "password_history": 0, "operator_acr": "aal2", "operator_fresh": "15m"}}
		}
		if _, err := a.Realms.Update(ctx, audit.System, name, 0, change); err != nil {
			t.Fatal(err)
		}
	}
	relaxed := client.Settings{Name: "Old", Type: client.Web, RedirectURIs: []string{"https://old.example/cb"}, Scopes: []string{"openid"}, PKCEOptional: true}
	if _, err := a.Clients.Create(ctx, audit.System, "acme", client.Draft{ID: "old-app", Settings: relaxed}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Trust.Create(ctx, audit.System, "acme", trust.Settings{Name: "Other", Issuer: "https://login.example.com", JWKSURI: "https://login.example.com/keys",
		Uses: []trust.Use{trust.JWTBearer}, Scopes: []string{"a"}, LinkByEmail: true}); err != nil {
		t.Fatal(err)
	}
	if out, errs, err := s.run("doctor"); err == nil || !strings.Contains(errs, "is in use") || !strings.Contains(errs, "--config-only") {
		t.Errorf("beside a server: %v %s %s", err, out, errs)
	}
	if out, errs, err := s.run("doctor", "--config-only"); err != nil || !strings.Contains(out, "plain http") {
		t.Errorf("of the configuration: %v %s %s", err, out, errs)
	}
	a.Close()

	out, errs, err := s.run("doctor")
	if err != nil {
		t.Fatalf("%v %s", err, errs)
	}
	for _, want := range []string{"plain http and a generated master key", "realm default", "realm acme", "was never set up", "client old-app", "PKCE is optional",
		"people answer with patterns", "set password_history to 0", "set operator_acr to aal2", "set operator_fresh to 15m",
		"realm acme, trusted issuer tis_", "links subjects by e-mail", "set registration to initial_access_token", "set registration_pkce to required",
		"set passkey_user_verification to required", "set passkey_regression to refuse", "risk_password_spraying is off"} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor does not say %q:\n%s", want, out)
		}
	}
	if n := strings.Count(out, "set operator_acr to aal2"); n != 1 {
		t.Errorf("doctor says so of %d realms, want one:\n%s", n, out)
	}
	if out, errs, err := s.run("healthcheck"); err == nil {
		t.Errorf("a server that does not run is healthy: %s %s", out, errs)
	}
	if out, errs, err := s.run("migrate", "--check"); err != nil || !strings.Contains(out, "schema is") {
		t.Errorf("migrate: %v %s", err, errs)
	}
	if out, errs, err := s.run("config", "check", "--issuer", "http://localhost:8080", "--listen", "127.0.0.1:8094"); err != nil || !strings.Contains(errs, "warning: issuer http://localhost:8080 has another port") || !strings.Contains(errs, "--issuer http://localhost:8094") {
		t.Errorf("config check of an issuer with another port: %v %s %s", err, out, errs)
	}
	if out, errs, err := s.run("config", "print", "--listen", "nowhere"); err == nil || !strings.Contains(errs, "--listen: listen: want host:port") {
		t.Errorf("config: %v %s %s", err, out, errs)
	}
}

// Whoever is on the server's machine breaks the glass over the policies about
// administration; doctor says so, and names policies that do not compile any more.
func TestGlassIsBrokenOnTheMachine(t *testing.T) {
	files, problems := folder.Open(os.DirFS("../../examples/policies/documents"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	files = append(files, folder.File{Path: "cardea/own.cedar", Text: []byte(`@id("own") forbid (principal, action == Cardea::Action::"suspend-user", resource);`)})
	s, ctx := prepare(t), context.Background()
	within := func(do func(a *app.App) error) {
		t.Helper()
		a := started(t, s)
		defer a.Close()
		if err := do(a); err != nil {
			t.Fatal(err)
		}
	}
	within(func(a *app.App) error {
		_, err := a.Policies.Apply(ctx, audit.System, realm.Default, folders.Change{Files: files})
		return err
	})
	says := func(args ...string) string {
		t.Helper()
		out, errs, err := s.run(args...)
		if err != nil {
			t.Fatalf("%v: %v %s", args, err, errs)
		}
		return out
	}
	if out := says("doctor"); strings.Contains(out, "glass") || strings.Contains(out, "compile") {
		t.Errorf("nothing is broken:\n%s", out)
	}
	for what, c := range map[string]struct {
		args []string
		says string
	}{
		"no reason":       {nil, "end reason"},
		"an empty reason": {[]string{"--reason", " "}, "say why"},
		"too long":        {[]string{"--reason", "why", "--for", "25h"}, "at most 24h"},
		"both":            {[]string{"--reason", "why", "--end"}, "none of the others can be"},
		"nowhere":         {[]string{"--reason", "why", "--realm", "nowhere"}, "nowhere"},
	} {
		if out, errs, err := s.run(append([]string{"break-glass"}, c.args...)...); err == nil || !strings.Contains(errs, c.says) {
			t.Errorf("%s: %v %s%s", what, err, out, errs)
		}
	}
	if out := says("break-glass", "--reason", "policy own is wrong", "--for", "30m"); !strings.Contains(out, "The glass is broken.") || !strings.Contains(out, "realm default") {
		t.Error(out)
	}
	if out := says("doctor"); !strings.Contains(out, "the glass is broken until") || !strings.Contains(out, "policy own is wrong") || !strings.Contains(out, "--realm default --end") {
		t.Errorf("doctor does not say that the glass is broken:\n%s", out)
	}
	if out := says("break-glass", "--end", "--output", "json"); !strings.Contains(out, `"realm": "default"`) {
		t.Error(out)
	}
	if out := says("doctor"); strings.Contains(out, "glass") {
		t.Errorf("mended:\n%s", out)
	}
	within(func(a *app.App) error { // as if the operation were called otherwise now
		return a.DB.Update(ctx, realm.Default, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE policy_files SET body = replace(body, 'suspend-user', 'banish-user') WHERE realm = $1`, tx.Realm)
			return err
		})
	})
	if out := says("doctor"); !strings.Contains(out, "version 1 of the policies does not compile any more") || !strings.Contains(out, "banish-user") || !strings.Contains(out, "realm default, policies") {
		t.Errorf("doctor does not name what does not compile:\n%s", out)
	}
	if out := says("break-glass", "--reason", "upgraded"); !strings.Contains(out, "The glass is broken.") {
		t.Error(out)
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
