package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

var userColumns = []column[api.User]{
	{"ID", func(u api.User) string { return u.ID }},
	{"USERNAME", func(u api.User) string { return u.Username }},
	{"NAME", func(u api.User) string { return u.DisplayName }},
	{"EMAIL", func(u api.User) string { return primary(u.Emails) }},
	{"STATE", func(u api.User) string { return u.State }},
}

func (c *console) userCommand() *cobra.Command {
	cmd := c.resource("user", "People: create, change, suspend, delete",
		listing(c, "list", "List users", cobra.NoArgs, userColumns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.User], error) {
				return cl.Users.List(ctx, f, at)
			},
			filterFlag{"q", "users whose username, name or address begins with it"},
			filterFlag{"state", "active, suspended or deleted"}),
		c.action("show USER", "Show a user, by id, username or e-mail address", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			u, err := cl.Users.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.showUser(u)
		}),
		c.userCreate(), c.userUpdate(),
		c.deed("delete USER", "Delete a user and their personal data for ever", cobra.ExactArgs(1), "is deleted", onUser(client.Users.Delete)),
		c.deed("suspend USER", "Stop a user and end everything they have open", cobra.ExactArgs(1), "is suspended", onUser(func(u client.Users, ctx context.Context, id string) error {
			_, err := u.Suspend(ctx, id)
			return err
		})),
		c.deed("activate USER", "Let a suspended user in again", cobra.ExactArgs(1), "is active", onUser(func(u client.Users, ctx context.Context, id string) error {
			_, err := u.Activate(ctx, id)
			return err
		})),
		c.deed("sign-out USER", "End every session and grant of a user", cobra.ExactArgs(1), "is signed out everywhere", onUser(client.Users.SignOut)),
		c.deed("password-mail USER", "Send a user a link with which they set a password, which nobody else sees", cobra.ExactArgs(1), "is sent a link", onUser(client.Users.SendPasswordLink)),
		c.action("password-link USER", "Make a link with which a user sets a password", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			u, err := cl.Users.Get(ctx, args[0])
			if err != nil {
				return err
			}
			link, err := cl.Users.PasswordLink(ctx, u.ID)
			if err != nil {
				return err
			}
			return c.showLink(link)
		}),
		c.userEmail(), c.userCredentials(), c.userRevokeCredential(), c.userMemberships(),
	)
	cmd.Example = `  cardea user create --username ada --name "Ada Lovelace" --email ada@example.com
  cardea user password-link ada
  cardea user list --q ada --output json`
	return cmd
}

// onUser runs fn on a user named by id, username or e-mail address.
func onUser(fn func(client.Users, context.Context, string) error) func(context.Context, *client.Client, []string) error {
	return func(ctx context.Context, cl *client.Client, args []string) error {
		u, err := cl.Users.Get(ctx, args[0])
		if err != nil {
			return err
		}
		return fn(cl.Users, ctx, u.ID)
	}
}

func (c *console) userCreate() *cobra.Command {
	var n api.UserCreate
	var emails, profile []string
	var verified bool
	cmd := c.action("create", "Create a user; nobody but they will choose their password", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		if err := setProfile(&n.Profile, profile); err != nil {
			return err
		}
		for i, address := range emails {
			n.Emails = append(n.Emails, api.Email{Address: address, Verified: verified, Primary: i == 0})
		}
		u, err := cl.Users.Create(ctx, n)
		if err != nil {
			return err
		}
		return c.showUser(u)
	})
	f := cmd.Flags()
	f.StringVar(&n.Username, "username", "", "a name to sign in with")
	f.StringVar(&n.DisplayName, "name", "", "the name that people read")
	f.StringSliceVar(&emails, "email", nil, "an address; the first becomes the primary one")
	f.BoolVar(&verified, "email-verified", false, "you know that the addresses are theirs")
	f.StringVar(&n.Locale, "locale", "", "language tag, such as en or pt-BR")
	f.StringVar(&n.Profile.GivenName, "given-name", "", "given name")
	f.StringVar(&n.Profile.FamilyName, "family-name", "", "family name")
	f.StringArrayVar(&profile, "profile", nil, profileUsage)
	return cmd
}

func (c *console) userUpdate() *cobra.Command {
	var username, name, locale string
	var profile []string
	var cmd *cobra.Command
	cmd = c.action("update USER", "Change a user", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		u, err := cl.Users.Get(ctx, args[0])
		if err != nil {
			return err
		}
		if err := setProfile(&u.Profile, profile); err != nil {
			return err
		}
		u, err = cl.Users.Update(ctx, u.ID, u.Version, api.UserUpdate{Username: maybe(cmd, "username", username),
			DisplayName: maybe(cmd, "name", name), Locale: maybe(cmd, "locale", locale), Profile: maybe(cmd, "profile", u.Profile)})
		if err != nil {
			return err
		}
		return c.showUser(u)
	})
	cmd.Flags().StringVar(&username, "username", "", "a name to sign in with")
	cmd.Flags().StringVar(&name, "name", "", "the name that people read")
	cmd.Flags().StringVar(&locale, "locale", "", "language tag, such as en or pt-BR")
	cmd.Flags().StringArrayVar(&profile, "profile", nil, profileUsage)
	return cmd
}

const profileUsage = "a claim of the profile, as name=value, such as nickname=Countess or address.country=GB; without a value it is taken away"

// setProfile changes what name=value of a command line name. A number that it changes
// was verified by nobody, unless it says so.
func setProfile(p *api.Profile, set []string) error {
	number, said := p.PhoneNumber, false
	for _, s := range set {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("--profile %s: want name=value", s)
		}
		var v any = value
		if name == "phone_number_verified" {
			if value != "" && value != "true" && value != "false" {
				return fmt.Errorf("--profile %s: want true or false", s)
			}
			v, said = value == "true", true
		}
		outer, inner, nested := strings.Cut(name, ".")
		if nested {
			v = map[string]any{inner: v}
		}
		text, err := json.Marshal(map[string]any{outer: v})
		if err != nil {
			return err
		}
		dec := json.NewDecoder(bytes.NewReader(text)) // what the text does not name stays
		dec.DisallowUnknownFields()
		if err := dec.Decode(p); err != nil {
			return fmt.Errorf("--profile: there is no claim %s, or it has parts", name)
		}
	}
	p.PhoneNumberVerified = p.PhoneNumberVerified && (said || p.PhoneNumber == number)
	return nil
}

// profileFacts are the claims of a profile, by the names that [setProfile] takes.
func profileFacts(p api.Profile) (all []string) {
	var tell func(prefix string, v any)
	tell = func(prefix string, v any) {
		members, ok := v.(map[string]any)
		if !ok {
			all = append(all, prefix, fmt.Sprint(v))
			return
		}
		for _, name := range slices.Sorted(maps.Keys(members)) {
			tell(strings.TrimPrefix(prefix+"."+name, "."), members[name])
		}
	}
	text, _ := json.Marshal(p)
	var members any
	_ = json.Unmarshal(text, &members)
	tell("", members)
	return all
}

func (c *console) userEmail() *cobra.Command {
	email := &cobra.Command{Use: "email", Short: "Addresses of a user", Args: cobra.NoArgs}
	var verified, makePrimary bool
	change := func(use, short string, do func(ctx context.Context, u client.Users, id, address string) (api.User, error)) *cobra.Command {
		return c.action(use+" USER ADDRESS", short, cobra.ExactArgs(2), func(ctx context.Context, cl *client.Client, args []string) error {
			u, err := cl.Users.Get(ctx, args[0])
			if err != nil {
				return err
			}
			if u, err = do(ctx, cl.Users, u.ID, args[1]); err != nil {
				return err
			}
			return c.showUser(u)
		})
	}
	yes := true
	add := change("add", "Give a user one more address", func(ctx context.Context, u client.Users, id, address string) (api.User, error) {
		return u.AddEmail(ctx, id, api.Email{Address: address, Verified: verified, Primary: makePrimary})
	})
	add.Flags().BoolVar(&verified, "verified", false, "you know that the address is theirs")
	add.Flags().BoolVar(&makePrimary, "primary", false, "make it the one that applications see")
	email.AddCommand(add,
		change("verify", "Note that an address is the user's", func(ctx context.Context, u client.Users, id, address string) (api.User, error) {
			return u.UpdateEmail(ctx, id, address, api.EmailUpdate{Verified: &yes})
		}),
		change("primary", "Make an address the one that applications see", func(ctx context.Context, u client.Users, id, address string) (api.User, error) {
			return u.UpdateEmail(ctx, id, address, api.EmailUpdate{Primary: &yes})
		}),
		change("remove", "Take an address from a user", func(ctx context.Context, u client.Users, id, address string) (api.User, error) {
			return u.RemoveEmail(ctx, id, address)
		}))
	return email
}

// userCredentialColumns say of passkeys where they are, too.
func userCredentialColumns() []column[api.Credential] {
	return slices.Insert(slices.Clone(credentialColumns), 3, column[api.Credential]{"DEVICE", func(x api.Credential) string {
		if x.Passkey == nil {
			return ""
		}
		return deviceOf(*x.Passkey)
	}})
}

// deviceOf says where a passkey is.
func deviceOf(k api.Passkey) string {
	where := "one device"
	if k.Synced {
		where = "synced"
	}
	if k.Attested {
		where += ", attested"
	}
	if k.Model != "" {
		where = k.Model + " (" + where + ")"
	}
	return where
}

func (c *console) userCredentials() *cobra.Command {
	return c.action("credentials USER", "List what a user proves themselves with", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		u, err := cl.Users.Get(ctx, args[0])
		if err != nil {
			return err
		}
		page, err := cl.Users.Credentials(ctx, u.ID)
		if err != nil {
			return err
		}
		return c.write(page, func(w io.Writer) { rows(w, userCredentialColumns(), page.Items) })
	})
}

func (c *console) userRevokeCredential() *cobra.Command {
	return c.deed("revoke-credential USER USER-CREDENTIAL", "Take a passkey or another factor from a user, and end what was obtained with it", cobra.ExactArgs(2), "is revoked", func(ctx context.Context, cl *client.Client, args []string) error {
		u, err := cl.Users.Get(ctx, args[0])
		if err != nil {
			return err
		}
		return cl.Users.RevokeCredential(ctx, u.ID, args[1])
	})
}

func (c *console) userMemberships() *cobra.Command {
	return c.action("memberships USER", "List the groups and organizations a user is directly in", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		u, err := cl.Users.Get(ctx, args[0])
		if err != nil {
			return err
		}
		page := api.Page[api.Member]{Items: []api.Member{}}
		for m, err := range cl.Users.Memberships(ctx, u.ID) {
			if err != nil {
				return err
			}
			page.Items = append(page.Items, m)
		}
		return c.write(page, func(w io.Writer) { rows(w, memberColumns, page.Items) })
	})
}

func (c *console) showUser(u api.User) error {
	return c.write(u, func(w io.Writer) {
		var addresses []string
		for _, e := range u.Emails {
			addresses = append(addresses, describeEmail(e))
		}
		facts(w, "id", u.ID, "username", u.Username, "name", u.DisplayName, "state", u.State, "email", strings.Join(addresses, ", "))
		facts(w, profileFacts(u.Profile)...)
		facts(w, "locale", u.Locale, "expires", optionalMoment(u.ExpiresAt), "created", moment(u.CreatedAt), "updated", moment(u.UpdatedAt))
	})
}

func describeEmail(e api.Email) string {
	if e.Verified {
		return e.Address
	}
	return e.Address + " (not verified)"
}

func (c *console) showLink(link api.SecretLink) error {
	return c.write(link, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n", cell(link.URL))
		fmt.Fprintf(c.err, "It works once, until %s UTC. Whoever opens it can use it: hand it over privately.\n", moment(link.ExpiresAt))
	})
}

func primary(emails []api.Email) string {
	if len(emails) == 0 {
		return ""
	}
	return emails[0].Address
}
