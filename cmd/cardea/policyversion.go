package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

func (c *console) policyList() *cobra.Command {
	columns := []column[api.PolicyVersion]{
		{"VERSION", func(v api.PolicyVersion) string { return fmt.Sprint(v.Number) }},
		{"HASH", func(v api.PolicyVersion) string { return v.Hash[:min(12, len(v.Hash))] }},
		{"QUESTIONS", func(v api.PolicyVersion) string { return fmt.Sprint(v.Tests) }},
		{"BY", func(v api.PolicyVersion) string { return strings.TrimSpace(v.By.Kind + " " + v.By.ID) }},
		{"APPLIED", func(v api.PolicyVersion) string { return moment(v.CreatedAt) }},
		{"MESSAGE", func(v api.PolicyVersion) string { return firstOf(v.Message, v.Origin) }},
	}
	return listing(c, "list", "List versions, the newest first", cobra.NoArgs, columns,
		func(ctx context.Context, cl *client.Client, _ []string, _ client.Filter, at client.Cursor) (api.Page[api.PolicyVersion], error) {
			return cl.Policies.List(ctx, at)
		})
}

func (c *console) policyShow() *cobra.Command {
	var to string
	var builtIn bool
	cmd := c.action("show [VERSION]", "Show a version, or the one that counts, and its files", cobra.MaximumNArgs(1),
		func(ctx context.Context, cl *client.Client, args []string) error {
			if builtIn {
				return c.showBuiltIn(cl.Policies.BuiltIn(ctx))
			}
			v, err := cl.Policies.Get(ctx, firstOf(append(args, "current")...))
			if err != nil {
				return err
			}
			if to != "" {
				return c.saveFolder(to, v)
			}
			return c.showVersion(v)
		})
	cmd.Flags().StringVar(&to, "write", "", "write its files into this new directory")
	cmd.Flags().BoolVar(&builtIn, "built-in", false, "show the policies about Cardea's own administration, and what the realm adds to them")
	cmd.MarkFlagsMutuallyExclusive("built-in", "write")
	return cmd
}

// saveFolder writes the files of a version into a directory that is not there yet.
func (c *console) saveFolder(dir string, v api.PolicyVersion) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range v.Contents {
		if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(f.Path)), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(filepath.FromSlash(f.Path), []byte(f.Text), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.out, "version %d: %d files in %s\n", v.Number, len(v.Contents), dir)
	return nil
}

func (c *console) showVersion(v api.PolicyVersion) error {
	return c.write(v, func(w io.Writer) {
		facts(w, "version", fmt.Sprint(v.Number), "hash", v.Hash, "files", fmt.Sprint(v.Files), "questions", fmt.Sprint(v.Tests), "message", v.Message,
			"origin", v.Origin, "plan", v.Plan, "by", strings.TrimSpace(v.By.Kind+" "+v.By.ID), "applied", moment(v.CreatedAt))
		for _, f := range v.Contents {
			fmt.Fprintf(w, "\n==> %s\n%s", cell(f.Path), lines(strings.ReplaceAll(f.Text, "\t", "    ")))
		}
	})
}
