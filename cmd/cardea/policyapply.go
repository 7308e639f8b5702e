package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

func (c *console) policyApply() *cobra.Command {
	var a api.PolicyApply
	cmd := c.action("apply DIR", "Make a folder the one that counts; it has to pass its tests", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, args []string) error {
			var err error
			if a.Files, err = c.sendable(args[0]); err != nil {
				return err
			}
			v, err := cl.Policies.Apply(ctx, a)
			if err != nil {
				return err
			}
			return c.showVersion(v)
		})
	cmd.Flags().StringVar(&a.Plan, "plan", "", "apply only if the plan would come out with this hash now")
	cmd.Flags().IntVar(&a.Days, "days", 7, "how far that plan looked back")
	cmd.Flags().StringVar(&a.Message, "message", "", "why")
	return cmd
}

func (c *console) policyRollback() *cobra.Command {
	var message string
	cmd := c.action("rollback VERSION", "Apply an old version anew, at once and without running its tests", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, args []string) error {
			v, err := cl.Policies.Rollback(ctx, args[0], message)
			if err != nil {
				return err
			}
			return c.showVersion(v)
		})
	cmd.Flags().StringVar(&message, "message", "", "why")
	return cmd
}
