package main

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
	"github.com/cardea-id/cardea/internal/i18n"
)

func (c *console) incidentCommand() *cobra.Command {
	columns := []column[api.Incident]{
		{"ID", func(i api.Incident) string { return i.ID }},
		{"STATE", func(i api.Incident) string { return i.State }},
		{"USER", func(i api.Incident) string { return i.User }},
		{"DETECTOR", func(i api.Incident) string { return i.Detector }},
		{"FINDINGS", func(i api.Incident) string { return strconv.FormatInt(i.Findings, 10) }},
		{"OPENED", func(i api.Incident) string { return moment(i.OpenedAt) }},
		{"CLOSED", func(i api.Incident) string { return optionalMoment(i.ClosedAt) }},
	}
	happened := []column[api.Event]{
		{"AT", func(e api.Event) string { return moment(e.At) }},
		{"ACTION", func(e api.Event) string { return e.Action }},
		{"BY", func(e api.Event) string { return e.Actor.Kind + " " + e.Actor.ID }},
		{"IP", func(e api.Event) string { return e.Actor.IP }},
		{"TARGET", func(e api.Event) string { return e.Target }},
		{"BECAUSE", func(e api.Event) string { return firstOf(text(e.Data["detector"]), text(e.Data["reason"])) }},
	}
	var note string
	closing := c.action("close INCIDENT", "Close an incident with what was found out, and release what it holds", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, args []string) error {
			i, err := cl.Incidents.Close(ctx, args[0], note)
			if err != nil {
				return err
			}
			return c.showIncident(i)
		})
	closing.Flags().StringVar(&note, "note", "", "what was found out")
	_ = closing.MarkFlagRequired("note")
	return c.resource("incident", "What looked wrong about sign-ins and wants to be looked into",
		listing(c, "list", "List incidents, the newest first", cobra.NoArgs, columns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Incident], error) {
				if err := nameID(ctx, cl, f, "user"); err != nil {
					return api.Page[api.Incident]{}, err
				}
				return cl.Incidents.List(ctx, f, at)
			}, filterFlag{"state", "open or closed"}, filterFlag{"user", "incidents about this user: an id, name or address"}, filterFlag{"detector", "incidents that this detector opened"}),
		c.action("show INCIDENT", "Show an incident", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			i, err := cl.Incidents.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.showIncident(i)
		}),
		listing(c, "timeline INCIDENT", "List the events that an incident is about, the newest first", cobra.ExactArgs(1), happened,
			func(ctx context.Context, cl *client.Client, args []string, _ client.Filter, at client.Cursor) (api.Page[api.Event], error) {
				return cl.Incidents.Events(ctx, args[0], at)
			}),
		closing,
	)
}

func (c *console) showIncident(i api.Incident) error {
	words, err := i18n.Load()
	if err != nil {
		return err
	}
	var args []any
	for name, v := range i.Args {
		args = append(args, name, v)
	}
	return c.write(i, func(w io.Writer) {
		facts(w, "id", i.ID, "state", i.State, "user", i.User, "network", i.Network, "detector", i.Detector, "because", words.Match("").T(i.Reason, args...),
			"findings", strconv.FormatInt(i.Findings, 10), "opened", moment(i.OpenedAt), "last", moment(i.LastAt), "closed", optionalMoment(i.ClosedAt), "by", i.ClosedBy, "note", i.Note)
	})
}

// text is a value of an event's data if it is one.
func text(v any) string {
	s, _ := v.(string)
	return s
}
