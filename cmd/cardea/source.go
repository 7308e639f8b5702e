package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

func (c *console) sourceCommand() *cobra.Command {
	columns := []column[api.FactSource]{
		{"ID", func(x api.FactSource) string { return x.ID }},
		{"NAME", func(x api.FactSource) string { return x.Name }},
		{"KIND", func(x api.FactSource) string { return x.Kind }},
		{"FACTS", func(x api.FactSource) string { return fmt.Sprint(x.Facts) }},
		{"GOOD", func(x api.FactSource) string { return optionalMoment(x.GoodAt) }},
		{"FAILURES", func(x api.FactSource) string { return fmt.Sprint(x.Failures) }},
		{"LAST ERROR", func(x api.FactSource) string { return x.LastError }},
	}
	cmd := c.resource("source", "Where relations and attributes are pulled from",
		c.action("list", "List sources and how they are", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
			page, err := cl.FactSources.List(ctx)
			if err != nil {
				return err
			}
			return c.write(page, func(w io.Writer) { rows(w, columns, page.Items) })
		}),
		c.action("show SOURCE", "Show a source", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			return c.showSource(cl.FactSources.Get(ctx, args[0]))
		}),
		c.sourceCreate(),
		c.sourceSwitch("enable", "Pull a source by its schedule", true), c.sourceSwitch("disable", "Do not pull a source by its schedule", false),
		c.action("pull SOURCE", "Pull a source now", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			done, err := cl.FactSources.Pull(ctx, args[0])
			if err != nil {
				return err
			}
			return c.write(done, func(w io.Writer) { facts(w, "job", done.Job) })
		}),
		c.deed("delete SOURCE", "Stop pulling; what was pulled stays", cobra.ExactArgs(1), "is deleted", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.FactSources.Delete(ctx, args[0])
		}),
	)
	cmd.Example = `  cardea source create teams --url https://hr.example.com/teams.jsonl --secret-file token
  cardea source create owners --query 'SELECT ...' --secret-file database-url --every 60
  cardea source list
  cardea source pull teams`
	return cmd
}

func (c *console) sourceCreate() *cobra.Command {
	var n api.FactSourcePut
	var secret string
	cmd := c.action("create NAME", "Pull facts from an address, or by a query of another PostgreSQL database", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		n.Name, n.Kind, n.Enabled = args[0], "http", true
		if n.Query != "" {
			n.Kind = "postgres"
		}
		if secret != "" {
			text, err := os.ReadFile(secret)
			if err != nil {
				return err
			}
			n.Secret = strings.TrimSpace(string(text))
		}
		return c.showSource(cl.FactSources.Create(ctx, n))
	})
	cmd.Flags().StringVar(&n.URL, "url", "", "address that answers with one JSON object a line")
	cmd.Flags().StringVar(&n.Query, "query", "", "query that gives subject_type, subject_id, relation, object_type, object_id, or of entity_type, entity_id, name, value")
	cmd.Flags().StringVar(&secret, "secret-file", "", "file with the bearer token, or with postgres://user:password@host/name")
	cmd.Flags().Int64Var(&n.Every, "every", 300, "seconds from pull to pull")
	cmd.Flags().Int64Var(&n.Shrink, "shrink", 50, "percent of its facts that one pull may remove")
	cmd.MarkFlagsMutuallyExclusive("url", "query")
	cmd.MarkFlagsOneRequired("url", "query")
	return cmd
}

func (c *console) sourceSwitch(verb, short string, on bool) *cobra.Command {
	return c.deed(verb+" SOURCE", short, cobra.ExactArgs(1), "is "+verb+"d", func(ctx context.Context, cl *client.Client, args []string) error {
		x, err := cl.FactSources.Get(ctx, args[0])
		if err != nil {
			return err
		}
		x.Enabled = on
		_, err = cl.FactSources.Replace(ctx, x.ID, x.Version, api.FactSourcePut{FactSourceSettings: x.FactSourceSettings})
		return err
	})
}

func (c *console) showSource(x api.FactSource, err error) error {
	if err != nil {
		return err
	}
	return c.write(x, func(w io.Writer) {
		facts(w, "id", x.ID, "name", x.Name, "kind", x.Kind, "url", x.URL, "query", x.Query, "every", fmt.Sprintf("%ds", x.Every), "shrink", fmt.Sprintf("%d%%", x.Shrink), "enabled", yes(x.Enabled),
			"due", optionalMoment(x.DueAt), "pulled", optionalMoment(x.PulledAt), "good", optionalMoment(x.GoodAt), "failures", fmt.Sprint(x.Failures), "last error", x.LastError,
			"facts", fmt.Sprint(x.Facts), "added", fmt.Sprint(x.Added), "removed", fmt.Sprint(x.Removed))
	})
}
