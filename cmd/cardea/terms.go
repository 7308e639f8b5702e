package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

var termsColumns = []column[api.Terms]{
	{"ID", func(x api.Terms) string { return x.ID }},
	{"DOCUMENT", func(x api.Terms) string { return x.Document }},
	{"VERSION", func(x api.Terms) string { return x.Version }},
	{"TITLE", func(x api.Terms) string { return x.Title }},
	{"EFFECTIVE", func(x api.Terms) string { return moment(x.EffectiveAt) }},
	{"WITHDRAWN", func(x api.Terms) string { return optionalMoment(x.WithdrawnAt) }},
}

var acceptanceColumns = []column[api.TermsAcceptance]{
	{"USER", func(x api.TermsAcceptance) string { return x.User }},
	{"TERMS", func(x api.TermsAcceptance) string { return x.Terms }},
	{"ACCEPTED", func(x api.TermsAcceptance) string { return moment(x.AcceptedAt) }},
}

func (c *console) termsCommand() *cobra.Command {
	cmd := c.resource("terms", "Documents that people must accept, in versions",
		listing(c, "list", "List versions, the oldest first", cobra.NoArgs, termsColumns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Terms], error) {
				return cl.Terms.List(ctx, f, at)
			}),
		c.action("show TERMS-ID", "Show a version", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			v, err := cl.Terms.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.showTerms(v)
		}),
		c.termsCreate(),
		listing(c, "acceptances TERMS-ID", "List who accepted a version", cobra.ExactArgs(1), acceptanceColumns,
			func(ctx context.Context, cl *client.Client, args []string, _ client.Filter, at client.Cursor) (api.Page[api.TermsAcceptance], error) {
				return cl.Terms.Acceptances(ctx, args[0], at)
			}),
		c.deed("withdraw TERMS-ID", "Take a version out of force; the one before is in force again", cobra.ExactArgs(1), "is withdrawn", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Terms.Withdraw(ctx, args[0])
		}),
	)
	cmd.Example = `  cardea terms create --document terms --version 2 --title "Terms of service" --link https://example.com/terms
  cardea terms create --document privacy --version 2026-11 --title Privacy --text-file privacy.txt --effective 2026-12-01T00:00:00Z`
	return cmd
}

func (c *console) termsCreate() *cobra.Command {
	var n api.TermsCreate
	var file, effective string
	cmd := c.action("create", "Make a version; people are asked from its effective date on", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		if file != "" {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			n.Text = string(text)
		}
		if effective != "" {
			at, err := readTime("effective", effective)
			if err != nil {
				return err
			}
			n.EffectiveAt = &at
		}
		v, err := cl.Terms.Create(ctx, n)
		if err != nil {
			return err
		}
		return c.showTerms(v)
	})
	f := cmd.Flags()
	f.StringVar(&n.Document, "document", "terms", "what it is a version of, such as terms or privacy")
	f.StringVar(&n.Version, "version", "", "what the version is called, such as 2 or 2026-11")
	f.StringVar(&n.Title, "title", "", "what people read above it")
	f.StringVar(&n.Link, "link", "", "https address where it can be read")
	f.StringVar(&file, "text-file", "", "file with what it says, as plain text, in the place of a link")
	f.StringVar(&effective, "effective", "", "when it comes into force, such as 2026-12-01; at once if absent")
	return cmd
}

func (c *console) showTerms(v api.Terms) error {
	return c.write(v, func(w io.Writer) {
		facts(w, "id", v.ID, "document", v.Document, "version", v.Version, "title", v.Title, "link", v.Link, "effective", moment(v.EffectiveAt), "withdrawn", optionalMoment(v.WithdrawnAt))
		if v.Text != "" {
			fmt.Fprintf(w, "\n%s\n", v.Text)
		}
	})
}
