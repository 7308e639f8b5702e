package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (c *console) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show and check the configuration", Args: cobra.NoArgs}
	show := &cobra.Command{
		Use:   "print",
		Short: "Show what is in effect, where it came from, and what is relaxed",
		Long:  "Prints the effective settings as YAML that can be used as a file. Secrets are masked.",
		Args:  cobra.NoArgs,
	}
	printed := addSettings(show)
	show.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, printed)
		if err != nil {
			return err
		}
		return cfg.Print(c.out)
	}
	check := &cobra.Command{Use: "check", Short: "Say everything that is wrong with the configuration", Args: cobra.NoArgs}
	checked := addSettings(check)
	check.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, checked)
		if err != nil {
			return err
		}
		c.warnElsewhere(cfg)
		fmt.Fprintln(c.out, "The configuration can be used.")
		return nil
	}
	cmd.AddCommand(show, check)
	return cmd
}
