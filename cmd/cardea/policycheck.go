package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/access/folder"
)

// checked is what check and test say in JSON.
type checked struct {
	Folder   string           `json:"folder"`
	OK       bool             `json:"ok"`
	Hash     string           `json:"hash,omitempty"`
	Policies int              `json:"policies"`
	Roles    int              `json:"roles"`
	Problems []folder.Problem `json:"problems"`
	Tests    *folder.Report   `json:"tests,omitempty"`
}

func checkedOf(dir string, f *folder.Folder, problems folder.Problems) checked {
	out := checked{Folder: dir, OK: len(problems) == 0, Hash: f.Hash, Policies: len(f.Policies()), Problems: []folder.Problem{}}
	out.Problems = append(out.Problems, problems...)
	for _, t := range f.Source.Roles.Types {
		out.Roles += len(t.Roles)
	}
	return out
}

func (c *console) policyCheck() *cobra.Command {
	return &cobra.Command{Use: "check [DIR]", Short: "Report every problem of a folder, with its place and what to do", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, problems, dir, err := readFolder(args)
			if err != nil {
				return err
			}
			out := checkedOf(dir, f, problems)
			if c.output == "table" || c.output == "" {
				c.printProblems(dir, problems)
				if out.OK {
					fmt.Fprintf(c.out, "%s %s: %d policies, %d roles, %d tests, %s\n", c.green("ok"), dir, out.Policies, out.Roles, len(f.Tests), f.Hash[:12])
				}
			} else if err := c.write(out, nil); err != nil {
				return err
			}
			return failUnless(out.OK)
		}}
}
