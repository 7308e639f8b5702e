package main

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

func (c *console) jobCommand() *cobra.Command {
	columns := []column[api.Job]{
		{"ID", func(j api.Job) string { return j.ID }},
		{"KIND", func(j api.Job) string { return j.Kind }},
		{"STATE", func(j api.Job) string { return j.State }},
		{"TARGET", func(j api.Job) string { return j.Target }},
		{"SUBJECT", func(j api.Job) string { return j.Subject }},
		{"ATTEMPTS", func(j api.Job) string { return strconv.Itoa(j.Attempts) }},
		{"LAST ERROR", func(j api.Job) string { return j.LastError }},
	}
	return c.resource("job", "Work that is done in the background, such as telling clients that a session has ended",
		listing(c, "list", "List jobs, the newest first", cobra.NoArgs, columns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Job], error) {
				return cl.Jobs.List(ctx, f, at)
			}, filterFlag{"state", "waiting, done, dead or discarded"}, filterFlag{"kind", "jobs of this kind"},
			filterFlag{"target", "jobs for this target, such as a client's id"}, filterFlag{"subject", "jobs about this, such as a session's id"}),
		c.action("show JOB", "Show a job", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			j, err := cl.Jobs.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.write(j, func(w io.Writer) {
				facts(w, "id", j.ID, "kind", j.Kind, "state", j.State, "target", j.Target, "subject", j.Subject, "attempts", strconv.Itoa(j.Attempts),
					"attempts left", strconv.Itoa(j.AttemptsLeft), "last error", j.LastError, "node", j.Node, "created", moment(j.CreatedAt),
					"due", optionalMoment(j.DueAt), "ended", optionalMoment(j.EndedAt))
			})
		}),
		c.deed("retry JOB", "Do a job now: one that waits, or one that was given up", cobra.ExactArgs(1), "is due", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Jobs.Retry(ctx, args[0])
		}),
		c.deed("discard JOB", "Leave a job undone", cobra.ExactArgs(1), "is discarded", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Jobs.Discard(ctx, args[0])
		}),
	)
}
