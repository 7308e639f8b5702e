package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

var clientColumns = []column[api.Client]{
	{"ID", func(x api.Client) string { return x.ID }},
	{"NAME", func(x api.Client) string { return x.Name }},
	{"TYPE", func(x api.Client) string { return x.Type }},
	{"AUTHENTICATES", func(x api.Client) string { return x.TokenEndpointAuthMethod }},
	{"ENABLED", func(x api.Client) string { return yes(x.Enabled) }},
	{"RELAXED", func(x api.Client) string { return fmt.Sprint(len(x.Relaxed)) }},
}

func (c *console) clientCommand() *cobra.Command {
	cmd := c.resource("client", "Applications that rely on the realm",
		listing(c, "list", "List clients", cobra.NoArgs, clientColumns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Client], error) {
				return cl.Clients.List(ctx, f, at)
			}),
		c.action("show CLIENT", "Show a client", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			x, err := cl.Clients.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.showClient(api.ClientWithSecret{Client: x}, false)
		}),
		c.clientCreate(), c.clientUpdate(),
		c.deed("delete CLIENT", "Delete a client for ever, and everything it was given", cobra.ExactArgs(1), "is deleted", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Clients.Delete(ctx, args[0])
		}),
		c.deed("enable CLIENT", "Let a disabled client ask for tokens again", cobra.ExactArgs(1), "is enabled", func(ctx context.Context, cl *client.Client, args []string) error {
			_, err := cl.Clients.Enable(ctx, args[0])
			return err
		}),
		c.deed("disable CLIENT", "End everything a client was given and give it nothing more", cobra.ExactArgs(1), "is disabled", func(ctx context.Context, cl *client.Client, args []string) error {
			_, err := cl.Clients.Disable(ctx, args[0])
			return err
		}),
		c.clientSecret(),
	)
	cmd.Example = `  cardea client create --name Shop --redirect-uri https://shop.example.com/callback --scope openid,profile,email
  cardea client create --name "Phone app" --type native --redirect-uri com.example.app:/callback --scope openid
  cardea client create --name Reports --type service --grant-type client_credentials --scope reports:read
  cardea client secret rotate CLIENT
  cardea client update CLIENT --file client.json`
	return cmd
}

// clientFlags are the flags that set a client's settings.
type clientFlags struct {
	settingFlags[api.ClientSettings]
	path       string
	assertions []string
}

func newClientFlags(flags *pflag.FlagSet) *clientFlags {
	f := &clientFlags{settingFlags: newSettingFlags[api.ClientSettings](flags)}
	set := f.settingFlags
	flags.StringVar(&f.path, "file", "", "JSON file with the settings, - for standard input; other flags change what it says")
	set.text("name", "what people read on the consent page", func(s *api.ClientSettings) *string { return &s.Name })
	set.text("type", "web, spa, native or service", func(s *api.ClientSettings) *string { return &s.Type })
	flags.Lookup("type").DefValue = "web" // for help: onto fills it in
	set.words("redirect-uri", "where answers go, compared as exact strings", func(s *api.ClientSettings) *[]string { return &s.RedirectURIs })
	set.words("post-logout-redirect-uri", "where browsers go after sign-out", func(s *api.ClientSettings) *[]string { return &s.PostLogoutRedirectURIs })
	set.text("backchannel-logout-uri", "where it is told that a session has ended", func(s *api.ClientSettings) *string { return &s.BackChannelLogoutURI })
	set.yes("backchannel-logout-session-required", "it relies on the session id in what it is told", func(s *api.ClientSettings) *bool { return &s.BackChannelLogoutSession })
	set.text("frontchannel-logout-uri", "what browsers load in a frame when somebody signs out", func(s *api.ClientSettings) *string { return &s.FrontChannelLogoutURI })
	set.yes("frontchannel-logout-session-required", "it relies on iss and sid in the frame's address", func(s *api.ClientSettings) *bool { return &s.FrontChannelLogoutSession })
	set.words("grant-type", "authorization_code, refresh_token, client_credentials, device_code, ciba, token-exchange or jwt-bearer, or the whole URN", func(s *api.ClientSettings) *[]string { return &s.GrantTypes })
	set.words("scope", "what it may ask for", func(s *api.ClientSettings) *[]string { return &s.Scopes })
	set.words("resource", "audiences it may ask tokens for", func(s *api.ClientSettings) *[]string { return &s.Resources })
	set.text("auth-method", "none, client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth, self_signed_tls_client_auth or attest_jwt_client_auth", func(s *api.ClientSettings) *string { return &s.TokenEndpointAuthMethod })
	set.file("jwks", "file with its public keys, a JWK set", func(s *api.ClientSettings) *string { return &s.JWKS })
	set.file("attester-jwks", "file with the keys of those who attest its instances, a JWK set, instead of the realm's", func(s *api.ClientSettings) *string { return &s.AttesterJWKS })
	set.text("jwks-uri", "where its public keys are", func(s *api.ClientSettings) *string { return &s.JWKSURI })
	set.text("access-token", "jwt or opaque", func(s *api.ClientSettings) *string { return &s.AccessTokenFormat })
	set.yes("resource-server", "it is an API: it may follow revocations and ask about its tokens", func(s *api.ClientSettings) *bool { return &s.ResourceServer })
	set.words("identifier", "audience that a resource server answers to", func(s *api.ClientSettings) *[]string { return &s.Identifiers })
	set.words("resource-scope", "scope that a resource server understands, for its metadata", func(s *api.ClientSettings) *[]string { return &s.ResourceScopes })
	set.yes("first-party", "ask nobody for consent", func(s *api.ClientSettings) *bool { return &s.FirstParty })
	set.text("least-acr", "aal1, aal2 or aal3: least assurance with which people get it anything", func(s *api.ClientSettings) *string { return &s.LeastACR })
	set.words("factor", "way to prove who one is that counts for it: password, totp, recovery, passkey or email; all if none is given", func(s *api.ClientSettings) *[]string { return &s.Factors })
	set.text("subject-type", "public or pairwise", func(s *api.ClientSettings) *string { return &s.SubjectType })
	set.text("id-token-alg", "ES256, RS256, PS256 or EdDSA", func(s *api.ClientSettings) *string { return &s.IDTokenSignedResponseAlg })
	set.text("backchannel-request-alg", "ES256, RS256, PS256 or EdDSA: how it signs its back-channel requests; it does not if empty", func(s *api.ClientSettings) *string { return &s.BackchannelRequestAlg })
	set.text("backchannel-mode", "how it learns what people decided who were asked by the back channel: poll, ping or push", func(s *api.ClientSettings) *string { return &s.BackchannelTokenDeliveryMode })
	set.text("backchannel-notification", "where it is told, for ping and push", func(s *api.ClientSettings) *string { return &s.BackchannelClientNotificationEndpoint })
	set.yes("dpop", "its tokens are bound to a key that it proves to have (DPoP)", func(s *api.ClientSettings) *bool { return &s.DPoPBoundAccessTokens })
	set.yes("dpop-nonce", "its proofs must hold a nonce of the server", func(s *api.ClientSettings) *bool { return &s.DPoPRequireNonce })
	set.yes("tls-bound", "its tokens are bound to the certificate of its connection", func(s *api.ClientSettings) *bool { return &s.TLSBoundAccessTokens })
	set.text("tls-subject", "subject of its certificate, such as CN=orders,O=Example", func(s *api.ClientSettings) *string { return &s.TLSClientAuthSubjectDN })
	set.text("tls-dns", "or a DNS name in its certificate", func(s *api.ClientSettings) *string { return &s.TLSClientAuthSANDNS })
	set.text("tls-uri", "or a URI in its certificate", func(s *api.ClientSettings) *string { return &s.TLSClientAuthSANURI })
	set.file("tls-ca", "PEM file of the CAs of its certificate, instead of the realm's", func(s *api.ClientSettings) *string { return &s.TLSClientCA })
	set.yes("delegation", "it may exchange tokens for ones that name who acts", func(s *api.ClientSettings) *bool { return &s.TokenExchangeDelegation })
	set.yes("impersonation", "relaxed: it may exchange tokens for ones that do not name who acts", func(s *api.ClientSettings) *bool { return &s.TokenExchangeImpersonation })
	flags.StringArrayVar(&f.assertions, "identity-assertion", nil, "it gets identity assertions for an issuer, such as \"https://chat.example client-id-there scope…\"; may be repeated")
	set.words("authorization-detail-type", "type of authorization details that it may ask for", func(s *api.ClientSettings) *[]string { return &s.AuthorizationDetailsTypes })
	set.text("profile", "rules beyond the realm's: default, mcp or fapi2", func(s *api.ClientSettings) *string { return &s.Profile })
	set.yes("require-par", "its authorization requests must be pushed (PAR)", func(s *api.ClientSettings) *bool { return &s.RequirePushedRequests })
	set.yes("require-signed-request", "its authorization requests must be signed (JAR)", func(s *api.ClientSettings) *bool { return &s.RequireSignedRequestObject })
	set.text("request-object-alg", "ES256, RS256, PS256 or EdDSA: how it signs its authorization requests", func(s *api.ClientSettings) *string { return &s.RequestObjectSigningAlg })
	set.words("request-uri", "where its signed requests may be fetched from", func(s *api.ClientSettings) *[]string { return &s.RequestURIs })
	set.yes("require-signed-response", "answers to its authorization requests are always signed (JARM)", func(s *api.ClientSettings) *bool { return &s.RequireSignedResponses })
	set.yes("pkce-optional", "relaxed: a confidential client may leave PKCE out", func(s *api.ClientSettings) *bool { return &s.PKCEOptional })
	return f
}

// onto gives the settings that result from base, the file and the flags that
// were given.
func (f *clientFlags) onto(base api.ClientSettings, stdin io.Reader) (api.ClientSettings, error) {
	if f.path != "" {
		data, err := readFileOr(f.path, stdin)
		if err != nil {
			return base, err
		}
		dec := json.NewDecoder(strings.NewReader(string(data)))
		dec.DisallowUnknownFields()
		base = api.ClientSettings{}
		if err := dec.Decode(&base); err != nil {
			if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
				return base, fmt.Errorf("%s: there is no setting %s", f.path, name)
			}
			return base, fmt.Errorf("%s: %w", f.path, err)
		}
	}
	s := &base
	if err := f.settingFlags.onto(s); err != nil {
		return base, err
	}
	if s.Type == "" {
		s.Type = "web"
	}
	if f.flags.Changed("grant-type") {
		s.GrantTypes = grantTypes(s.GrantTypes)
	}
	if !f.flags.Changed("identity-assertion") {
		return base, nil
	}
	s.IdentityAssertions = nil
	for _, one := range f.assertions {
		part := strings.Fields(one)
		if len(part) < 2 {
			return base, fmt.Errorf("--identity-assertion %q names an issuer and the client's id there", one)
		}
		s.IdentityAssertions = append(s.IdentityAssertions, api.IdentityAssertion{Issuer: part[0], ClientID: part[1], Scopes: part[2:]})
	}
	return base, nil
}

// grantTypes writes in full what people write in short.
func grantTypes(list []string) []string {
	full := slices.Clone(list)
	for i, name := range list {
		if long := longGrantTypes[name]; long != "" {
			full[i] = long
		}
	}
	return full
}

// longGrantTypes are the grant types whose names are URNs, by their last part.
var longGrantTypes = map[string]string{
	"device_code":    "urn:ietf:params:oauth:grant-type:device_code",
	"token-exchange": "urn:ietf:params:oauth:grant-type:token-exchange",
	"jwt-bearer":     "urn:ietf:params:oauth:grant-type:jwt-bearer",
	"ciba":           "urn:openid:params:grant-type:ciba",
}

func (c *console) clientCreate() *cobra.Command {
	var f *clientFlags
	var id string
	cmd := c.action("create", "Register a client; its secret is shown this once", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		settings, err := f.onto(api.ClientSettings{}, c.in)
		if err != nil {
			return err
		}
		made, err := cl.Clients.Create(ctx, api.ClientCreate{ID: id, ClientSettings: settings})
		if err != nil {
			return err
		}
		return c.showClient(made, true)
	})
	f = newClientFlags(cmd.Flags())
	cmd.Flags().StringVar(&id, "id", "", "a client_id of your choice; made up if empty")
	return cmd
}

func (c *console) clientUpdate() *cobra.Command {
	var f *clientFlags
	cmd := c.action("update CLIENT", "Change the settings of a client", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		old, err := cl.Clients.Get(ctx, args[0])
		if err != nil {
			return err
		}
		settings, err := f.onto(old.ClientSettings, c.in)
		if err != nil {
			return err
		}
		changed, err := cl.Clients.Replace(ctx, args[0], old.Version, settings)
		if err != nil {
			return err
		}
		return c.showClient(changed, true)
	})
	f = newClientFlags(cmd.Flags())
	return cmd
}

func (c *console) clientSecret() *cobra.Command {
	cmd := &cobra.Command{Use: "secret", Short: "Secrets of a client; two can be live, so that they can be changed without a gap", Args: cobra.NoArgs}
	var life time.Duration
	add := c.action("add CLIENT", "Make another secret, shown this once", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		made, err := cl.Clients.AddSecret(ctx, args[0], life)
		if err != nil {
			return err
		}
		return c.showSecret(made)
	})
	add.Flags().DurationVar(&life, "expires-in", 0, "when it ends by itself; 0 is never")
	rotate := c.action("rotate CLIENT", "Make a new secret and end all older ones", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		old, err := cl.Clients.Secrets(ctx, args[0])
		if err != nil {
			return err
		}
		for len(old.Items) > 1 { // make room: the oldest of two goes first
			if err := cl.Clients.RevokeSecret(ctx, args[0], old.Items[0].ID); err != nil {
				return err
			}
			old.Items = old.Items[1:]
		}
		made, err := cl.Clients.AddSecret(ctx, args[0], life)
		if err != nil {
			return err
		}
		// The new secret is written first: should ending the old one fail, it
		// is not lost.
		if err := c.showSecret(made); err != nil {
			return err
		}
		for _, s := range old.Items {
			if err := cl.Clients.RevokeSecret(ctx, args[0], s.ID); err != nil {
				return fmt.Errorf("the new secret works, but the old one %s still does too: %w", s.ID, err)
			}
		}
		return nil
	})
	rotate.Flags().DurationVar(&life, "expires-in", 0, "when it ends by itself; 0 is never")
	cmd.AddCommand(
		c.action("list CLIENT", "List secrets, without what they are", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
			page, err := cl.Clients.Secrets(ctx, args[0])
			if err != nil {
				return err
			}
			return c.write(page, func(w io.Writer) { rows(w, credentialColumns, page.Items) })
		}),
		add, rotate,
		c.deed("revoke CLIENT SECRET-ID", "End a secret and what was obtained with it", cobra.ExactArgs(2), "is revoked", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.Clients.RevokeSecret(ctx, args[0], args[1])
		}))
	return cmd
}

func (c *console) showSecret(s api.ClientSecret) error {
	return c.write(s, func(w io.Writer) {
		facts(w, "id", s.ID, "secret", s.Secret, "expires", optionalMoment(s.ExpiresAt))
	})
}

// showClient shows a client, and in JSON its secret only where one can be new.
func (c *console) showClient(x api.ClientWithSecret, changed bool) error {
	var v any = x
	if !changed {
		v = x.Client
	}
	k := x.Client
	return c.write(v, func(w io.Writer) {
		facts(w, "id", k.ID, "service", k.Principal, "name", k.Name, "type", k.Type, "profile", k.Profile, "source", k.Source, "enabled", yes(k.Enabled), "authenticates", k.TokenEndpointAuthMethod,
			"secret", x.Secret, "redirect", words(k.RedirectURIs), "sign-out", words(k.PostLogoutRedirectURIs), "told of sign-outs", words(slices.DeleteFunc([]string{k.BackChannelLogoutURI, k.FrontChannelLogoutURI}, func(uri string) bool { return uri == "" })), "grants", words(k.GrantTypes), "scopes", words(k.Scopes),
			"resources", words(k.Resources), "answers to", words(k.Identifiers), "tokens", k.AccessTokenFormat, "least level", k.LeastACR, "factors", words(k.Factors))
		otherSettings(w, k.ClientSettings)
		facts(w, "relaxed", strings.Join(k.Relaxed, "; "), "created", moment(k.CreatedAt), "updated", moment(k.UpdatedAt))
		if x.Secret != "" {
			fmt.Fprintln(c.err, "The secret is shown this once.")
		}
	})
}

// otherSettings writes what else is set of a client, by the names that a file has
// for it: whoever sets something sees that it is. The caller writes the others.
func otherSettings(w io.Writer, s api.ClientSettings) {
	s.Name, s.Type, s.Profile, s.TokenEndpointAuthMethod, s.RedirectURIs, s.PostLogoutRedirectURIs, s.BackChannelLogoutURI, s.FrontChannelLogoutURI = "", "", "", "", nil, nil, "", ""
	s.GrantTypes, s.Scopes, s.Resources, s.Identifiers, s.AccessTokenFormat, s.LeastACR, s.Factors = nil, nil, nil, nil, "", "", nil
	s.PKCEOptional, s.LegacyAssertionAudience, s.IntrospectAny, s.TokenExchangeImpersonation = false, false, false, false // told as relaxed
	data, _ := json.Marshal(s)
	named := map[string]any{}
	_ = json.Unmarshal(data, &named)
	for _, name := range slices.Sorted(maps.Keys(named)) {
		text := settingText(named[name])
		switch {
		case text == usualSettings[name]:
			continue
		case text != "" && slices.Contains(longSettings, name):
			text = "set"
		}
		facts(w, strings.ReplaceAll(name, "_", " "), text)
	}
}

// longSettings are keys and certificates, which a file shows.
var longSettings = []string{"jwks", "attester_jwks", "tls_client_ca"}

// usualSettings are the defaults of those settings that the server fills in.
var usualSettings = map[string]string{"subject_type": "public"}

func settingText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return yes(v)
	case []any:
		var parts []string
		for _, one := range v {
			parts = append(parts, settingText(one))
		}
		return words(parts)
	}
	text, _ := json.Marshal(v) // it came as JSON
	return string(text)
}

func readFileOr(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(stdin, 1<<20))
	}
	return os.ReadFile(name)
}
