package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/access/folder"
)

func (c *console) policyFmt() *cobra.Command {
	var check bool
	cmd := &cobra.Command{Use: "fmt [DIR]", Short: "Give the files of a folder their canonical layout; comments stay", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			files, problems, err := openFolder(dir)
			if err != nil {
				return err
			}
			changed := []string{}
			for _, f := range files {
				out, problem := folder.Layout(f)
				if problem != nil {
					problems = append(problems, *problem)
					continue
				}
				if out == string(f.Text) {
					continue
				}
				changed = append(changed, f.Path)
				if !check {
					if err := replaceFile(filepath.Join(dir, filepath.FromSlash(f.Path)), out); err != nil {
						return err
					}
				}
			}
			if c.output == "table" || c.output == "" {
				c.printProblems(dir, problems)
				for _, p := range changed {
					fmt.Fprintln(c.out, filepath.Join(dir, p))
				}
			} else if err := c.write(map[string]any{"changed": changed, "problems": append(folder.Problems{}, problems...)}, nil); err != nil {
				return err
			}
			return failUnless(len(problems) == 0 && !(check && len(changed) > 0))
		}}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; fail if a file would change")
	return cmd
}

// replaceFile writes a file beside and puts it in the place of the old one.
func replaceFile(name, text string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	tmp := name + ".new"
	if err := os.WriteFile(tmp, []byte(text), info.Mode().Perm()); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}
