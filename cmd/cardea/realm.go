package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

func (c *console) realmCommand() *cobra.Command {
	columns := []column[api.Realm]{
		{"NAME", func(r api.Realm) string { return r.Name }},
		{"DISPLAY NAME", func(r api.Realm) string { return r.DisplayName }},
		{"ISSUER", func(r api.Realm) string { return r.Issuer }},
	}
	cmd := c.resource("realm", "Issuers with their own people, clients and keys",
		listing(c, "list", "List realms", cobra.NoArgs, columns,
			func(ctx context.Context, cl *client.Client, _ []string, _ client.Filter, at client.Cursor) (api.Page[api.Realm], error) {
				return cl.Realms.List(ctx, at)
			}),
		c.action("show [REALM]", "Show a realm; without a name, the one you are logged in at", cobra.MaximumNArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			r, err := getRealm(ctx, cl, args)
			if err != nil {
				return err
			}
			return c.showRealm(r)
		}),
		c.realmCreate(), c.realmUpdate(),
		c.deed("delete REALM", "Delete a realm for ever, with every token it issued", cobra.ExactArgs(1), "is deleted", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Realms.Delete(ctx, args[0])
		}),
		c.action("setup-link REALM", "Make another set-up link for a realm that never had an operator", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			link, err := cl.Realms.SetupLink(ctx, args[0])
			if err != nil {
				return err
			}
			return c.showLink(link)
		}),
	)
	cmd.Example = `  cardea realm create acme --display-name "Acme Inc."
  cardea realm update acme --set access_token_ttl=5m --set session_idle=1h`
	return cmd
}

func getRealm(ctx context.Context, cl *client.Client, args []string) (api.Realm, error) {
	if len(args) == 0 {
		return cl.Realms.Current(ctx)
	}
	return cl.Realms.Get(ctx, args[0])
}

func (c *console) realmCreate() *cobra.Command {
	n := api.RealmCreate{}
	var set []string
	cmd := c.action("create NAME", "Create a realm and the link that sets it up", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		n.Name = args[0]
		settings, _, err := realmSettings(set) // what is reset is new, and the default
		if err != nil {
			return err
		}
		if settings != nil {
			n.Settings = *settings
		}
		made, err := cl.Realms.Create(ctx, n)
		if err != nil {
			return err
		}
		if c.output != "table" {
			return c.write(made, nil)
		}
		if err := c.showRealm(made.Realm); err != nil {
			return err
		}
		return c.showLink(made.Setup)
	})
	cmd.Flags().StringVar(&n.DisplayName, "display-name", "", "the name that people read")
	cmd.Flags().StringVar(&n.Host, "host", "", "a host name of its own")
	cmd.Flags().StringArrayVar(&set, "set", nil, "a setting, as name=value")
	return cmd
}

func (c *console) realmUpdate() *cobra.Command {
	var display, host string
	var set []string
	var cmd *cobra.Command
	cmd = c.action("update [REALM]", "Change a realm; without a name, the one you are logged in at", cobra.MaximumNArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		settings, reset, err := realmSettings(set)
		if err != nil {
			return err
		}
		change := api.RealmUpdate{DisplayName: maybe(cmd, "display-name", display), Host: maybe(cmd, "host", host), Settings: settings, Reset: reset}
		r, err := getRealm(ctx, cl, args)
		if err != nil {
			return err
		}
		if len(args) == 0 {
			r, err = cl.Realms.UpdateCurrent(ctx, r.Version, change)
		} else {
			r, err = cl.Realms.Update(ctx, args[0], r.Version, change)
		}
		if err != nil {
			return err
		}
		return c.showRealm(r)
	})
	cmd.Flags().StringVar(&display, "display-name", "", "the name that people read")
	cmd.Flags().StringVar(&host, "host", "", "a host name of its own")
	cmd.Flags().StringArrayVar(&set, "set", nil, "a setting, as name=value; name= takes it back to its default, which empties a text")
	return cmd
}

// realmSettings reads settings given as name=value; those without a value go back to
// their defaults.
func realmSettings(set []string) (settings *api.RealmSettings, reset []string, err error) {
	if len(set) == 0 {
		return nil, nil, nil
	}
	named := map[string]string{}
	for _, s := range set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, nil, errUsage{fmt.Errorf("--set %s: want name=value", s)}
		}
		named[name] = value
	}
	settings = &api.RealmSettings{}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		value := named[name]
		if value == "" {
			reset = append(reset, name)
		}
		if err := setRealmSetting(settings, name, value); err != nil {
			return nil, nil, errUsage{err}
		}
	}
	return settings, reset, nil
}

// setRealmSetting sets one, or with "" only looks whether there is such a setting.
func setRealmSetting(all *api.RealmSettings, name, value string) error {
	text, _ := json.Marshal(value)
	forms := []string{string(text)}
	switch {
	case value == "":
		forms = []string{"null"}
	case strings.Trim(value, "0123456789") == "" && json.Valid([]byte(value)):
		forms = []string{value, string(text)} // a number, or a text of digits
	}
	var wrong *json.UnmarshalTypeError
	var err error
	for _, form := range forms {
		dec := json.NewDecoder(strings.NewReader(fmt.Sprintf("{%q: %s}", name, form)))
		dec.DisallowUnknownFields()
		if err = dec.Decode(all); !errors.As(err, &wrong) {
			break
		}
	}
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("--set %s cannot be a %s (see docs/reference/realm-settings.md)", wrong.Field, wrong.Value)
	case err != nil:
		return fmt.Errorf("--set: there is no setting %q (docs/reference/realm-settings.md lists them)", name)
	case value == "":
		return nil
	}
	// What is left out of what is sent would change nothing.
	data, err := json.Marshal(all)
	sent := map[string]json.RawMessage{}
	if err = cmp.Or(err, json.Unmarshal(data, &sent)); err == nil && sent[name] == nil {
		err = fmt.Errorf("--set %s=%s: want another value, or --set %[1]s= for its default (see docs/reference/realm-settings.md)", name, value)
	}
	return err
}

func (c *console) showRealm(r api.Realm) error {
	return c.write(r, func(w io.Writer) {
		facts(w, "name", r.Name, "display name", r.DisplayName, "issuer", r.Issuer, "host", r.Host, "created", moment(r.CreatedAt), "updated", moment(r.UpdatedAt))
		data, _ := json.Marshal(r.Settings)
		var named map[string]any
		_ = json.Unmarshal(data, &named)
		keys := make([]string, 0, len(named))
		for k := range named {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			facts(w, k, fmt.Sprint(named[k]))
		}
	})
}

func (c *console) operatorCommand() *cobra.Command {
	columns := []column[api.Operator]{
		{"PRINCIPAL", func(o api.Operator) string { return o.Principal }},
		{"NAME", func(o api.Operator) string { return o.Name }},
		{"ROLE", func(o api.Operator) string { return o.Role }},
		{"SINCE", func(o api.Operator) string { return moment(o.CreatedAt) }},
	}
	cmd := c.resource("operator", "Who may administer the realm",
		listing(c, "list", "List operators", cobra.NoArgs, columns,
			func(ctx context.Context, cl *client.Client, _ []string, _ client.Filter, at client.Cursor) (api.Page[api.Operator], error) {
				return cl.Operators.List(ctx, at)
			}),
		c.action("assign PRINCIPAL ROLE", "Give a principal a role: owner, admin, helpdesk, viewer or application", cobra.ExactArgs(2), func(ctx context.Context, cl *client.Client, args []string) error {
			id, err := memberID(ctx, cl, args[0])
			if err != nil {
				return err
			}
			o, err := cl.Operators.Assign(ctx, id, 0, args[1])
			if err != nil {
				return err
			}
			return c.write(o, func(w io.Writer) { facts(w, "principal", o.Principal, "name", o.Name, "role", o.Role) })
		}),
		c.deed("remove PRINCIPAL", "Take every right from an operator", cobra.ExactArgs(1), "is no operator any more", func(ctx context.Context, cl *client.Client, args []string) error {
			id, err := memberID(ctx, cl, args[0])
			if err != nil {
				return err
			}
			return cl.Operators.Remove(ctx, id)
		}),
	)
	cmd.Example = "  cardea operator assign ada@example.com admin"
	return cmd
}

func (c *console) eventCommand() *cobra.Command {
	columns := []column[api.Event]{
		{"AT", func(e api.Event) string { return moment(e.At) }},
		{"ACTION", func(e api.Event) string { return e.Action }},
		{"TARGET", func(e api.Event) string { return e.Target }},
		{"ACTOR", func(e api.Event) string { return firstOf(e.Actor.ID, e.Actor.Kind) }},
		{"CLIENT", func(e api.Event) string { return e.Actor.Client }},
		{"IP", func(e api.Event) string { return e.Actor.IP }},
	}
	var segments bool
	list := listing(c, "list", "List events, the newest first", cobra.NoArgs, columns,
		func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Event], error) {
			if !segments && f["action"] == "" && f["target"] == "" {
				f["deeds"] = "true"
			}
			return cl.Events.List(ctx, f, at)
		},
		filterFlag{"action", "events whose action begins with it, such as client."}, filterFlag{"actor", "what this principal did"},
		filterFlag{"target", "what was done to this"}, filterFlag{"since", "from this time on, such as 2026-01-31T00:00:00Z"}, filterFlag{"until", "before this time"})
	list.Flags().BoolVar(&segments, "segments", false, "also events that only say that activity or decisions were written down")
	return c.resource("event", "What happened in the realm", list, c.verifyCommand())
}

func (c *console) verifyCommand() *cobra.Command {
	var after string
	cmd := c.action("verify", "Check the whole log against its hash tree, and activity against the log", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		var steps bool
		v, err := cl.Events.VerifySteps(ctx, after, func(soFar api.LogVerified) {
			line := cell(soFar.Problem) // somebody else is before us
			if steps, after = true, soFar.Next; line == "" {
				line = fmt.Sprintf("%d of %d events, %d segments of activity", soFar.Size, soFar.Of, soFar.Segments)
			}
			fmt.Fprintf(c.err, "\r%-78s", line)
		})
		if steps {
			fmt.Fprintln(c.err)
		}
		if err != nil {
			if after != "" {
				fmt.Fprintf(c.err, "To go on from here: cardea event verify --after %s\n", cell(after))
			}
			return err
		}
		if err := c.write(v, func(w io.Writer) {
			facts(w, "intact", yes(v.Intact), "problem", v.Problem)
			if v.Intact {
				facts(w, "events", fmt.Sprint(v.Size), "root", v.Root, "checkpoints", fmt.Sprint(v.Checkpoints), "activity", fmt.Sprintf("%d segments", v.Segments))
			}
			if v.Forgotten > 0 {
				facts(w, "forgotten", fmt.Sprintf("%d segments of activity, which were old enough", v.Forgotten))
			}
		}); err != nil {
			return err
		}
		if !v.Intact {
			return fmt.Errorf("the log is not intact: %s", v.Problem)
		}
		return nil
	})
	cmd.Flags().StringVar(&after, "after", "", "go on where a verification ended early, as it said then")
	return cmd
}

func (c *console) activityCommand() *cobra.Command {
	columns := []column[api.Activity]{
		{"AT", func(a api.Activity) string { return moment(a.At) }},
		{"ACTION", func(a api.Activity) string { return a.Action }},
		{"ACTOR", func(a api.Activity) string { return firstOf(a.Actor.ID, a.Actor.Kind) }},
		{"CLIENT", func(a api.Activity) string { return firstOf(a.Actor.Client, a.Data["client"]) }},
		{"TARGET", func(a api.Activity) string { return a.Target }},
		{"IP", func(a api.Activity) string { return a.Actor.IP }},
		{"DETAIL", func(a api.Activity) string {
			detail := firstOf(a.Reason, a.Data["jti"])
			if a.Count > 0 {
				detail = strings.TrimSpace(detail + fmt.Sprintf(" (%d times)", a.Count))
			}
			return detail
		}},
	}
	list := listing(c, "list", "List activity, the newest first", cobra.NoArgs, columns, c.activity,
		filterFlag{"action", "activity whose action begins with it, such as token."}, filterFlag{"actor", "what this principal or client did"},
		filterFlag{"target", "what was done to this, or under this grant"}, filterFlag{"client", "what this client did or was refused, and which tokens it got"},
		filterFlag{"session", "what was done in this session"}, filterFlag{"ip", "what was done from this address"}, filterFlag{"jti", "the issuance of the token with this jti"},
		filterFlag{"since", "from this time on, such as 2026-01-31T08:00:00Z, or from this day on (UTC)"}, filterFlag{"until", "before this time"})
	list.Example = "  cardea activity list --client cli_0198f2c4a1b3kq7m2x9d5tz8wr --since 2026-01-31T08:00:00Z --until 2026-01-31T09:00:00Z"
	return c.resource("activity", "What happens too often for an event each: tokens issued, attempts refused", list)
}

// activity reads on until a page is full or there is no more: the server answers when
// it has read so much, however little it found.
func (c *console) activity(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (page api.Page[api.Activity], err error) {
	limit, looked := at.Limit, false
	page.Items = []api.Activity{}
	for {
		found, err := cl.Activity.List(ctx, f, at)
		if err != nil {
			return page, err
		}
		if len(found.Unreadable) > 0 {
			fmt.Fprintf(c.err, "Somebody changed activity: %s cannot be read (see cardea event verify).\n", cell(words(found.Unreadable)))
		}
		page.Items, page.Next = append(page.Items, found.Items...), found.Next
		at.After, at.Limit = found.Next, limit-len(page.Items)
		if at.After == "" || at.Limit <= 0 {
			if looked {
				fmt.Fprintln(c.err)
			}
			return page, nil
		}
		looked = true
		fmt.Fprintf(c.err, "\rlooked back to %s", optionalMoment(found.Reached))
	}
}

func (c *console) whoamiCommand() *cobra.Command {
	cmd := c.action("whoami", "Say who you are to the server, and what you may do", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		me, err := cl.Operators.Me(ctx)
		if err != nil {
			return err
		}
		return c.write(me, func(w io.Writer) {
			facts(w, "principal", me.Principal, "name", me.Name, "realm", me.Realm, "issuer", me.Issuer, "role", me.Role, "may", words(me.Permissions))
		})
	})
	c.remoteFlags(cmd)
	c.outputFlag(cmd)
	return cmd
}
