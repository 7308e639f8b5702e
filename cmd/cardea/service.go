package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

var credentialColumns = []column[api.Credential]{
	{"ID", func(x api.Credential) string { return x.ID }},
	{"TYPE", func(x api.Credential) string { return x.Type }},
	{"NAME", func(x api.Credential) string { return x.Name }},
	{"CREATED", func(x api.Credential) string { return moment(x.CreatedAt) }},
	{"EXPIRES", func(x api.Credential) string { return optionalMoment(x.ExpiresAt) }},
	{"LAST USED", func(x api.Credential) string { return optionalMoment(x.LastUsedAt) }},
}

func (c *console) serviceCommand() *cobra.Command {
	columns := []column[api.Service]{
		{"ID", func(s api.Service) string { return s.ID }},
		{"NAME", func(s api.Service) string { return s.Name }},
		{"DISPLAY NAME", func(s api.Service) string { return s.DisplayName }},
		{"OWNER", func(s api.Service) string { return s.Owner }},
		{"STATE", func(s api.Service) string { return s.State }},
	}
	show := func(s api.Service) error {
		return c.write(s, func(w io.Writer) {
			facts(w, "id", s.ID, "name", s.Name, "display name", s.DisplayName, "state", s.State, "owner", s.Owner,
				"expires", optionalMoment(s.ExpiresAt), "created", moment(s.CreatedAt), "updated", moment(s.UpdatedAt))
		})
	}
	var owner string
	create := c.named("create NAME", "Create a service", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string, n names) error {
		if owner != "" {
			var err error
			if owner, err = memberID(ctx, cl, owner); err != nil {
				return err
			}
		}
		s, err := cl.Services.Create(ctx, api.ServiceCreate{Name: args[0], DisplayName: n.display, Owner: owner})
		if err != nil {
			return err
		}
		return show(s)
	})
	create.Flags().StringVar(&owner, "owner", "", "who answers for it: an id, or a user's name or address; the service ends with its owner")
	return c.resource("service", "Programs with an identity of their own",
		listing(c, "list", "List services", cobra.NoArgs, columns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Service], error) {
				return cl.Services.List(ctx, f, at)
			},
			filterFlag{"q", "services whose name begins with it"},
			filterFlag{"state", "active, suspended or deleted"}),
		c.action("show SERVICE", "Show a service", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			s, err := cl.Services.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return show(s)
		}),
		create,
		c.named("update SERVICE", "Rename a service", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string, n names) error {
			s, err := cl.Services.Get(ctx, args[0])
			if err != nil {
				return err
			}
			s, err = cl.Services.Update(ctx, s.ID, s.Version, api.ServiceUpdate{Name: n.newName, DisplayName: n.newDisplay})
			if err != nil {
				return err
			}
			return show(s)
		}),
		c.deed("delete SERVICE", "Delete a service for ever", cobra.ExactArgs(1), "is deleted", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Services.Delete(ctx, args[0])
		}),
		c.deed("suspend SERVICE", "Stop a service and end everything it holds", cobra.ExactArgs(1), "is suspended", func(ctx context.Context, cl *client.Client, args []string) error {
			_, err := cl.Services.Suspend(ctx, args[0])
			return err
		}),
		c.deed("activate SERVICE", "Let a suspended service act again", cobra.ExactArgs(1), "is active", func(ctx context.Context, cl *client.Client, args []string) error {
			_, err := cl.Services.Activate(ctx, args[0])
			return err
		}),
		c.action("credentials SERVICE", "List what a service proves itself with", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			page, err := cl.Services.Credentials(ctx, args[0])
			if err != nil {
				return err
			}
			return c.write(page, func(w io.Writer) { rows(w, credentialColumns, page.Items) })
		}),
		c.deed("revoke-credential SERVICE CREDENTIAL", "End a credential and what descends from it", cobra.ExactArgs(2), "is revoked", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Services.RevokeCredential(ctx, args[0], args[1])
		}),
	)
}
