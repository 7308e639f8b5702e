package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

func (c *console) policyFollow() *cobra.Command {
	var s api.PolicySourcePut
	var git, directory, password string
	var stop, now bool
	cmd := c.action("follow", "Follow a Git repository or a directory of the server; without flags, show what is followed and how it is", cobra.NoArgs,
		func(ctx context.Context, cl *client.Client, _ []string) error {
			switch {
			case boolCount(git != "", directory != "", stop, now) > 1:
				return errUsage{errors.New("give one of --git, --directory, --now and --stop")}
			case stop:
				if err := cl.Policies.Unfollow(ctx); err != nil {
					return err
				}
				fmt.Fprintln(c.out, "Nothing is followed any more; what was applied stays.")
				return nil
			case now:
				return c.showPolicySource(cl.Policies.Look(ctx))
			case git == "" && directory == "":
				return c.showPolicySource(cl.Policies.Source(ctx))
			}
			if s.Kind, s.Location = "git", git; directory != "" {
				s.Kind, s.Location = "directory", directory
			}
			if password != "" {
				text, err := os.ReadFile(password)
				if err != nil {
					return errUsage{err}
				}
				s.Password = strings.TrimSpace(string(text))
			}
			return c.showPolicySource(cl.Policies.Follow(ctx, s))
		})
	f := cmd.Flags()
	f.StringVar(&git, "git", "", "https address of the repository")
	f.StringVar(&s.Branch, "branch", "", "branch; the default one if absent")
	f.StringVar(&s.Folder, "folder", "", "folder within the repository")
	f.StringVar(&s.Username, "username", "", "for the repository")
	f.StringVar(&password, "password-file", "", "file with the password or access token for the repository")
	f.StringVar(&directory, "directory", "", "absolute path on the server, below one of its setting policies.directories")
	f.Int64Var(&s.Seconds, "seconds", 0, "between two looks (default 60, of a directory 5)")
	f.BoolVar(&now, "now", false, "look now, and again at what was refused")
	f.BoolVar(&stop, "stop", false, "follow nothing any more")
	return cmd
}

func boolCount(all ...bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

func (c *console) showPolicySource(s api.PolicySource, err error) error {
	if err != nil {
		return err
	}
	err = c.write(s, func(w io.Writer) {
		version := ""
		if s.Version > 0 {
			version = fmt.Sprint(s.Version)
		}
		facts(w, "kind", s.Kind, "location", s.Location, "branch", s.Branch, "folder", s.Folder, "username", s.Username, "password", yes(s.HasPassword), "every", fmt.Sprintf("%d s", s.Seconds),
			"looked", optionalMoment(s.CheckedAt), "found", s.Seen, "state", s.State, "since", moment(s.SinceAt), "version", version)
		if s.Detail != "" {
			fmt.Fprintf(w, "\n%s\n", lines(s.Detail))
		}
	})
	return errors.Join(err, failUnless(s.State != "refused" && s.State != "unreachable"))
}
