package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/db"
)

func (c *console) migrateCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long: `Applies what is missing of the schema. The server does so too when it starts; run
this beforehand where nodes may not change the schema, or to see what an upgrade does.
Migrations only add, so nodes of the version before keep working.`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "only say what is missing; exit 1 if something is")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, s)
		if err != nil {
			return err
		}
		if err := cfg.PrepareData(); err != nil {
			return err
		}
		d, err := db.Open(cmd.Context(), db.Options{URL: cfg.DatabaseURL(), DirectURL: string(cfg.Database.DirectURL), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			return err
		}
		defer d.Close()
		pending, err := d.Pending(cmd.Context())
		if err != nil {
			return err
		}
		if check && len(pending) > 0 {
			return fmt.Errorf("missing: %s", strings.Join(pending, ", "))
		}
		if err := d.Migrate(cmd.Context()); err != nil {
			return err
		}
		for _, name := range pending {
			fmt.Fprintf(c.out, "applied %s\n", name)
		}
		fmt.Fprintf(c.out, "schema is %s\n", db.Schema())
		return nil
	}
	return cmd
}
