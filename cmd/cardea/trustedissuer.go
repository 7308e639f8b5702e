package main

import (
	"context"
	"fmt"
	"io"
	"os"
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
	settings api.TrustedIssuerSettings
	jwks     string
}

func (f *issuerFlags) add(flags *pflag.FlagSet) {
	s := &f.settings
	flags.StringVar(&s.Name, "name", "", "a label for people; the issuer if empty")
	flags.StringVar(&f.jwks, "jwks", "", "file with its public keys, a JWK set")
	flags.StringVar(&s.JWKSURI, "jwks-uri", "", "or where its public keys are")
	flags.StringSliceVar(&s.Algorithms, "signed-with", nil, "how its tokens may be signed: ES256, RS256, PS256 or EdDSA; any if left out")
	flags.StringSliceVar(&s.Uses, "use", nil, "for what its word counts: token_exchange, jwt_bearer, id_jag or login_hint")
	flags.StringSliceVar(&s.Audiences, "audience", nil, "aud of tokens that may be exchanged; the realm's issuer if left out")
	flags.StringSliceVar(&s.Scopes, "scope", nil, "the most that anybody gets on its word")
	flags.BoolVar(&s.LinkByEmail, "link-by-email", false, "relaxed: link unknown subjects with the person who has the same verified address")
	flags.Int64Var(&s.MaxLife, "max-life", 0, "seconds that the exp of its tokens may be ahead; 300 if left out")
}

// onto gives the settings that result from base and the flags that were given.
func (f *issuerFlags) onto(cmd *cobra.Command, s api.TrustedIssuerSettings) (api.TrustedIssuerSettings, error) {
	from := f.settings
	for name, set := range map[string]func(){
		"name": func() { s.Name = from.Name }, "jwks-uri": func() { s.JWKSURI, s.JWKS = from.JWKSURI, "" },
		"signed-with": func() { s.Algorithms = from.Algorithms }, "use": func() { s.Uses = from.Uses }, "audience": func() { s.Audiences = from.Audiences },
		"scope": func() { s.Scopes = from.Scopes }, "link-by-email": func() { s.LinkByEmail = from.LinkByEmail }, "max-life": func() { s.MaxLife = from.MaxLife },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	if f.jwks == "" {
		return s, nil
	}
	data, err := os.ReadFile(f.jwks)
	s.JWKS = string(data)
	if from.JWKSURI == "" {
		s.JWKSURI = ""
	}
	return s, err
}

func (c *console) issuerCreate() *cobra.Command {
	var f issuerFlags
	var cmd *cobra.Command
	cmd = c.action("create", "Trust an issuer", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		settings, err := f.onto(cmd, api.TrustedIssuerSettings{Issuer: f.settings.Issuer})
		if err != nil {
			return err
		}
		made, err := cl.TrustedIssuers.Create(ctx, settings)
		if err != nil {
			return err
		}
		return c.showIssuer(made)
	})
	cmd.Flags().StringVar(&f.settings.Issuer, "issuer", "", "the iss of its tokens, exactly")
	f.add(cmd.Flags())
	return cmd
}

func (c *console) issuerUpdate() *cobra.Command {
	var f issuerFlags
	var cmd *cobra.Command
	cmd = c.action("update ISSUER", "Change the settings of a trusted issuer", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		old, err := cl.TrustedIssuers.Get(ctx, args[0])
		if err != nil {
			return err
		}
		settings, err := f.onto(cmd, old.TrustedIssuerSettings)
		if err != nil {
			return err
		}
		changed, err := cl.TrustedIssuers.Replace(ctx, args[0], old.Version, settings)
		if err != nil {
			return err
		}
		return c.showIssuer(changed)
	})
	f.add(cmd.Flags())
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
