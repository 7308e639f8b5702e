package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/realm"
)

// automation is what a program needs to be an owner.
type automation struct {
	Issuer       string `json:"issuer"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Audience     string `json:"resource"`
	Scope        string `json:"scope"`
}

func (c *console) setupCommand() *cobra.Command {
	var name string
	var forProgram bool
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Make the link that creates a realm's first owner",
		Long: `Prints a link that lets whoever opens it, once and within 15 minutes, become the
first owner of a realm. It works only while the realm never had an operator: set-up
closes for ever when it has been used, also if every operator is removed later.

It needs what the server needs: the database and the configuration. On SQLite it runs
while the server does not; a server without operators prints a link when it starts.

With --automation the first owner is a program instead: a client that obtains tokens
with its secret, which is shown this once.`,
		Example: `  cardea setup
  cardea setup --realm acme
  cardea setup --automation --output json`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd)
	c.outputFlag(cmd)
	cmd.Flags().StringVar(&name, "realm", realm.Default, "realm to set up")
	cmd.Flags().BoolVar(&forProgram, "automation", false, "make a client the first owner, and print its secret")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, s)
		if err != nil {
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
		if forProgram {
			return c.setupAutomation(cmd, a, name)
		}
		link, err := setupLink(cmd.Context(), a, name)
		if err != nil {
			return err
		}
		return c.write(map[string]string{"url": link}, func(w io.Writer) { fmt.Fprintln(w, link) })
	}
	return cmd
}

func (c *console) setupAutomation(cmd *cobra.Command, a *app.App, name string) error {
	r, err := a.Realms.ByName(cmd.Context(), name)
	if err != nil {
		return err
	}
	made, err := a.Operators.SetupAutomation(cmd.Context(), audit.System, name, "Automation", api.Scope)
	if err != nil {
		return err
	}
	out := automation{Issuer: r.Issuer, ClientID: made.ID, ClientSecret: string(made.Secret), Audience: r.Issuer + api.Path, Scope: api.Scope}
	return c.write(out, func(w io.Writer) {
		facts(w, "issuer", out.Issuer, "client id", out.ClientID, "client secret", out.ClientSecret, "resource", out.Audience, "scope", out.Scope)
	})
}
