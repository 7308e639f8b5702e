package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

// resource is a command that groups what can be done with one kind of thing.
func (c *console) resource(noun, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: noun, Short: short, Args: cobra.NoArgs}
	c.remoteFlags(cmd)
	c.outputFlag(cmd)
	cmd.AddCommand(commands...)
	return cmd
}

// action is a command whose work needs the admin API. What it is about may be
// named as well as identified.
func (c *console) action(use, short string, args cobra.PositionalArgs, do func(ctx context.Context, cl *client.Client, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		cl, err := c.admin()
		if err != nil {
			return err
		}
		ids := slices.Clone(args)
		for i, placeholder := range strings.Fields(use)[1:] {
			if i == len(ids) {
				break
			}
			if ids[i], err = identify(cmd.Context(), cl, placeholder, ids[i]); err != nil {
				return err
			}
		}
		return do(cmd.Context(), cl, ids)
	}}
}

// deed is an action that answers with one line.
func (c *console) deed(use, short string, args cobra.PositionalArgs, done string, do func(ctx context.Context, cl *client.Client, args []string) error) *cobra.Command {
	cmd := c.action(use, short, args, do)
	act := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := act(cmd, args); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s %s.\n", cell(args[len(args)-1]), done)
		return nil
	}
	return cmd
}

// identify finds the id of a group, an organization or a service by its name. An
// id, and what has no such name, stays as it is: the server knows users by their
// names, and says what it does not know.
func identify(ctx context.Context, cl *client.Client, placeholder, text string) (string, error) {
	if isID(text) {
		return text, nil
	}
	like := client.Filter{"q": text}
	switch placeholder {
	case "GROUP":
		return named(cl.Groups.All(ctx, like), text, func(g api.Group) (string, string) { return g.ID, g.Name })
	case "ORGANIZATION":
		return named(cl.Organizations.All(ctx, like), text, func(o api.Organization) (string, string) { return unlessDeleted(o.State, o.ID), o.Name })
	case "SERVICE":
		return named(cl.Services.All(ctx, like), text, func(s api.Service) (string, string) { return unlessDeleted(s.State, s.ID), s.Name })
	}
	return text, nil
}

// named finds the id of the one of that name, or gives the name back.
func named[T any](all iter.Seq2[T, error], name string, of func(T) (id, name string)) (string, error) {
	for one, err := range all {
		if err != nil {
			return "", err
		}
		if id, its := of(one); id != "" && strings.EqualFold(its, name) {
			return id, nil
		}
	}
	return name, nil
}

func isID(text string) bool { return len(text) == 30 && text[3] == '_' }

// filterFlag is a flag of a list that becomes a query parameter.
type filterFlag struct{ name, help string }

// lister fetches one page of a list.
type lister[T any] func(ctx context.Context, cl *client.Client, args []string, f client.Filter, at client.Cursor) (api.Page[T], error)

// listing makes the command that lists things. What does not depend on their type is
// in paging, since each type has a copy of this.
func listing[T any](c *console, use, short string, args cobra.PositionalArgs, columns []column[T], fetch lister[T], filters ...filterFlag) *cobra.Command {
	p := &paging{}
	cmd := c.action(use, short, args, func(ctx context.Context, cl *client.Client, args []string) error {
		f, at, err := p.first()
		if err != nil {
			return err
		}
		page, err := fetch(ctx, cl, args, f, at)
		for p.all && err == nil && page.Next != "" {
			at.After = page.Next
			var more api.Page[T]
			more, err = fetch(ctx, cl, args, f, at)
			page.Items, page.Next = append(page.Items, more.Items...), more.Next
		}
		if err != nil {
			return err
		}
		if err := c.write(page, func(w io.Writer) { rows(w, columns, page.Items) }); err != nil {
			return err
		}
		c.tellMore(page.Next)
		return nil
	})
	p.flags(cmd, filters)
	return cmd
}

// paging are the flags of a list.
type paging struct {
	limit   int
	all     bool
	after   string
	filters map[string]*string
}

func (p *paging) flags(cmd *cobra.Command, filters []filterFlag) {
	cmd.Flags().IntVar(&p.limit, "limit", 50, "most to fetch, up to 500")
	cmd.Flags().BoolVar(&p.all, "all", false, "fetch every page")
	cmd.Flags().StringVar(&p.after, "after", "", "go on where an earlier page ended")
	p.filters = map[string]*string{}
	for _, f := range filters {
		p.filters[f.name] = cmd.Flags().String(f.name, "", f.help)
	}
}

// first is what to ask for first.
func (p *paging) first() (f client.Filter, at client.Cursor, err error) {
	f, at = client.Filter{}, client.Cursor{After: p.after, Limit: p.limit}
	if p.all {
		at.Limit = 500
	}
	for name, v := range p.filters {
		f[name] = *v
		if *v == "" || name != "since" && name != "until" {
			continue
		}
		moment, err := readTime(name, *v)
		if err != nil {
			return nil, at, err
		}
		f[name] = moment.Format(time.RFC3339Nano)
	}
	return f, at, nil
}

func (c *console) tellMore(next string) {
	if next != "" && c.output == "table" {
		fmt.Fprintf(c.err, "There are more: --all, or --after %s\n", cell(next))
	}
}

// readTime reads a time of a command line.
func readTime(flag, text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, errUsage{fmt.Errorf("--%s %s: want a time such as 2026-01-31T08:00:00Z, or a date, which is its midnight in UTC", flag, text)}
	}
	return at, nil
}

// maybe gives a pointer to a flag's value if the flag was given.
func maybe[T any](cmd *cobra.Command, name string, v T) *T {
	if !cmd.Flags().Changed(name) {
		return nil
	}
	return &v
}
