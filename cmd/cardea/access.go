package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

func (c *console) signingKeyCommand() *cobra.Command {
	columns := []column[api.SigningKey]{
		{"ID", func(k api.SigningKey) string { return k.ID }},
		{"ALGORITHM", func(k api.SigningKey) string { return k.Algorithm }},
		{"STATE", func(k api.SigningKey) string { return k.State }},
		{"SIGNS FROM", func(k api.SigningKey) string { return moment(k.ActiveAt) }},
		{"RETIRES", func(k api.SigningKey) string { return optionalMoment(k.RetiresAt) }},
	}
	show := func(k api.SigningKey) error {
		return c.write(k, func(w io.Writer) {
			facts(w, "id", k.ID, "algorithm", k.Algorithm, "state", k.State, "created", moment(k.CreatedAt), "signs from", moment(k.ActiveAt),
				"retires", optionalMoment(k.RetiresAt), "revoked", optionalMoment(k.RevokedAt), "thumbprint", k.Thumbprint)
		})
	}
	var n api.SigningKeyRotate
	rotate := c.action("rotate", "Make the successor of the key that signs with an algorithm", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		k, err := cl.SigningKeys.Rotate(ctx, n)
		if err != nil {
			return err
		}
		return show(k)
	})
	rotate.Flags().StringVar(&n.Algorithm, "algorithm", "ES256", "ES256, RS256, PS256 or EdDSA")
	rotate.Flags().BoolVar(&n.Now, "now", false, "sign with it at once; verifiers that cached the key set fail until they fetch it again")
	return c.resource("signing-key", "Keys that sign the realm's tokens",
		c.action("list", "List every key the realm ever had", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
			page, err := cl.SigningKeys.List(ctx)
			if err != nil {
				return err
			}
			return c.write(page, func(w io.Writer) { rows(w, columns, page.Items) })
		}),
		c.action("show KEY", "Show a key", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			k, err := cl.SigningKeys.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return show(k)
		}),
		rotate,
		c.deed("revoke KEY", "Withdraw a key in an emergency: all it signed is dead", cobra.ExactArgs(1), "is revoked", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.SigningKeys.Revoke(ctx, args[0])
		}),
		c.deed("retire KEY", "Take a key that does not sign out of the key set", cobra.ExactArgs(1), "is retired", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.SigningKeys.Retire(ctx, args[0])
		}),
	)
}

func (c *console) sessionCommand() *cobra.Command {
	columns := []column[api.Session]{
		{"ID", func(s api.Session) string { return s.ID }},
		{"USER", func(s api.Session) string { return s.User }},
		{"SIGNED IN", func(s api.Session) string { return moment(s.SignedInAt) }},
		{"LAST SEEN", func(s api.Session) string { return moment(s.LastSeenAt) }},
		{"IP", func(s api.Session) string { return s.IP }},
		{"ENDED", func(s api.Session) string { return optionalMoment(s.EndedAt) }},
	}
	var ended bool
	list := listing(c, "list", "List sessions, the newest first", cobra.NoArgs, columns,
		func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Session], error) {
			if err := nameID(ctx, cl, f, "user"); err != nil {
				return api.Page[api.Session]{}, err
			}
			return cl.Sessions.List(ctx, withEnded(f, ended), at)
		}, filterFlag{"user", "sessions of this user: an id, name or address"})
	list.Flags().BoolVar(&ended, "ended", false, "also those that have ended")
	return c.resource("session", "Signed-in browsers and devices", list,
		c.action("show SESSION", "Show a session", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			s, err := cl.Sessions.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.write(s, func(w io.Writer) {
				facts(w, "id", s.ID, "user", s.User, "acr", s.ACR, "amr", words(s.AMR), "signed in", moment(s.SignedInAt), "last seen", moment(s.LastSeenAt),
					"expires", moment(s.ExpiresAt), "ended", optionalMoment(s.EndedAt), "because", s.EndReason, "ip", s.IP, "browser", s.UserAgent)
			})
		}),
		c.deed("end SESSION", "Sign a session out, with everything that hangs on it", cobra.ExactArgs(1), "has ended", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Sessions.End(ctx, args[0])
		}),
	)
}

func (c *console) grantCommand() *cobra.Command {
	columns := []column[api.Grant]{
		{"ID", func(g api.Grant) string { return g.ID }},
		{"PRINCIPAL", func(g api.Grant) string { return g.Principal }},
		{"CLIENT", func(g api.Grant) string { return g.Client }},
		{"SCOPES", func(g api.Grant) string { return words(g.Scopes) }},
		{"EXPIRES", func(g api.Grant) string { return optionalMoment(g.ExpiresAt) }},
		{"REVOKED", func(g api.Grant) string { return optionalMoment(g.RevokedAt) }},
	}
	var ended bool
	list := listing(c, "list", "List grants, the oldest first", cobra.NoArgs, columns,
		func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Grant], error) {
			if err := nameID(ctx, cl, f, "principal"); err != nil {
				return api.Page[api.Grant]{}, err
			}
			return cl.Grants.List(ctx, withEnded(f, ended), at)
		}, filterFlag{"principal", "grants to act for this principal: an id, or a user's name or address"}, filterFlag{"client", "grants of this client"}, filterFlag{"session", "grants that hang on this session"})
	list.Flags().BoolVar(&ended, "ended", false, "also those that have ended")
	list.MarkFlagsMutuallyExclusive("principal", "client", "session")
	return c.resource("grant", "What was allowed to whom", list,
		c.action("show GRANT", "Show a grant", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			g, err := cl.Grants.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.write(g, func(w io.Writer) {
				facts(w, "id", g.ID, "kind", g.Kind, "principal", g.Principal, "client", g.Client, "session", g.Session, "below", g.Parent, "actor", g.Actor, "scopes", words(g.Scopes),
					"audience", words(g.Audience), "offline", yes(g.Offline), "created", moment(g.CreatedAt), "expires", optionalMoment(g.ExpiresAt),
					"revoked", optionalMoment(g.RevokedAt), "because", g.RevokeReason)
			})
		}),
		c.deed("revoke GRANT", "End a grant and every token of it", cobra.ExactArgs(1), "is revoked", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Grants.Revoke(ctx, args[0])
		}),
	)
}

func (c *console) consentCommand() *cobra.Command {
	columns := []column[api.Consent]{
		{"CLIENT", func(x api.Consent) string { return x.Client }},
		{"SCOPES", func(x api.Consent) string { return words(x.Scopes) }},
		{"GIVEN", func(x api.Consent) string { return moment(x.GivenAt) }},
	}
	return c.resource("consent", "What users agreed to let clients have",
		listing(c, "list USER", "List what a user agreed to", cobra.ExactArgs(1), columns,
			func(ctx context.Context, cl *client.Client, args []string, _ client.Filter, at client.Cursor) (api.Page[api.Consent], error) {
				u, err := cl.Users.Get(ctx, args[0])
				if err != nil {
					return api.Page[api.Consent]{}, err
				}
				return cl.Consents.List(ctx, u.ID, at)
			}),
		c.deed("revoke USER CLIENT", "Forget what a user agreed to and end the grants that rest on it", cobra.ExactArgs(2), "has nothing of this user any more", func(ctx context.Context, cl *client.Client, args []string) error {
			u, err := cl.Users.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return cl.Consents.Revoke(ctx, u.ID, args[1])
		}),
	)
}

func withEnded(f client.Filter, ended bool) client.Filter {
	if ended {
		f["ended"] = "true"
	}
	return f
}
