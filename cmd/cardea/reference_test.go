package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cardea-id/cardea/internal/config"
)

// The page is what the commands say of themselves. After changing one:
// go test ./cmd/cardea -update
func TestReferencePageIsCurrent(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "reference", "cli.md")
	var b bytes.Buffer
	b.WriteString(`# Command line

Every command explains itself with ` + "`--help`" + `; ` + "`cardea completion bash|zsh|fish|powershell`" + ` prints a
script that completes commands, flags, and the names and ids that the admin API lists. The commands that administer a realm speak to its
[admin API](api.md), as whom ` + "`cardea login`" + ` left or as the access token in ` + "`CARDEA_TOKEN`" + `.
A command ends with 0 when it did what it says, with 1 when it did not, and with 2 where it was called wrongly, as
far as the command sees that before it asks the server.
Those that run a server take every setting of [configuration.md](configuration.md) as a flag.

This page is generated from cmd/cardea.
`)
	root := newRoot(&console{getenv: func(string) string { return "" }, out: io.Discard, err: io.Discard})
	for _, group := range root.Groups() {
		fmt.Fprintf(&b, "\n## %s\n", strings.TrimSuffix(group.Title, ":"))
		for _, cmd := range root.Commands() {
			if cmd.GroupID == group.ID && !cmd.Hidden {
				describe(&b, cmd)
			}
		}
	}
	if *update {
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b.Bytes()) {
		t.Errorf("%s is not what the commands say of themselves; run: go test ./cmd/cardea -update", name)
	}
}

func describe(b *bytes.Buffer, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n### %s\n\n%s.\n", cmd.CommandPath(), strings.TrimSuffix(cmd.Short, "."))
	if cmd.Long != "" && cmd.Long != cmd.Short {
		fmt.Fprintf(b, "\n%s\n", cmd.Long)
	}
	if cmd.Example != "" {
		fmt.Fprintf(b, "\n```\n%s\n```\n", cmd.Example)
	}
	flags(b, cmd)
	subcommands(b, cmd)
}

func subcommands(b *bytes.Buffer, cmd *cobra.Command) {
	if cmd.HasSubCommands() {
		b.WriteString("\n| command | |\n|---|---|\n")
	}
	for _, sub := range leaves(cmd) {
		var own []string
		sub.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !setting(sub, f.Name) {
				own = append(own, "`--"+f.Name+"`")
			}
		})
		extra := ""
		if len(own) > 0 {
			extra = " (" + strings.Join(own, " ") + ")"
		}
		fmt.Fprintf(b, "| `%s` | %s%s |\n", strings.TrimPrefix(sub.UseLine(), "cardea "), sub.Short, extra)
	}
}

// leaves are the commands below cmd that do something.
func leaves(cmd *cobra.Command) (out []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		if sub.HasSubCommands() {
			out = append(out, leaves(sub)...)
			continue
		}
		out = append(out, sub)
	}
	return out
}

func flags(b *bytes.Buffer, cmd *cobra.Command) {
	first := true
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || setting(cmd, f.Name) {
			return
		}
		if first {
			b.WriteString("\n")
		}
		first = false
		fmt.Fprintf(b, "- `--%s`: %s\n", f.Name, f.Usage)
	})
}

// setting reports whether a flag of a command is one of the configuration's.
func setting(cmd *cobra.Command, name string) bool {
	if cmd.Flags().Lookup("config") == nil {
		return false
	}
	for _, f := range config.Fields() {
		if name == f.Flag && f.Flag != "" || f.Secret && name == f.FileFlag() {
			return true
		}
	}
	return name == "config"
}

// What a flag is called says not whether it is a setting: others have an issuer, too.
func TestReferenceHasFlagsThatAreCalledLikeSettings(t *testing.T) {
	root := newRoot(&console{getenv: func(string) string { return "" }, out: io.Discard, err: io.Discard})
	for _, name := range []string{"edge", "client", "trusted-issuer"} {
		cmd, _, err := root.Find([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		describe(&b, cmd)
		if !strings.Contains(b.String(), "`--issuer`") {
			t.Errorf("cardea %s: --issuer is not in the reference", name)
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	root := newRoot(&console{getenv: func(string) string { return "" }, out: io.Discard, err: io.Discard})
	for _, cmd := range leaves(root) {
		if cmd.Short == "" || cmd.RunE == nil || cmd.Args == nil {
			t.Errorf("%s needs a short description, work and a rule for its arguments", cmd.CommandPath())
		}
	}
}
