package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/access/folder"
)

func (c *console) policyTest() *cobra.Command {
	var strict bool
	cmd := &cobra.Command{Use: "test [DIR]", Short: "Run the tests of a folder on the function that decides", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, problems, dir, err := readFolder(args)
			if err != nil {
				return err
			}
			out := checkedOf(dir, f, problems)
			if out.OK {
				began := time.Now()
				out.Tests = f.Run()
				took := time.Since(began)
				out.OK = out.Tests.OK() && !(strict && len(out.Tests.Unexercised) > 0)
				if c.output == "table" || c.output == "" {
					c.printTests(dir, out.Tests, strict)
					if out.OK {
						fmt.Fprintf(c.out, "%s %s: %d questions of %d tests in %s\n", c.green("ok"), dir, out.Tests.Questions, out.Tests.Tests, took.Round(100*time.Microsecond))
					}
				}
			} else if c.output == "table" || c.output == "" {
				c.printProblems(dir, problems)
			}
			if c.output == "json" || c.output == "yaml" {
				if err := c.write(out, nil); err != nil {
					return err
				}
			}
			return failUnless(out.OK)
		}}
	cmd.Flags().BoolVar(&strict, "strict", false, "fail if there is a policy or role that no test rests on")
	return cmd
}

func (c *console) printTests(dir string, r *folder.Report, strict bool) {
	for _, x := range r.Failures {
		fmt.Fprintf(c.out, "%s: %s %s\n    %s: %s\n", cell(fmt.Sprintf("%s:%d", filepath.Join(dir, x.File), x.Line)), c.red("FAIL"), cell(x.Test), cell(x.Question), cell(x.Message))
		for _, reason := range x.Reasons {
			fmt.Fprintf(c.out, "    because %s\n", cell(reason))
		}
		for _, step := range x.Path {
			fmt.Fprintf(c.out, "    through %s\n", cell(step))
		}
	}
	paint := c.yellow
	if strict {
		paint = c.red
	}
	for _, u := range r.Unexercised {
		fmt.Fprintf(c.out, "%s: %s\n", cell(fmt.Sprintf("%s:%d:%d", filepath.Join(dir, u.File), u.Line, u.Column)), paint("no test rests on "+u.Kind+" "+cell(u.Name)))
	}
}
