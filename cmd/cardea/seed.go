package main

import (
	"github.com/spf13/cobra"
)

func (c *console) seedCommand() *cobra.Command {
	return &cobra.Command{Use: "seed", Hidden: true, Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return nil }}
}
