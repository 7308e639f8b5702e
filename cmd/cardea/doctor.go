package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// finding is something that an operator should know.
type finding struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

func (c *console) doctorCommand() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "List every relaxed default and what is not safe",
		Long: `Looks at the configuration, at the database and at what it holds, and lists what is
less strict than it could be, in every realm; also policies that do not compile any
more, and broken glass (cardea break-glass). It changes nothing but the schema, which
it brings up to date. On SQLite it runs while the server does not, or with
--config-only.`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd)
	c.outputFlag(cmd)
	cmd.Flags().BoolVar(&offline, "config-only", false, "look at the configuration only")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, s)
		if err != nil {
			return err
		}
		findings := []finding{}
		for _, what := range cfg.Relaxed() {
			findings = append(findings, finding{"configuration", what})
		}
		if !offline {
			more, err := examine(cmd.Context(), cfg)
			if err != nil {
				return fmt.Errorf("%w (--config-only looks at the configuration alone)", err)
			}
			findings = append(findings, more...)
		}
		return c.write(findings, func(w io.Writer) {
			if len(findings) == 0 {
				fmt.Fprintln(w, "Nothing is relaxed.")
				return
			}
			rows(w, []column[finding]{{"WHERE", func(f finding) string { return f.Where }}, {"WHAT", func(f finding) string { return f.What }}}, findings)
		})
	}
	return cmd
}

// examine looks at the database and at every realm in it.
func examine(ctx context.Context, cfg *config.Config) (out []finding, err error) {
	a, err := app.New(ctx, app.Config{Settings: cfg, Version: version, Output: io.Discard, Quiet: true})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	advice, err := a.DB.Advice(ctx)
	if err != nil {
		return nil, err
	}
	for _, what := range advice {
		out = append(out, finding{"database", what})
	}
	for after := ""; ; {
		realms, next, err := a.Realms.List(ctx, after, 500)
		if err != nil {
			return nil, err
		}
		for _, r := range realms {
			for _, what := range r.Settings.Relaxed() {
				out = append(out, finding{"realm " + r.Name + ", settings", what})
			}
			found, err := examineRealm(ctx, a, r.Name)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
		if after = next; next == "" {
			return out, nil
		}
	}
}

func examineRealm(ctx context.Context, a *app.App, name string) (out []finding, err error) {
	virgin, err := a.Operators.Virgin(ctx, name)
	if err != nil {
		return nil, err
	}
	if virgin {
		out = append(out, finding{"realm " + name, "was never set up: nobody administers it (cardea setup --realm " + name + ")"})
	}
	broken, err := a.Policies.Broken(ctx, name)
	if err != nil {
		return nil, err
	}
	if broken != "" {
		out = append(out, finding{"realm " + name + ", policies", strings.ReplaceAll(broken, "\n", "; ") + " (what they decide is denied; apply a corrected folder: cardea policy plan DIR)"})
	}
	_, glass, _, err := a.Guard.Policies(ctx, name)
	if err != nil {
		return nil, err
	}
	if glass.Open(a.DB.Now()) {
		out = append(out, finding{"realm " + name + ", administration", "the glass is broken until " + moment(glass.Until) + ", so added policies do not count: " + glass.Reason + " (cardea break-glass --realm " + name + " --end)"})
	}
	for after := ""; ; {
		clients, next, err := a.Clients.List(ctx, name, after, 200)
		if err != nil {
			return nil, err
		}
		for _, x := range clients {
			for _, what := range client.Relaxed(x) {
				out = append(out, finding{"realm " + name + ", client " + x.ID, what})
			}
		}
		if after = next; next == "" {
			break
		}
	}
	for after := ""; ; {
		issuers, next, err := a.Trust.List(ctx, name, after, 200)
		if err != nil {
			return nil, err
		}
		for _, x := range issuers {
			for _, what := range x.Relaxed() {
				out = append(out, finding{"realm " + name + ", trusted issuer " + x.ID, what})
			}
		}
		if after = next; next == "" {
			return out, nil
		}
	}
}
