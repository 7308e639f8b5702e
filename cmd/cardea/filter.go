package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
)

func (c *console) filterCommand() *cobra.Command {
	var circumstances, of, id string
	var attributes, parents map[string]string
	dialect := "postgresql"
	cmd := c.action("filter SUBJECT ACTION TYPE", "Show the SQL that picks the rows of a table which somebody may see", cobra.ExactArgs(3), nil)
	cmd.Long = `Show the condition that an application would get for its own table: exactly the rows of which the policies say yes.
A column is a name with its table before it, if needed, and its type behind a colon, if it is not what fits the schema:
text, integer, uuid, boolean, epoch_s or epoch_ms. Nothing is written down.`
	cmd.Example = `  cardea access filter user:usr_0198f2c4a1b3kq7m2x9d5tz8wr view document --id d.id --attribute owner=d.owner_id --attribute due=d.due:epoch_s --parent folder=d.folder_id`
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		typ, who, ok := strings.Cut(args[0], ":")
		if !ok || typ == "" || who == "" {
			return fmt.Errorf("%q is not of the form TYPE:ID, such as user:usr_0198f2c4a1b3kq7m2x9d5tz8wr", args[0])
		}
		q := api.AccessFilterQuestion{Subject: api.DecisionEntity{Type: typ, ID: who}, Action: args[1], ResourceType: args[2], Dialect: dialect,
			ID: tableColumn(id), Attributes: tableColumns(attributes), Parents: tableColumns(parents)}
		if err := readObjects(map[string]object{"context": {circumstances, &q.Context}, "subject": {of, &q.SubjectProperties}}); err != nil {
			return err
		}
		cl, err := c.admin()
		if err != nil {
			return err
		}
		f, err := cl.Decisions.Filter(cmd.Context(), q)
		if err != nil {
			return err
		}
		return c.write(f, func(w io.Writer) {
			facts(w, "rows", f.Decision, "because", f.Reason, "policies", words(f.Policies), "where", f.SQL)
			for i, v := range f.Parameters {
				text, _ := json.Marshal(v) // it came as JSON
				facts(w, fmt.Sprintf("parameter %d", i+1), string(text))
			}
			if f.StepUp != nil {
				facts(w, "some, after", "a sign-in with "+f.StepUp.ACR)
			}
			facts(w, "revision", f.Revision, "policy hash", f.PolicyHash)
		})
	}
	cmd.Flags().StringVar(&dialect, "dialect", dialect, "postgresql, sqlite or mysql")
	cmd.Flags().StringVar(&id, "id", "id", "column of the resource's id")
	cmd.Flags().StringToStringVar(&attributes, "attribute", nil, "column of an attribute, as NAME=COLUMN[:TYPE]")
	cmd.Flags().StringToStringVar(&parents, "parent", nil, "column of the id of a parent, as TYPE=COLUMN[:TYPE]")
	cmd.Flags().StringVar(&circumstances, "context", "", "circumstances as a JSON object")
	cmd.Flags().StringVar(&of, "subject", "", "properties of the subject as a JSON object")
	return cmd
}

func tableColumn(text string) api.TableColumn {
	name, kind, _ := strings.Cut(text, ":")
	return api.TableColumn{Column: name, Type: kind}
}

func tableColumns(m map[string]string) map[string]api.TableColumn {
	out := map[string]api.TableColumn{}
	for name, text := range m {
		out[name] = tableColumn(text)
	}
	return out
}
