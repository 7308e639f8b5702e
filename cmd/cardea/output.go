package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	yaml "go.yaml.in/yaml/v4"
)

// column is one column of a table about Ts.
type column[T any] struct {
	title string
	text  func(T) string
}

// outputFlag lets the user choose how results are written.
func (c *console) outputFlag(cmd *cobra.Command) {
	c.output = "table"
	cmd.PersistentFlags().VarP((*outputValue)(&c.output), "output", "o", "how to write results: table, json or yaml")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// outputValue is how to write results: what it cannot be is a wrong call.
type outputValue string

func (v *outputValue) Set(s string) error {
	if s != "table" && s != "json" && s != "yaml" {
		return errors.New("want table, json or yaml")
	}
	*v = outputValue(s)
	return nil
}

func (v *outputValue) String() string { return string(*v) }
func (v *outputValue) Type() string   { return "string" }

// write writes v as JSON or YAML, or calls table.
func (c *console) write(v any, table func(w io.Writer)) error {
	switch c.output {
	case "json":
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	case "yaml":
		return writeYAML(c.out, v)
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// writeYAML goes through JSON, so that both have the same keys.
func writeYAML(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(data, &node); err != nil {
		return err
	}
	plain(&node)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return err
	}
	return enc.Close()
}

// plain drops the JSON style of a node, so that it is written as YAML.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

// rows writes a table with a heading.
func rows[T any](w io.Writer, columns []column[T], items []T) {
	titles := make([]string, len(columns))
	for i, col := range columns {
		titles[i] = col.title
	}
	fmt.Fprintln(w, strings.Join(titles, "\t"))
	for _, item := range items {
		cells := make([]string, len(columns))
		for i, col := range columns {
			cells[i] = cell(col.text(item))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
}

// facts writes one thing as lines of name and value.
func facts(w io.Writer, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", pairs[i], cell(pairs[i+1]))
		}
	}
}

// cell makes text from a server harmless to a terminal and to the table.
func cell(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '?'
		}
		return r
	}, s)
}

// lines is text of several lines, harmless to a terminal.
func lines(s string) string {
	parts := strings.Split(s, "\n")
	for i := range parts {
		parts[i] = cell(parts[i])
	}
	return strings.Join(parts, "\n")
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func optionalMoment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return moment(*t)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func words(list []string) string { return strings.Join(list, " ") }
