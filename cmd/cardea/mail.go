package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

// mailPatience is how long the command waits for the mail server's answer.
const mailPatience = 40 * time.Second

func (c *console) mailCommand() *cobra.Command {
	test := c.action("test ADDRESS", "Send a letter that says that mail works, and see whether the mail server takes it", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, args []string) error {
			j, err := cl.Mail.Test(ctx, args[0])
			if err != nil {
				return err
			}
			if j, err = c.settled(ctx, cl, j); err != nil {
				return err
			}
			return c.write(j, func(w io.Writer) {
				fmt.Fprintf(w, "The mail server took it. Look whether it arrives at %s, also among spam.\n", cell(args[0]))
			})
		})
	return c.resource("mail", "Mail to people", test)
}

// settled waits for the outcome of a first attempt.
func (c *console) settled(ctx context.Context, cl *client.Client, j api.Job) (api.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, mailPatience)
	defer cancel()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		switch {
		case j.State == "done":
			return j, nil
		case j.State == "dead" || j.State == "discarded":
			return j, fmt.Errorf("it was given up: %s", cell(j.LastError))
		case j.LastError != "":
			return j, fmt.Errorf("%s\nIt is tried again for a day; see cardea job show %s, or give it up with cardea job discard %s", cell(j.LastError), j.ID, j.ID)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return j, fmt.Errorf("there is no outcome yet; see cardea job show %s", j.ID)
		}
		var err error
		if j, err = cl.Jobs.Get(ctx, j.ID); err != nil {
			return j, err
		}
	}
}
