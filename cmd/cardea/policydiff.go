package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/access/folder"
)

func (c *console) policyDiff() *cobra.Command {
	var texts bool
	cmd := &cobra.Command{Use: "diff BEFORE AFTER", Short: "Say in words how two folders differ: directories, or versions on the server as @3 and @current", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var both [2]*folder.Folder
			for i, arg := range args {
				f, err := c.eitherFolder(cmd.Context(), arg)
				if err != nil {
					return err
				}
				both[i] = f
			}
			d := folder.Diff(both[0], both[1])
			if c.output == "json" || c.output == "yaml" {
				return c.write(d, nil)
			}
			for _, x := range d {
				fmt.Fprintln(c.out, cell(x.Words))
				if texts {
					c.printTexts(x.Before, x.After)
				}
			}
			return nil
		}}
	cmd.Flags().BoolVar(&texts, "texts", false, "show what was and what is as well")
	return cmd
}

func (c *console) printTexts(before, after string) {
	for _, side := range []struct{ mark, text string }{{c.red("- "), before}, {c.green("+ "), after}} {
		for line := range strings.SplitSeq(strings.TrimSuffix(side.text, "\n"), "\n") {
			if side.text != "" {
				fmt.Fprintf(c.out, "    %s%s\n", side.mark, cell(strings.ReplaceAll(line, "\t", "    ")))
			}
		}
	}
}

// eitherFolder reads a directory, or a version of the server.
func (c *console) eitherFolder(ctx context.Context, arg string) (*folder.Folder, error) {
	if v, ok := strings.CutPrefix(arg, "@"); ok {
		cl, err := c.admin()
		if err != nil {
			return nil, err
		}
		got, err := cl.Policies.Get(ctx, v)
		if err != nil {
			return nil, err
		}
		var files folder.Files
		for _, f := range got.Contents {
			files = append(files, folder.File{Path: f.Path, Text: []byte(f.Text)})
		}
		f, _ := folder.Read(files)
		return f, nil
	}
	f, problems, dir, err := readFolder([]string{arg})
	if err == nil && len(problems) > 0 {
		c.printProblems(dir, problems)
		err = errSaid
	}
	return f, err
}
