package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// errUsage is an error in how a command was called: the program ends with 2.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

// usage has a command and those below it tell wrong calls from problems, and say
// how to call them. What is no command ends so, too: with help and 0, a script
// would take a typo for something done.
func usage(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return errUsage{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	for _, sub := range cmd.Commands() {
		usage(sub)
	}
	if cmd.HasSubCommands() {
		cmd.SuggestionsMinimumDistance = 2
		cmd.Args = noSuchCommand
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		return
	}
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return errUsage{fmt.Errorf("%w; the call is %s", err, cmd.UseLine())}
			}
			return nil
		}
	}
	// cobra looks at these after PreRunE, and its errors have no type.
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmp.Or(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
			return errUsage{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
		}
		return nil
	}
}

func noSuchCommand(cmd *cobra.Command, given []string) error {
	if len(given) == 0 {
		return nil
	}
	advice := "see " + cmd.CommandPath() + " --help"
	if close := cmd.SuggestionsFor(given[0]); len(close) > 0 {
		advice = "is it " + strings.Join(close, " or ") + "?"
	}
	return errUsage{fmt.Errorf("there is no command %q; %s", cmd.CommandPath()+" "+given[0], advice)}
}

// helpOfCommands has "cardea help" end as other calls do where there is no such
// command.
func helpOfCommands(root *cobra.Command) {
	help, _, err := root.Find([]string{"help"})
	if err != nil || help == root {
		return
	}
	help.Args = cobra.ArbitraryArgs
	help.RunE = func(_ *cobra.Command, args []string) error {
		cmd, rest, err := root.Find(args)
		if err != nil {
			return err
		}
		if cmd.HasSubCommands() {
			if err := noSuchCommand(cmd, rest); err != nil {
				return err
			}
		}
		cmd.InitDefaultHelpFlag()
		return cmd.Help()
	}
}

// onlyCommands leaves the line out of help that calls a command which is but a
// name for those below it.
func onlyCommands(template string) string {
	return strings.Replace(template, "{{if .Runnable}}", "{{if and .Runnable (not .HasAvailableSubCommands)}}", 1)
}

// failUnless ends with 1 after the problems have been said.
func failUnless(ok bool) error {
	if ok {
		return nil
	}
	return errSaid
}
