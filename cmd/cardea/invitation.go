package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

var invitationColumns = []column[api.Invitation]{
	{"ID", func(x api.Invitation) string { return x.ID }},
	{"EMAIL", func(x api.Invitation) string { return x.Email }},
	{"STATE", func(x api.Invitation) string { return x.State }},
	{"EXPIRES", func(x api.Invitation) string { return moment(x.ExpiresAt) }},
	{"USER", func(x api.Invitation) string { return x.User }},
}

func (c *console) invitationCommand() *cobra.Command {
	cmd := c.resource("invitation", "Ask people without an account to make one",
		listing(c, "list", "List invitations", cobra.NoArgs, invitationColumns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Invitation], error) {
				return cl.Invitations.List(ctx, f, at)
			}, filterFlag{"state", "open, accepted, withdrawn or expired"}),
		c.action("show INVITATION-ID", "Show an invitation", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			i, err := cl.Invitations.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.write(i, func(w io.Writer) { invitationFacts(w, i) })
		}),
		c.invitationCreate(), c.invitationSend(),
		c.deed("withdraw INVITATION-ID", "End an invitation; its link is good no more", cobra.ExactArgs(1), "is withdrawn", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Invitations.Withdraw(ctx, args[0])
		}),
	)
	cmd.Example = `  cardea invitation create --email grace@example.com --name "Grace Hopper"
  cardea invitation create --email alan@example.com --link
  cardea invitation list --state open`
	return cmd
}

func (c *console) invitationCreate() *cobra.Command {
	var n api.InvitationCreate
	how := sending{}
	cmd := c.action("create", "Invite somebody by mail, or with a link to hand over", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		n.InvitationSend = how.send()
		sent, err := cl.Invitations.Create(ctx, n)
		if err != nil {
			return err
		}
		return c.showInvitation(sent)
	})
	f := cmd.Flags()
	f.StringVar(&n.Email, "email", "", "the address to invite")
	f.StringVar(&n.Name, "name", "", "what they are called; they may change it")
	f.StringVar(&n.Locale, "locale", "", "language of the letter, such as en or de")
	f.StringSliceVar(&n.Groups, "group", nil, "id of a group that they will be in")
	f.StringVar(&n.Organization, "organization", "", "id of an organization that they will be in")
	f.StringVar(&n.Relation, "relation", "", "what they will be in the organization")
	how.flags(f)
	return cmd
}

func (c *console) invitationSend() *cobra.Command {
	how := sending{}
	cmd := c.action("send INVITATION-ID", "Send an invitation again; links of before are good no more", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		sent, err := cl.Invitations.Send(ctx, args[0], how.send())
		if err != nil {
			return err
		}
		return c.showInvitation(sent)
	})
	how.flags(cmd.Flags())
	return cmd
}

// sending is how a link reaches its addressee.
type sending struct {
	life time.Duration
	link bool
}

func (s *sending) flags(f *pflag.FlagSet) {
	f.DurationVar(&s.life, "expires-in", 7*24*time.Hour, "how long the link is good, from 1h to 720h")
	f.BoolVar(&s.link, "link", false, "print the link to hand it over, instead of sending it; it verifies no address")
}

func (s *sending) send() api.InvitationSend {
	how := api.InvitationSend{ExpiresIn: int64(s.life / time.Second)}
	if s.link {
		how.Deliver = "link"
	}
	return how
}

func (c *console) showInvitation(sent api.InvitationSent) error {
	return c.write(sent, func(w io.Writer) {
		invitationFacts(w, sent.Invitation)
		if sent.Link != nil {
			facts(w, "link", sent.Link.URL)
			fmt.Fprintln(c.err, "The link is shown this once. Hand it over privately.")
		}
	})
}

func invitationFacts(w io.Writer, i api.Invitation) {
	facts(w, "id", i.ID, "email", i.Email, "name", i.Name, "state", i.State, "groups", strings.Join(i.Groups, " "), "expires", moment(i.ExpiresAt), "user", i.User)
}
