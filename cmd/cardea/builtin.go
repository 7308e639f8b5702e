package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/realm"
)

// showBuiltIn prints the policies as they stand in files.
func (c *console) showBuiltIn(p api.BuiltInPolicy, err error) error {
	if err != nil {
		return err
	}
	return c.write(p, func(w io.Writer) {
		version := ""
		if p.Version > 0 {
			version = fmt.Sprint(p.Version)
		}
		facts(w, "hash", p.Hash, "added by version", version, "not usable", p.Broken)
		if g := p.Glass; g != nil {
			facts(w, "glass", c.red("broken since "+moment(g.Since)+" until "+moment(g.Until)+": "+cell(g.Reason)))
		}
		for _, f := range append(p.Contents, p.Added...) {
			fmt.Fprintf(w, "\n// %s\n%s", cell(f.Path), lines(strings.TrimSuffix(f.Text, "\n"))+"\n")
		}
	})
}

// printOwnPlan says what a plan would do to operators.
func (c *console) printOwnPlan(p *api.PolicyOwnPlan) {
	if p == nil {
		return
	}
	fmt.Fprintf(c.out, "%d operations of administration asked again.\n", p.Decisions)
	c.printEffects("may again", c.yellow, p.Gains, p.GainCount)
	c.printEffects("loses", c.red, p.Losses, p.LossCount)
	c.printEffects("can step up otherwise for", c.yellow, p.StepUps, p.StepUpCount)
	for _, o := range p.LockedOut {
		fmt.Fprintf(c.out, "  %s (%s) %s\n", entityText(o.Operator), cell(o.Role), c.red("could not change policies any more, in no sign-in, network or time that was tried"))
	}
}

// defaultBroken is how long the glass is broken unless another time is given.
const defaultBroken = time.Hour

func (c *console) breakGlassCommand() *cobra.Command {
	var name, reason string
	var end bool
	cmd := &cobra.Command{
		Use:   "break-glass",
		Short: "Set aside a realm's policies about administration, when they lock everybody out",
		Long: `Sets aside, for a while, the policies that a realm added about Cardea's own
administration (cardea/*.cedar of its policy folder). Only the built-in policies then
count: operators may what their role permits, and can repair the folder. Everything else
in the folder counts as before.

It needs what the server needs: the database and the configuration, so nobody can do it
from afar. On SQLite it runs while the server does not. It is an event of the log
(glass.break) with the reason, every decision made meanwhile says so, and it ends by
itself.`,
		Example: `  cardea break-glass --reason "policy 12 forbids everything" --for 30m
  cardea break-glass --realm acme --end`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd)
	c.outputFlag(cmd)
	cmd.Flags().StringVar(&name, "realm", realm.Default, "realm whose policies are set aside")
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is in the event log for ever")
	span := cmd.Flags().Duration("for", defaultBroken, "how long, at most 24h")
	cmd.Flags().BoolVar(&end, "end", false, "let all policies count again")
	cmd.MarkFlagsMutuallyExclusive("end", "for")
	cmd.MarkFlagsMutuallyExclusive("end", "reason")
	cmd.MarkFlagsOneRequired("end", "reason")
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
		if _, err := a.Realms.ByName(cmd.Context(), name); err != nil {
			return err
		}
		if end {
			if err := a.Guard.Mend(cmd.Context(), name); err != nil {
				return err
			}
			return c.write(map[string]string{"realm": name}, func(w io.Writer) { fmt.Fprintf(w, "All policies of realm %s count.\n", name) })
		}
		g, err := a.Guard.Break(cmd.Context(), name, *span, reason)
		if err != nil {
			return err
		}
		return c.write(api.BrokenGlass{Since: g.Since.UTC(), Until: g.Until.UTC(), Reason: g.Reason}, func(w io.Writer) {
			fmt.Fprintf(w, "%s Until %s only the built-in policies count about the administration of realm %s.\n", c.red("The glass is broken."), moment(g.Until), name)
		})
	}
	return cmd
}
