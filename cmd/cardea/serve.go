package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
)

func (c *console) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Runs the server until it is told to stop (SIGTERM, SIGINT), then lets running
requests finish. SIGHUP has replaced certificate files read at once.

With nothing set it keeps its state in SQLite under ./data and serves
http://localhost:8080. An issuer that others can reach makes it a production node,
which insists on https and on a master key of its own. Every setting can be given in
cardea.yaml, in the environment or as a flag; see cardea config print.`,
		Example: `  cardea serve
  CARDEA_ISSUER=https://id.example.com CARDEA_MASTER_KEY_FILE=/run/secrets/cardea.key cardea serve
  cardea serve --config /etc/cardea.yaml`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, s)
		if err != nil {
			return err
		}
		// Who replaces a certificate says so with SIGHUP by habit; it must not end the
		// server.
		again := make(chan os.Signal, 1)
		signal.Notify(again, syscall.SIGHUP)
		defer signal.Stop(again)
		a, err := app.New(cmd.Context(), app.Config{Settings: cfg, Version: version, Output: c.err, Again: again})
		if err != nil {
			return err
		}
		defer a.Close()
		return a.Run(cmd.Context(), func(at net.Addr) {
			fmt.Fprintf(c.out, "cardea: ready on %s\n", address(cfg, at))
			c.warnElsewhere(cfg)
			c.offerSetup(cmd.Context(), a)
		})
	}
	return cmd
}

func (c *console) warnElsewhere(cfg *config.Config) {
	if what := cfg.Elsewhere(); what != "" {
		fmt.Fprintf(c.err, "cardea: warning: %s\n", what)
	}
}

// address is where a listener answers, as a URL.
func address(cfg *config.Config, at net.Addr) string {
	if cfg.TLS.CertFile != "" {
		return "https://" + at.String()
	}
	return "http://" + at.String()
}

// offerSetup prints a set-up link while the default realm never had an operator.
func (c *console) offerSetup(ctx context.Context, a *app.App) {
	link, err := setupLink(ctx, a, realm.Default)
	if fault.Is(err, fault.Conflict) {
		return
	}
	if err != nil {
		fmt.Fprintf(c.err, "cardea: no set-up link could be made: %v\n", err)
		return
	}
	fmt.Fprintf(c.out, "cardea: nobody administers this server yet. Open this link, once and within 15 minutes, to become its owner:\n\n  %s\n\n", link)
}

// setupLink makes the address of the set-up page of a realm.
func setupLink(ctx context.Context, a *app.App, name string) (string, error) {
	r, err := a.Realms.ByName(ctx, name)
	if err != nil {
		return "", err
	}
	link, _, err := a.Operators.SetupLink(ctx, audit.System, name)
	if err != nil {
		return "", err
	}
	return r.Issuer + "/setup?link=" + string(link), nil
}
