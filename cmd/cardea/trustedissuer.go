package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

var issuerColumns = []column[api.TrustedIssuer]{
	{"ID", func(x api.TrustedIssuer) string { return x.ID }},
	{"ISSUER", func(x api.TrustedIssuer) string { return x.Issuer }},
	{"NAME", func(x api.TrustedIssuer) string { return x.Name }},
	{"USES", func(x api.TrustedIssuer) string { return words(x.Uses) }},
	{"RELAXED", func(x api.TrustedIssuer) string { return fmt.Sprint(len(x.Relaxed)) }},
}

var subjectColumns = []column[api.TrustedSubject]{
	{"ID", func(x api.TrustedSubject) string { return x.ID }},
	{"SUBJECT", func(x api.TrustedSubject) string { return x.Subject }},
	{"PRINCIPAL", func(x api.TrustedSubject) string { return x.Principal }},
	{"LINKED", func(x api.TrustedSubject) string { return moment(x.CreatedAt) }},
}

func (c *console) trustedIssuerCommand() *cobra.Command {
	cmd := c.resource("trusted-issuer", "Others whose tokens and assertions count in the realm",
		listing(c, "list", "List trusted issuers", cobra.NoArgs, issuerColumns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.TrustedIssuer], error) {
				return cl.TrustedIssuers.List(ctx, f, at)
			}),
		c.action("show ISSUER", "Show a trusted issuer", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			x, err := cl.TrustedIssuers.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.showIssuer(x)
		}),
		c.issuerCreate(), c.issuerUpdate(),
		c.deed("delete ISSUER", "Stop trusting an issuer, and end what was obtained on its word", cobra.ExactArgs(1), "is deleted", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.TrustedIssuers.Delete(ctx, args[0])
		}),
		listing(c, "subjects ISSUER", "List who its subjects are in the realm", cobra.ExactArgs(1), subjectColumns,
			func(ctx context.Context, cl *client.Client, args []string, _ client.Filter, at client.Cursor) (api.Page[api.TrustedSubject], error) {
				return cl.TrustedIssuers.Subjects(ctx, args[0], at)
			}),
		c.action("link ISSUER SUBJECT PRINCIPAL", "Say which user or service a subject of the issuer is", cobra.ExactArgs(3), func(ctx context.Context, cl *client.Client, args []string) error {
			x, err := cl.TrustedIssuers.Link(ctx, args[0], api.TrustedSubjectCreate{Subject: args[1], Principal: args[2]})
			if err != nil {
				return err
			}
			return c.write(x, func(w io.Writer) {
				facts(w, "id", x.ID, "subject", x.Subject, "principal", x.Principal, "linked", moment(x.CreatedAt))
			})
		}),
		c.deed("unlink ISSUER LINK-ID", "Make a subject nobody, and end what was obtained through the link", cobra.ExactArgs(2), "is unlinked", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.TrustedIssuers.Unlink(ctx, args[0], args[1])
		}),
	)
	cmd.Example = `  cardea trusted-issuer create --issuer https://login.example.com --jwks-uri https://login.example.com/keys --use id_jag --scope chat.read
  cardea trusted-issuer link ISSUER 00u1a2b3 usr_01h455vb4pex5vsknk084sn02q
  cardea trusted-issuer delete ISSUER`
	return cmd
}

// issuerFlags are the flags that set a trusted issuer's settings.
type issuerFlags struct {
	settingFlags[api.TrustedIssuerSettings]
}

func newIssuerFlags(flags *pflag.FlagSet) issuerFlags {
	set := newSettingFlags[api.TrustedIssuerSettings](flags)
	set.text("name", "a label for people; the issuer if empty", func(s *api.TrustedIssuerSettings) *string { return &s.Name })
	set.file("jwks", "file with its public keys, a JWK set", func(s *api.TrustedIssuerSettings) *string { return &s.JWKS })
	set.text("jwks-uri", "or where its public keys are", func(s *api.TrustedIssuerSettings) *string { return &s.JWKSURI })
	set.words("signed-with", "how its tokens may be signed: ES256, RS256, PS256 or EdDSA; any if left out", func(s *api.TrustedIssuerSettings) *[]string { return &s.Algorithms })
	set.words("use", "for what its word counts: token_exchange, jwt_bearer, id_jag or login_hint", func(s *api.TrustedIssuerSettings) *[]string { return &s.Uses })
	set.words("audience", "aud of tokens that may be exchanged; the realm's issuer if left out", func(s *api.TrustedIssuerSettings) *[]string { return &s.Audiences })
	set.words("scope", "the most that anybody gets on its word", func(s *api.TrustedIssuerSettings) *[]string { return &s.Scopes })
	set.yes("link-by-email", "relaxed: link unknown subjects with the person who has the same verified address", func(s *api.TrustedIssuerSettings) *bool { return &s.LinkByEmail })
	set.number("max-life", "seconds that the exp of its tokens may be ahead; 300 if left out", func(s *api.TrustedIssuerSettings) *int64 { return &s.MaxLife })
	return issuerFlags{set}
}

// onto gives the settings that result from s and the flags that were given. One
// place of keys takes that of the other.
func (f issuerFlags) onto(s api.TrustedIssuerSettings) (api.TrustedIssuerSettings, error) {
	err := f.settingFlags.onto(&s)
	switch here, there := f.flags.Changed("jwks"), f.flags.Changed("jwks-uri"); {
	case here && !there:
		s.JWKSURI = ""
	case there && !here:
		s.JWKS = ""
	}
	return s, err
}

func (c *console) issuerCreate() *cobra.Command {
	var f issuerFlags
	var issuer string
	cmd := c.action("create", "Trust an issuer", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		settings, err := f.onto(api.TrustedIssuerSettings{Issuer: issuer})
		if err != nil {
			return err
		}
		made, err := cl.TrustedIssuers.Create(ctx, settings)
		if err != nil {
			return err
		}
		return c.showIssuer(made)
	})
	cmd.Flags().StringVar(&issuer, "issuer", "", "the iss of its tokens, exactly")
	f = newIssuerFlags(cmd.Flags())
	return cmd
}

func (c *console) issuerUpdate() *cobra.Command {
	var f issuerFlags
	cmd := c.action("update ISSUER", "Change the settings of a trusted issuer", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		old, err := cl.TrustedIssuers.Get(ctx, args[0])
		if err != nil {
			return err
		}
		settings, err := f.onto(old.TrustedIssuerSettings)
		if err != nil {
			return err
		}
		changed, err := cl.TrustedIssuers.Replace(ctx, args[0], old.Version, settings)
		if err != nil {
			return err
		}
		return c.showIssuer(changed)
	})
	f = newIssuerFlags(cmd.Flags())
	return cmd
}

func (c *console) showIssuer(x api.TrustedIssuer) error {
	return c.write(x, func(w io.Writer) {
		keys := x.JWKSURI
		if keys == "" {
			keys = "registered here"
		}
		facts(w, "id", x.ID, "issuer", x.Issuer, "name", x.Name, "keys", keys, "signed with", words(x.Algorithms), "uses", words(x.Uses),
			"audiences", words(x.Audiences), "scopes", words(x.Scopes), "longest life", fmt.Sprintf("%ds", x.MaxLife), "relaxed", strings.Join(x.Relaxed, "; "),
			"created", moment(x.CreatedAt), "updated", moment(x.UpdatedAt))
	})
}
