package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

var detailTypeColumns = []column[api.AuthorizationDetailType]{
	{"TYPE", func(x api.AuthorizationDetailType) string { return x.Type }},
	{"LANGUAGES", func(x api.AuthorizationDetailType) string { return languagesOf(x) }},
	{"UPDATED", func(x api.AuthorizationDetailType) string { return moment(x.UpdatedAt) }},
}

func languagesOf(x api.AuthorizationDetailType) string {
	return strings.Join(slices.Sorted(maps.Keys(x.Words)), " ")
}

func (c *console) authorizationDetailTypeCommand() *cobra.Command {
	cmd := c.resource("authorization-detail-type", "Types of authorization details that clients may ask for (RFC 9396)",
		c.action("list", "List types", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
			page, err := cl.AuthorizationDetailTypes.List(ctx)
			if err != nil {
				return err
			}
			return c.write(page, func(w io.Writer) { rows(w, detailTypeColumns, page.Items) })
		}),
		c.action("show TYPE", "Show a type", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			x, err := cl.AuthorizationDetailTypes.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.showDetailType(x)
		}),
		c.putDetailType(),
		c.deed("delete TYPE", "End a type; what was granted stays", cobra.ExactArgs(1), "is deleted", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.AuthorizationDetailTypes.Delete(ctx, args[0])
		}),
	)
	cmd.Example = `  cardea authorization-detail-type put payment_initiation --schema payment.json \
      --words "en=Pay {instructedAmount.amount} {instructedAmount.currency} to {creditorName}" \
      --words "de={instructedAmount.amount} {instructedAmount.currency} an {creditorName} zahlen"
  cardea client update CLIENT --authorization-detail-type payment_initiation`
	return cmd
}

func (c *console) putDetailType() *cobra.Command {
	var schema string
	var words []string
	cmd := c.action("put TYPE", "Register a type or replace it", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		data, err := readFileOr(schema, c.in)
		if err != nil {
			return err
		}
		in := api.AuthorizationDetailTypePut{Schema: string(data), Words: map[string]string{}}
		for _, w := range words {
			tag, text, ok := strings.Cut(w, "=")
			if !ok {
				return fmt.Errorf("--words %s: want language=text", w)
			}
			in.Words[tag] = text
		}
		x, err := cl.AuthorizationDetailTypes.Put(ctx, args[0], 0, in)
		if err != nil {
			return err
		}
		return c.showDetailType(x)
	})
	cmd.Flags().StringVar(&schema, "schema", "", "file with the JSON Schema of a detail, - for standard input")
	cmd.Flags().StringArrayVar(&words, "words", nil, "text for the consent page, as language=text with members in braces; repeat for more languages")
	_ = cmd.MarkFlagRequired("schema")
	_ = cmd.MarkFlagRequired("words")
	return cmd
}

func (c *console) showDetailType(x api.AuthorizationDetailType) error {
	return c.write(x, func(w io.Writer) {
		pairs := []string{"type", x.Type}
		for _, tag := range slices.Sorted(maps.Keys(x.Words)) {
			pairs = append(pairs, "words ("+tag+")", x.Words[tag])
		}
		facts(w, append(pairs, "schema", strings.Join(strings.Fields(x.Schema), " "), "created", moment(x.CreatedAt), "updated", moment(x.UpdatedAt))...)
	})
}
