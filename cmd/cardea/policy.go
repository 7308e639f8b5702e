package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/folder"
)

func (c *console) policyCommand() *cobra.Command {
	cmd := c.resource("policy", "Policy as code: a folder of schema, roles, policies and their tests",
		c.policyCheck(), c.policyTest(), c.policyFmt(), c.policyDiff(), c.policyPlan(), c.policyApply(), c.policyList(), c.policyShow(), c.policyRollback(), c.policyFollow())
	cmd.Long = `A policy folder holds schema.cedarschema, roles.yaml, policies/*.cedar and tests/*.yaml.
check, test, fmt and diff need no server. plan asks the decisions of the last days again and
names who would gain and who would lose which access; apply can require that plan.

Exit codes: 0, 1 if there are problems, 2 if the command was called wrongly.`
	cmd.Example = `  cardea policy check policies/
  cardea policy test policies/
  cardea policy plan policies/ --days 30
  cardea policy apply policies/ --plan 3f1c… --message "viewers may comment"
  cardea policy follow --git https://git.example.com/acme/policies.git --branch main`
	return cmd
}

// openFolder reads the folder at a path, out of which no link leads.
func openFolder(dir string) (folder.Files, folder.Problems, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, errUsage{err}
	}
	defer root.Close()
	files, problems := folder.Open(root.FS())
	return files, problems, nil
}

// readFolder reads and judges the folder that args name, or the one here.
func readFolder(args []string) (*folder.Folder, folder.Problems, string, error) {
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	files, problems, err := openFolder(dir)
	if err != nil {
		return nil, nil, dir, err
	}
	f, more := folder.Read(files)
	return f, append(problems, more...), dir, nil
}

// printProblems writes problems as compilers do, with paths from here.
func (c *console) printProblems(dir string, problems folder.Problems) {
	for _, p := range problems {
		p.File = filepath.Join(dir, p.File)
		advice := ""
		if p.Advice != "" {
			advice = "\n    " + p.Advice
		}
		fmt.Fprintf(c.out, "%s: %s%s\n", cell(p.Place()), c.red(lines(p.Message)), lines(advice))
	}
}

// sendable reads a folder for the server, which judges it itself as well.
func (c *console) sendable(dir string) ([]api.PolicyFile, error) {
	f, problems, dir, err := readFolder([]string{dir})
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		c.printProblems(dir, problems)
		return nil, errSaid
	}
	var files []api.PolicyFile
	for _, x := range f.Files {
		files = append(files, api.PolicyFile{Path: x.Path, Text: string(x.Text)})
	}
	return files, nil
}
