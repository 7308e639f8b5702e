package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
	"github.com/cardea-id/cardea/internal/access/folder"
)

func (c *console) policyPlan() *cobra.Command {
	var days int
	cmd := c.action("plan DIR", "Say what a folder would do: asks the decisions of the last days again and names who gains and who loses which access", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, args []string) error {
			files, err := c.sendable(args[0])
			if err != nil {
				return err
			}
			p, err := cl.Policies.Plan(ctx, api.PolicyPlanRequest{Files: files, Days: days})
			if err != nil {
				return err
			}
			if c.output == "json" || c.output == "yaml" {
				err = c.write(p, nil)
			} else {
				c.printPlan(args[0], days, &p)
			}
			return errors.Join(err, failUnless(p.OK))
		})
	cmd.Flags().IntVar(&days, "days", 7, "how far to look back")
	return cmd
}

func (c *console) printPlan(dir string, days int, p *api.PolicyPlan) {
	var problems folder.Problems
	for _, x := range p.Problems {
		problems = append(problems, folder.Problem(x))
	}
	c.printProblems(dir, problems)
	r := &folder.Report{}
	for _, x := range p.Failures {
		r.Failures = append(r.Failures, folder.Failure(x))
	}
	c.printTests(dir, r, false)
	if p.Base == 0 {
		fmt.Fprintln(c.out, "The realm has no policy yet.")
	} else {
		fmt.Fprintf(c.out, "Compared with version %d:\n", p.Base)
	}
	for _, d := range p.Differences {
		fmt.Fprintln(c.out, "  "+cell(d.Words))
	}
	if len(p.Differences) == 0 {
		fmt.Fprintln(c.out, "  nothing differs")
	}
	if !p.OK {
		return
	}
	partial := ""
	if p.Partial {
		partial = ", the newest of more"
	}
	fmt.Fprintf(c.out, "%d decisions since %s asked again%s.\n", p.Decisions, moment(p.Since), partial)
	c.printEffects("gains", c.yellow, p.Gains, p.GainCount)
	c.printEffects("loses", c.red, p.Losses, p.LossCount)
	c.printEffects("can step up otherwise for", c.yellow, p.StepUps, p.StepUpCount)
	if p.GainCount+p.LossCount+p.StepUpCount == 0 {
		fmt.Fprintln(c.out, c.green("Nobody gains or loses anything that was asked for."))
	}
	if p.More {
		fmt.Fprintln(c.out, c.yellow("And more: this changes more than anybody reads line by line."))
	}
	c.printOwnPlan(p.Own)
	if p.Drifted > 0 {
		fmt.Fprintf(c.out, "%d are answered differently by now, because facts changed since.\n", p.Drifted)
	}
	back := ""
	if days != 7 {
		back = fmt.Sprintf(" --days %d", days)
	}
	fmt.Fprintf(c.out, "Apply exactly this: cardea policy apply %s --plan %s%s\n", dir, p.Hash, back)
}

func (c *console) printEffects(verb string, paint func(string) string, list []api.PolicyEffect, count int) {
	for _, e := range list {
		fmt.Fprintf(c.out, "  %s %s %s on %s (%d times, last %s)\n", entityText(e.Subject), paint(verb), cell(e.Action), entityText(e.Resource), e.Times, moment(e.LastAt))
		why := e.After
		if len(e.After) == 0 {
			why = e.Before
		}
		for _, reason := range why {
			fmt.Fprintf(c.out, "      %s\n", cell(reason))
		}
	}
	if more := count - len(list); more > 0 {
		fmt.Fprintf(c.out, "  and %d more\n", more)
	}
}

func entityText(e api.PolicyEntity) string { return cell(e.Type) + " " + cell(fmt.Sprintf("%q", e.ID)) }
