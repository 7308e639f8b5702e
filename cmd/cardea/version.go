package main

import (
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/db"
)

func (c *console) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": version, "commit": builtFrom(), "schema": db.Schema(), "go": runtime.Version()}
			return c.write(v, func(w io.Writer) {
				facts(w, "version", v["version"], "commit", v["commit"], "schema", v["schema"], "go", v["go"])
			})
		},
	}
	c.outputFlag(cmd)
	return cmd
}

// builtFrom is the commit that the linker or the go command noted.
func builtFrom() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
