package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// errUsage is an error in how a command was called: the program ends with 2.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

// usage has a command and those below it tell wrong calls from problems.
func usage(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return errUsage{err} })
	for _, sub := range cmd.Commands() {
		if args := sub.Args; args != nil {
			sub.Args = func(cmd *cobra.Command, given []string) error {
				if err := args(cmd, given); err != nil {
					return errUsage{err}
				}
				return nil
			}
		}
		usage(sub)
	}
	if args := cmd.Args; args != nil && cmd.HasSubCommands() {
		cmd.Args = func(_ *cobra.Command, given []string) error {
			if len(given) > 0 {
				return errUsage{fmt.Errorf("there is no command %q; see cardea policy --help", given[0])}
			}
			return nil
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
}

// failUnless ends with 1 after the problems have been said.
func failUnless(ok bool) error {
	if ok {
		return nil
	}
	return errSaid
}
