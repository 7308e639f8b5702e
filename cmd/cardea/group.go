package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

var memberColumns = []column[api.Member]{
	{"ID", func(m api.Member) string { return m.ID }},
	{"KIND", func(m api.Member) string { return m.Kind }},
	{"NAME", func(m api.Member) string { return m.Name }},
	{"RELATION", func(m api.Member) string { return m.Relation }},
}

func (c *console) groupCommand() *cobra.Command {
	columns := []column[api.Group]{
		{"ID", func(g api.Group) string { return g.ID }},
		{"NAME", func(g api.Group) string { return g.Name }},
		{"DISPLAY NAME", func(g api.Group) string { return g.DisplayName }},
	}
	show := func(g api.Group) error {
		return c.write(g, func(w io.Writer) {
			facts(w, "id", g.ID, "name", g.Name, "display name", g.DisplayName, "created", moment(g.CreatedAt), "updated", moment(g.UpdatedAt))
		})
	}
	create := c.named("create NAME", "Create a group", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string, n names) error {
		g, err := cl.Groups.Create(ctx, api.GroupCreate{Name: args[0], DisplayName: n.display})
		if err != nil {
			return err
		}
		return show(g)
	})
	update := c.named("update GROUP", "Rename a group", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string, n names) error {
		g, err := cl.Groups.Get(ctx, args[0])
		if err != nil {
			return err
		}
		g, err = cl.Groups.Update(ctx, g.ID, g.Version, api.GroupUpdate{Name: n.newName, DisplayName: n.newDisplay})
		if err != nil {
			return err
		}
		return show(g)
	})
	cmd := c.resource("group", "Groups and their members",
		listing(c, "list", "List groups", cobra.NoArgs, columns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Group], error) {
				return cl.Groups.List(ctx, f, at)
			}, filterFlag{"q", "groups whose name begins with it"}),
		c.action("show GROUP", "Show a group", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			g, err := cl.Groups.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return show(g)
		}),
		create, update,
		c.deed("delete GROUP", "Delete a group; its members stay", cobra.ExactArgs(1), "is deleted", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Groups.Delete(ctx, args[0])
		}),
		listing(c, "members GROUP", "List the direct members of a group", cobra.ExactArgs(1), memberColumns,
			func(ctx context.Context, cl *client.Client, args []string, _ client.Filter, at client.Cursor) (api.Page[api.Member], error) {
				return cl.Groups.MembersPage(ctx, args[0], at)
			}),
		c.memberAdd("GROUP", func(cl *client.Client) container { return cl.Groups }),
		c.memberRemove("GROUP", func(cl *client.Client) container { return cl.Groups }),
	)
	cmd.Example = `  cardea group create engineering
  cardea group add engineering ada@example.com
  cardea group members engineering --all`
	return cmd
}

func (c *console) organizationCommand() *cobra.Command {
	columns := []column[api.Organization]{
		{"ID", func(o api.Organization) string { return o.ID }},
		{"NAME", func(o api.Organization) string { return o.Name }},
		{"DISPLAY NAME", func(o api.Organization) string { return o.DisplayName }},
		{"STATE", func(o api.Organization) string { return o.State }},
	}
	show := func(o api.Organization) error {
		return c.write(o, func(w io.Writer) {
			facts(w, "id", o.ID, "name", o.Name, "display name", o.DisplayName, "state", o.State, "created", moment(o.CreatedAt), "updated", moment(o.UpdatedAt))
		})
	}
	cmd := c.resource("organization", "Business customers and their members",
		listing(c, "list", "List organizations", cobra.NoArgs, columns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Organization], error) {
				return cl.Organizations.List(ctx, f, at)
			}, filterFlag{"q", "organizations whose name begins with it"}),
		c.action("show ORGANIZATION", "Show an organization", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			o, err := cl.Organizations.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return show(o)
		}),
		c.named("create NAME", "Create an organization", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string, n names) error {
			o, err := cl.Organizations.Create(ctx, api.OrganizationCreate{Name: args[0], DisplayName: n.display})
			if err != nil {
				return err
			}
			return show(o)
		}),
		c.named("update ORGANIZATION", "Rename an organization", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string, n names) error {
			o, err := cl.Organizations.Get(ctx, args[0])
			if err != nil {
				return err
			}
			o, err = cl.Organizations.Update(ctx, o.ID, o.Version, api.OrganizationUpdate{Name: n.newName, DisplayName: n.newDisplay})
			if err != nil {
				return err
			}
			return show(o)
		}),
		c.deed("delete ORGANIZATION", "Delete an organization; its members stay", cobra.ExactArgs(1), "is deleted", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Organizations.Delete(ctx, args[0])
		}),
		listing(c, "members ORGANIZATION", "List the members of an organization", cobra.ExactArgs(1), memberColumns,
			func(ctx context.Context, cl *client.Client, args []string, _ client.Filter, at client.Cursor) (api.Page[api.Member], error) {
				return cl.Organizations.MembersPage(ctx, args[0], at)
			}),
		c.memberAdd("ORGANIZATION", func(cl *client.Client) container { return cl.Organizations }),
		c.memberRemove("ORGANIZATION", func(cl *client.Client) container { return cl.Organizations }),
	)
	cmd.Aliases = []string{"org"}
	cmd.Example = `  cardea organization create acme --display-name "Acme Inc."
  cardea organization add acme ada@example.com --relation employee`
	return cmd
}

// names are the flags of commands that name things.
type names struct {
	display             string
	newName, newDisplay *string // nil when the flag was not given
}

// named is an action with flags for names. Only update takes a new name; create
// takes the name as its argument.
func (c *console) named(use, short string, args cobra.PositionalArgs, do func(ctx context.Context, cl *client.Client, args []string, n names) error) *cobra.Command {
	var name, display string
	var cmd *cobra.Command
	cmd = c.action(use, short, args, func(ctx context.Context, cl *client.Client, args []string) error {
		n := names{display: display, newDisplay: maybe(cmd, "display-name", display)}
		if cmd.Flags().Lookup("name") != nil {
			n.newName = maybe(cmd, "name", name)
		}
		return do(ctx, cl, args, n)
	})
	cmd.Flags().StringVar(&display, "display-name", "", "the name that people read")
	if cmd.Name() == "update" {
		cmd.Flags().StringVar(&name, "name", "", "a new name")
	}
	return cmd
}

// container is what has members.
type container interface {
	PutMember(ctx context.Context, id, member, relation string) error
	RemoveMember(ctx context.Context, id, member string) error
}

func (c *console) memberAdd(noun string, in func(*client.Client) container) *cobra.Command {
	var relation string
	cmd := c.action("add "+noun+" MEMBER", "Add a member: an id, or a user's name or address", cobra.ExactArgs(2), func(ctx context.Context, cl *client.Client, args []string) error {
		member, err := memberID(ctx, cl, args[1])
		if err != nil {
			return err
		}
		if err := in(cl).PutMember(ctx, args[0], member, relation); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s is a member.\n", cell(args[1]))
		return nil
	})
	cmd.Flags().StringVar(&relation, "relation", "", "a word of your own, such as employee; it grants nothing")
	return cmd
}

func (c *console) memberRemove(noun string, in func(*client.Client) container) *cobra.Command {
	return c.action("remove "+noun+" MEMBER", "Take a member out", cobra.ExactArgs(2), func(ctx context.Context, cl *client.Client, args []string) error {
		member, err := memberID(ctx, cl, args[1])
		if err != nil {
			return err
		}
		if err := in(cl).RemoveMember(ctx, args[0], member); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s is no member any more.\n", cell(args[1]))
		return nil
	})
}

// memberID takes an id as it is, and anything else as the name of a user.
func memberID(ctx context.Context, cl *client.Client, text string) (string, error) {
	if isID(text) {
		return text, nil
	}
	u, err := cl.Users.Get(ctx, text)
	return u.ID, err
}

// nameID has a filter name a principal by id, so that a list of nothing never
// means that a name was given.
func nameID(ctx context.Context, cl *client.Client, f client.Filter, name string) (err error) {
	if f[name] != "" {
		f[name], err = memberID(ctx, cl, f[name])
	}
	return err
}
