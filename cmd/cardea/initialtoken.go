package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

var initialTokenColumns = []column[api.InitialAccessToken]{
	{"ID", func(x api.InitialAccessToken) string { return x.ID }},
	{"NAME", func(x api.InitialAccessToken) string { return x.Name }},
	{"USED", func(x api.InitialAccessToken) string { return fmt.Sprintf("%d of %d", x.Uses, x.MaxUses) }},
	{"EXPIRES", func(x api.InitialAccessToken) string { return moment(x.ExpiresAt) }},
	{"REVOKED", func(x api.InitialAccessToken) string { return optionalMoment(x.RevokedAt) }},
}

func (c *console) initialTokenCommand() *cobra.Command {
	cmd := c.resource("initial-access-token", "Tokens with which clients register themselves",
		listing(c, "list", "List initial access tokens, without what they are", cobra.NoArgs, initialTokenColumns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.InitialAccessToken], error) {
				return cl.InitialAccessTokens.List(ctx, f, at)
			}),
		c.initialTokenCreate(),
		c.deed("revoke TOKEN-ID", "End an initial access token; clients that registered with it stay", cobra.ExactArgs(1), "is revoked", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.InitialAccessTokens.Revoke(ctx, args[0])
		}),
	)
	cmd.Example = `  cardea realm update --set registration=initial_access_token
  cardea initial-access-token create --name "partner portal" --uses 10 --expires-in 168h`
	return cmd
}

func (c *console) initialTokenCreate() *cobra.Command {
	var name string
	var uses int64
	var life time.Duration
	cmd := c.action("create", "Make an initial access token, shown this once", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		made, err := cl.InitialAccessTokens.Create(ctx, name, uses, life)
		if err != nil {
			return err
		}
		return c.write(made, func(w io.Writer) {
			facts(w, "id", made.ID, "name", made.Name, "token", made.Token, "uses", fmt.Sprint(made.MaxUses), "expires", moment(made.ExpiresAt))
			fmt.Fprintln(c.err, "The token is shown this once.")
		})
	})
	cmd.Flags().StringVar(&name, "name", "", "what to call it")
	cmd.Flags().Int64Var(&uses, "uses", 1, "how many clients may register with it")
	cmd.Flags().DurationVar(&life, "expires-in", 24*time.Hour, "when it ends")
	return cmd
}
