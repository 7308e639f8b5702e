package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

func (c *console) accessCommand() *cobra.Command {
	columns := []column[api.Decision]{
		{"ID", func(d api.Decision) string { return d.ID }},
		{"AT", func(d api.Decision) string { return moment(d.At) }},
		{"ANSWER", verdict},
		{"SUBJECT", func(d api.Decision) string { return partText(d.Question.Subject) }},
		{"ACTION", func(d api.Decision) string { return firstOf(d.Question.Action, "-") }},
		{"RESOURCE", func(d api.Decision) string { return partText(d.Question.Resource) }},
		{"BECAUSE", func(d api.Decision) string { return because(d.Refused, d.Answer) }},
	}
	var denied, allowed bool
	log := listing(c, "log", "List decisions, the newest first", cobra.NoArgs, columns,
		func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Decision], error) {
			filter := client.Filter{}
			for name, value := range f {
				filter[strings.ReplaceAll(name, "-", "_")] = value
			}
			switch {
			case denied:
				filter["allowed"] = "false"
			case allowed:
				filter["allowed"] = "true"
			}
			for {
				page, err := cl.Decisions.List(ctx, filter, at)
				if err != nil || len(page.Items) > 0 || page.Next == "" {
					return page, err
				}
				at.After = page.Next // nothing that matches so far
			}
		}, filterFlag{"subject-type", "decisions about subjects of this type"}, filterFlag{"subject-id", "decisions about this subject"}, filterFlag{"action", "decisions about this action"}, filterFlag{"kind", "decisions of this kind: evaluation, search.subject, search.resource, search.action, agent, administration (operations of Cardea itself)"},
		filterFlag{"resource-type", "decisions about resources of this type"}, filterFlag{"resource-id", "decisions about this resource"}, filterFlag{"client", "decisions that this application asked for"},
		filterFlag{"request-id", "decisions of the request that its caller named so"}, filterFlag{"policy", "decisions that this policy made"}, filterFlag{"session", "decisions about somebody signed in like this"},
		filterFlag{"grant", "decisions about somebody's token of this grant"}, filterFlag{"since", "from this time on, such as 2026-11-28T08:00:00Z, or from this day on (UTC)"}, filterFlag{"until", "before this time"})
	log.Flags().BoolVar(&denied, "denied", false, "only what was denied")
	log.Flags().BoolVar(&allowed, "allowed", false, "only what was permitted")
	log.MarkFlagsMutuallyExclusive("denied", "allowed")
	return c.resource("access", "Who may do what: decisions of the past, what is not needed, and reviews", log, c.filterCommand(), c.unusedCommand(), c.reviewCommand())
}

func verdict(d api.Decision) string {
	switch {
	case d.Kind == "search.resource" && d.Results == 0 && d.Answer.Allowed:
		return "some rows" // a filter for a table, which finds nothing itself
	case d.Kind != "evaluation" && d.Kind != "agent" && d.Kind != "administration":
		return strconv.Itoa(d.Results) + " found"
	case d.Answer.Allowed:
		return "yes"
	}
	return "no"
}

func partText(e api.DecisionEntity) string {
	if e.ID == "" {
		return e.Type
	}
	return e.Type + ":" + e.ID
}

func because(refused string, a api.AccessAnswer) string {
	if refused != "" {
		return refused
	}
	var all []string
	for _, r := range a.Reasons {
		text := r.Text
		if r.Error != "" {
			text = strings.TrimPrefix(text+": "+r.Error, ": ")
		}
		if r.Policy != "" {
			text = r.Policy + ": " + text
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func stepText(r api.DecisionStep) string {
	switch r.Relation {
	case "member":
		return partText(r.Subject) + " is a member of " + partText(r.Object)
	case "parent":
		return partText(r.Subject) + " is inside " + partText(r.Object)
	}
	return partText(r.Subject) + " is " + r.Relation + " of " + partText(r.Object)
}

// answer writes what the policies say, line by line.
func (c *console) answer(w io.Writer, a api.AccessAnswer) {
	said := "no"
	if a.Allowed {
		said = "yes"
	}
	facts(w, "answer", said, "because", because("", a), "policies", words(a.Policies))
	if a.StepUp != nil {
		need := a.StepUp.ACR
		if a.StepUp.MaxAge > 0 {
			need += fmt.Sprintf(", at most %s ago", time.Duration(a.StepUp.MaxAge)*time.Second)
		}
		facts(w, "yes, after", "a sign-in with "+need)
	}
	for _, step := range a.Path {
		facts(w, "since", stepText(step))
	}
	facts(w, "revision", a.Revision, "policy hash", a.PolicyHash)
}

func (c *console) whyCommand() *cobra.Command {
	cmd := c.action("why DECISION", "Explain a decision of the past, from the sign-in to the grant", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		x, err := cl.Decisions.Explain(ctx, args[0])
		if err != nil {
			return err
		}
		return c.write(x, func(w io.Writer) {
			d := x.Decision
			who := partText(d.Question.Subject)
			if x.Name != "" {
				who += " (" + x.Name + ")"
			}
			facts(w, "decision", d.ID, "at", moment(d.At), "question", d.Kind, "subject", who, "action", d.Question.Action, "resource", partText(d.Question.Resource),
				"asked by", d.Client, "for", d.Principal, "request", d.Request, "not asked", d.Refused)
			for _, p := range []struct {
				name  string
				value map[string]any
			}{{"of the subject", d.Question.SubjectProperties}, {"of the action", d.Question.ActionProperties}, {"of the resource", d.Question.ResourceProperties}, {"context", d.Question.Context}} {
				if len(p.value) > 0 {
					text, _ := json.Marshal(p.value) // it came as JSON
					facts(w, p.name, string(text))
				}
			}
			c.answer(w, d.Answer)
			if s := x.Session; s != nil {
				facts(w, "signed in", moment(s.SignedInAt)+" as "+s.ACR+" by "+words(s.AMR), "from", firstOf(s.IP, "-")+" "+s.UserAgent, "session", s.ID, "ended", optionalMoment(s.EndedAt), "ended because", s.EndReason)
			} else if d.Session != "" {
				facts(w, "session", d.Session+", which is forgotten")
			}
			if g := x.Grant; g != nil {
				facts(w, "token", d.Token+" of grant "+g.ID+" for "+g.Client, "scopes", words(g.Scopes), "revoked", optionalMoment(g.RevokedAt), "revoked because", g.RevokeReason)
			}
			for _, e := range x.Events {
				facts(w, moment(e.At), e.Action+" "+e.Target+" by "+strings.TrimSpace(e.Actor.Kind+" "+e.Actor.ID))
			}
			if x.Now != nil && x.Now.Allowed != d.Answer.Allowed {
				facts(w, "today it would be", map[bool]string{true: "yes", false: "no"}[x.Now.Allowed]+": "+because("", *x.Now))
			}
		})
	})
	c.standsAlone(cmd)
	return cmd
}

func (c *console) askCommand() *cobra.Command {
	var circumstances, of, on, with string
	cmd := c.action("ask SUBJECT ACTION RESOURCE", "Ask what the policies would answer now; nothing is written down", cobra.ExactArgs(3), nil)
	cmd.Example = `  cardea ask user:usr_0198f2c4a1b3kq7m2x9d5tz8wr write document:plan --context '{"acr":"aal2"}'`
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q := api.AccessQuestion{Action: args[1]}
		for i, e := range map[int]*api.DecisionEntity{0: &q.Subject, 2: &q.Resource} {
			typ, id, ok := strings.Cut(args[i], ":")
			if !ok || typ == "" || id == "" {
				return fmt.Errorf("%q is not of the form TYPE:ID, such as document:plan", args[i])
			}
			*e = api.DecisionEntity{Type: typ, ID: id}
		}
		if err := readObjects(map[string]object{"context": {circumstances, &q.Context}, "subject": {of, &q.SubjectProperties}, "resource": {on, &q.ResourceProperties}, "action": {with, &q.ActionProperties}}); err != nil {
			return err
		}
		cl, err := c.admin()
		if err != nil {
			return err
		}
		a, err := cl.Decisions.Ask(cmd.Context(), q)
		if err != nil {
			return err
		}
		return c.write(a, func(w io.Writer) { c.answer(w, a) })
	}
	cmd.Flags().StringVar(&circumstances, "context", "", "circumstances as a JSON object")
	cmd.Flags().StringVar(&of, "subject", "", "properties of the subject as a JSON object")
	cmd.Flags().StringVar(&on, "resource", "", "properties of the resource as a JSON object")
	cmd.Flags().StringVar(&with, "action", "", "properties of the action as a JSON object")
	c.standsAlone(cmd)
	return cmd
}

// standsAlone gives a command that belongs to no resource the flags of those that
// administer.
func (c *console) standsAlone(cmd *cobra.Command) {
	c.remoteFlags(cmd)
	c.outputFlag(cmd)
}

func (c *console) unusedCommand() *cobra.Command {
	days := 90
	cmd := c.action("unused", "List roles that nobody needed, and roles that permit more than was needed", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		all, err := cl.Decisions.Unused(ctx, days, client.Cursor{Limit: 500})
		for next := all.Next; err == nil && next != ""; {
			var more api.AccessUsage
			if more, err = cl.Decisions.Unused(ctx, days, client.Cursor{After: next, Limit: 500}); err == nil {
				all.Unused, next = append(all.Unused, more.Unused...), more.Next
			}
		}
		if err != nil {
			return err
		}
		all.Next = ""
		if all.Reaches != nil {
			fmt.Fprintf(c.err, "The log reaches back to %s only: what was needed before does not count.\n", moment(*all.Reaches))
		}
		if all.Dropped > 0 {
			fmt.Fprintf(c.err, "%d decisions were not written down: some of what stands here may have been needed.\n", all.Dropped)
		}
		return c.write(all, func(w io.Writer) {
			fmt.Fprintf(w, "Since %s, by %d decisions\n\nNEEDED BY NOBODY\tMEMBERS\tEXPIRES\n", moment(all.Since), all.Decisions)
			for _, u := range all.Unused {
				fmt.Fprintf(w, "%s\t%d\t%s\n", cell(stepText(u.DecisionStep)), u.Holders, optionalMoment(u.ExpiresAt))
			}
			fmt.Fprintln(w, "\nROLE\tHELD\tNEEDED FOR\tPERMITS ALSO")
			for _, r := range all.Wide {
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", cell(r.Role+" of "+r.Type), r.Grants, cell(firstOf(words(r.Used), "-")), cell(words(r.Unused)))
			}
		})
	})
	cmd.Flags().IntVar(&days, "days", days, "how far back a need counts")
	return cmd
}

func (c *console) reviewCommand() *cobra.Command {
	var format string
	f := map[string]*string{}
	cmd := c.action("review", "Export who can do what, for auditors", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		filter := client.Filter{}
		for name, value := range f {
			filter[name] = *value
		}
		write, end, err := c.exporter(format)
		if err != nil {
			return err
		}
		at, seen, total := client.Cursor{Limit: 500}, 0, 0
		for {
			page, err := cl.Decisions.Review(ctx, filter, at)
			if err != nil {
				return err
			}
			for _, a := range page.Items {
				if err := write(a); err != nil {
					return err
				}
			}
			seen, total = seen+page.Subjects, max(total, page.Total)
			fmt.Fprintf(c.err, "\r%d of %d subjects", seen, total)
			if at.After = page.Next; at.After == "" {
				fmt.Fprintln(c.err)
				return end()
			}
		}
	})
	cmd.Example = "  cardea access review --format csv > who-can-do-what.csv"
	cmd.Flags().StringVar(&format, "format", "csv", "csv or json (an object a line)")
	f["subject_type"] = cmd.Flags().String("subject-type", "", "subjects of this type only")
	f["resource_type"] = cmd.Flags().String("resource-type", "", "resources of this type only")
	f["action"] = cmd.Flags().String("action", "", "this action only")
	return cmd
}

// exporter writes an access at a time.
func (c *console) exporter(format string) (write func(api.Access) error, end func() error, err error) {
	switch format {
	case "json":
		enc := json.NewEncoder(c.out)
		return func(a api.Access) error { return enc.Encode(a) }, func() error { return nil }, nil
	case "csv":
		w := csv.NewWriter(c.out)
		err := w.Write([]string{"subject_type", "subject_id", "name", "action", "resource_type", "resource_id", "policies", "because"})
		return func(a api.Access) error {
			var path []string
			for _, step := range a.Path {
				path = append(path, stepText(step))
			}
			row := []string{a.Subject.Type, a.Subject.ID, a.Name, a.Action, a.Resource.Type, a.Resource.ID, words(a.Policies), strings.Join(path, "; ")}
			for i := range row {
				row[i] = harmless(row[i])
			}
			return w.Write(row)
		}, func() error { w.Flush(); return w.Error() }, err
	}
	return nil, nil, fmt.Errorf("there is no format %q; want csv or json", format)
}

// harmless keeps a spreadsheet from taking a text for a formula.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// object is a flag whose value is a JSON object, and where it goes.
type object struct {
	text string
	into *map[string]any
}

// readObjects reads those flags that are set.
func readObjects(flags map[string]object) error {
	for name, o := range flags {
		if o.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(o.text), o.into); err != nil {
			return fmt.Errorf("--%s is not a JSON object: %w", name, err)
		}
	}
	return nil
}
