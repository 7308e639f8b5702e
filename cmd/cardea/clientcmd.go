package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	settings api.ClientSettings
	jwks     string
	ca       string
	attester string
	file     string

	assertions []string
}

func (f *clientFlags) add(flags *pflag.FlagSet) {
	s := &f.settings
	flags.StringVar(&f.file, "file", "", "JSON file with the settings, - for standard input; other flags change what it says")
	flags.StringVar(&s.Name, "name", "", "what people read on the consent page")
	flags.StringVar(&s.Type, "type", "web", "web, spa, native or service")
	flags.StringSliceVar(&s.RedirectURIs, "redirect-uri", nil, "where answers go, compared as exact strings")
	flags.StringSliceVar(&s.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "where browsers go after sign-out")
	flags.StringVar(&s.BackChannelLogoutURI, "backchannel-logout-uri", "", "where it is told that a session has ended")
	flags.BoolVar(&s.BackChannelLogoutSession, "backchannel-logout-session-required", false, "it relies on the session id in what it is told")
	flags.StringVar(&s.FrontChannelLogoutURI, "frontchannel-logout-uri", "", "what browsers load in a frame when somebody signs out")
	flags.BoolVar(&s.FrontChannelLogoutSession, "frontchannel-logout-session-required", false, "it relies on iss and sid in the frame's address")
	flags.StringSliceVar(&s.GrantTypes, "grant-type", nil, "authorization_code, refresh_token, client_credentials, device_code, ciba, token-exchange or jwt-bearer, or the whole URN")
	flags.StringSliceVar(&s.Scopes, "scope", nil, "what it may ask for")
	flags.StringSliceVar(&s.Resources, "resource", nil, "audiences it may ask tokens for")
	flags.StringVar(&s.TokenEndpointAuthMethod, "auth-method", "", "none, client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth, self_signed_tls_client_auth or attest_jwt_client_auth")
	flags.StringVar(&f.jwks, "jwks", "", "file with its public keys, a JWK set")
	flags.StringVar(&f.attester, "attester-jwks", "", "file with the keys of those who attest its instances, a JWK set, instead of the realm's")
	flags.StringVar(&s.JWKSURI, "jwks-uri", "", "where its public keys are")
	flags.StringVar(&s.AccessTokenFormat, "access-token", "", "jwt or opaque")
	flags.BoolVar(&s.ResourceServer, "resource-server", false, "it is an API: it may follow revocations and ask about its tokens")
	flags.StringSliceVar(&s.Identifiers, "identifier", nil, "audience that a resource server answers to")
	flags.StringSliceVar(&s.ResourceScopes, "resource-scope", nil, "scope that a resource server understands, for its metadata")
	flags.BoolVar(&s.FirstParty, "first-party", false, "ask nobody for consent")
	flags.StringVar(&s.SubjectType, "subject-type", "", "public or pairwise")
	flags.StringVar(&s.IDTokenSignedResponseAlg, "id-token-alg", "", "ES256, RS256, PS256 or EdDSA")
	flags.StringVar(&s.BackchannelRequestAlg, "backchannel-request-alg", "", "ES256, RS256, PS256 or EdDSA: how it signs its back-channel requests; it does not if empty")
	flags.StringVar(&s.BackchannelTokenDeliveryMode, "backchannel-mode", "", "how it learns what people decided who were asked by the back channel: poll, ping or push")
	flags.StringVar(&s.BackchannelClientNotificationEndpoint, "backchannel-notification", "", "where it is told, for ping and push")
	flags.BoolVar(&s.DPoPBoundAccessTokens, "dpop", false, "its tokens are bound to a key that it proves to have (DPoP)")
	flags.BoolVar(&s.DPoPRequireNonce, "dpop-nonce", false, "its proofs must hold a nonce of the server")
	flags.BoolVar(&s.TLSBoundAccessTokens, "tls-bound", false, "its tokens are bound to the certificate of its connection")
	flags.StringVar(&s.TLSClientAuthSubjectDN, "tls-subject", "", "subject of its certificate, such as CN=orders,O=Example")
	flags.StringVar(&s.TLSClientAuthSANDNS, "tls-dns", "", "or a DNS name in its certificate")
	flags.StringVar(&s.TLSClientAuthSANURI, "tls-uri", "", "or a URI in its certificate")
	flags.StringVar(&f.ca, "tls-ca", "", "PEM file of the CAs of its certificate, instead of the realm's")
	flags.BoolVar(&s.TokenExchangeDelegation, "delegation", false, "it may exchange tokens for ones that name who acts")
	flags.BoolVar(&s.TokenExchangeImpersonation, "impersonation", false, "relaxed: it may exchange tokens for ones that do not name who acts")
	flags.StringArrayVar(&f.assertions, "identity-assertion", nil, "it gets identity assertions for an issuer, such as \"https://chat.example client-id-there scope…\"; may be repeated")
	flags.StringSliceVar(&s.AuthorizationDetailsTypes, "authorization-detail-type", nil, "type of authorization details that it may ask for")
	flags.StringVar(&s.Profile, "profile", "", "rules beyond the realm's: default, mcp or fapi2")
	flags.BoolVar(&s.RequirePushedRequests, "require-par", false, "its authorization requests must be pushed (PAR)")
	flags.BoolVar(&s.RequireSignedRequestObject, "require-signed-request", false, "its authorization requests must be signed (JAR)")
	flags.StringVar(&s.RequestObjectSigningAlg, "request-object-alg", "", "ES256, RS256, PS256 or EdDSA: how it signs its authorization requests")
	flags.StringSliceVar(&s.RequestURIs, "request-uri", nil, "where its signed requests may be fetched from")
	flags.BoolVar(&s.RequireSignedResponses, "require-signed-response", false, "answers to its authorization requests are always signed (JARM)")
	flags.BoolVar(&s.PKCEOptional, "pkce-optional", false, "relaxed: a confidential client may leave PKCE out")
}

// onto gives the settings that result from base, the file and the flags that
// were given.
func (f *clientFlags) onto(cmd *cobra.Command, base api.ClientSettings, stdin io.Reader) (api.ClientSettings, error) {
	if f.file != "" {
		data, err := readFileOr(f.file, stdin)
		if err != nil {
			return base, err
		}
		dec := json.NewDecoder(strings.NewReader(string(data)))
		dec.DisallowUnknownFields()
		var from api.ClientSettings
		if err := dec.Decode(&from); err != nil {
			return base, fmt.Errorf("%s: %w", f.file, err)
		}
		base = from
	}
	s, from := &base, f.settings
	apply := map[string]func(){
		"name": func() { s.Name = from.Name }, "type": func() { s.Type = from.Type },
		"redirect-uri":             func() { s.RedirectURIs = from.RedirectURIs },
		"post-logout-redirect-uri": func() { s.PostLogoutRedirectURIs = from.PostLogoutRedirectURIs },
		"grant-type":               func() { s.GrantTypes = grantTypes(from.GrantTypes) },
		"scope":                    func() { s.Scopes = from.Scopes }, "resource": func() { s.Resources = from.Resources },
		"auth-method": func() { s.TokenEndpointAuthMethod = from.TokenEndpointAuthMethod },
		"jwks-uri":    func() { s.JWKSURI = from.JWKSURI }, "access-token": func() { s.AccessTokenFormat = from.AccessTokenFormat },
		"resource-server": func() { s.ResourceServer = from.ResourceServer }, "identifier": func() { s.Identifiers = from.Identifiers },
		"first-party": func() { s.FirstParty = from.FirstParty }, "subject-type": func() { s.SubjectType = from.SubjectType },
		"id-token-alg": func() { s.IDTokenSignedResponseAlg = from.IDTokenSignedResponseAlg }, "pkce-optional": func() { s.PKCEOptional = from.PKCEOptional },
	}
	for name, set := range map[string]func(){
		"frontchannel-logout-uri":              func() { s.FrontChannelLogoutURI = from.FrontChannelLogoutURI },
		"frontchannel-logout-session-required": func() { s.FrontChannelLogoutSession = from.FrontChannelLogoutSession },
		"backchannel-request-alg":              func() { s.BackchannelRequestAlg = from.BackchannelRequestAlg },
		"backchannel-mode":                     func() { s.BackchannelTokenDeliveryMode = from.BackchannelTokenDeliveryMode },
		"backchannel-notification":             func() { s.BackchannelClientNotificationEndpoint = from.BackchannelClientNotificationEndpoint },
		"resource-scope":                       func() { s.ResourceScopes = from.ResourceScopes },
		"backchannel-logout-uri":               func() { s.BackChannelLogoutURI = from.BackChannelLogoutURI },
		"backchannel-logout-session-required":  func() { s.BackChannelLogoutSession = from.BackChannelLogoutSession },
		"delegation":                           func() { s.TokenExchangeDelegation = from.TokenExchangeDelegation }, "impersonation": func() { s.TokenExchangeImpersonation = from.TokenExchangeImpersonation },
		"dpop": func() { s.DPoPBoundAccessTokens = from.DPoPBoundAccessTokens }, "dpop-nonce": func() { s.DPoPRequireNonce = from.DPoPRequireNonce },
		"require-signed-request":    func() { s.RequireSignedRequestObject = from.RequireSignedRequestObject },
		"request-object-alg":        func() { s.RequestObjectSigningAlg = from.RequestObjectSigningAlg },
		"request-uri":               func() { s.RequestURIs = from.RequestURIs },
		"require-signed-response":   func() { s.RequireSignedResponses = from.RequireSignedResponses },
		"profile":                   func() { s.Profile = from.Profile },
		"authorization-detail-type": func() { s.AuthorizationDetailsTypes = from.AuthorizationDetailsTypes },
		"require-par":               func() { s.RequirePushedRequests = from.RequirePushedRequests },
		"tls-bound":                 func() { s.TLSBoundAccessTokens = from.TLSBoundAccessTokens },
		"tls-subject":               func() { s.TLSClientAuthSubjectDN = from.TLSClientAuthSubjectDN },
		"tls-dns":                   func() { s.TLSClientAuthSANDNS = from.TLSClientAuthSANDNS }, "tls-uri": func() { s.TLSClientAuthSANURI = from.TLSClientAuthSANURI },
	} {
		apply[name] = set
	}
	for name, set := range apply {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	if s.Type == "" {
		s.Type = from.Type
	}
	if cmd.Flags().Changed("identity-assertion") {
		s.IdentityAssertions = nil
		for _, one := range f.assertions {
			part := strings.Fields(one)
			if len(part) < 2 {
				return base, fmt.Errorf("--identity-assertion %q names an issuer and the client's id there", one)
			}
			s.IdentityAssertions = append(s.IdentityAssertions, api.IdentityAssertion{Issuer: part[0], ClientID: part[1], Scopes: part[2:]})
		}
	}
	if f.jwks != "" {
		data, err := os.ReadFile(f.jwks)
		if err != nil {
			return base, err
		}
		s.JWKS = string(data)
	}
	if f.attester != "" {
		data, err := os.ReadFile(f.attester)
		if err != nil {
			return base, err
		}
		s.AttesterJWKS = string(data)
	}
	if f.ca != "" {
		data, err := os.ReadFile(f.ca)
		if err != nil {
			return base, err
		}
		s.TLSClientCA = string(data)
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
	var f clientFlags
	var id string
	var cmd *cobra.Command
	cmd = c.action("create", "Register a client; its secret is shown this once", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		settings, err := f.onto(cmd, api.ClientSettings{}, c.in)
		if err != nil {
			return err
		}
		made, err := cl.Clients.Create(ctx, api.ClientCreate{ID: id, ClientSettings: settings})
		if err != nil {
			return err
		}
		return c.showClient(made, true)
	})
	f.add(cmd.Flags())
	cmd.Flags().StringVar(&id, "id", "", "a client_id of your choice; made up if empty")
	return cmd
}

func (c *console) clientUpdate() *cobra.Command {
	var f clientFlags
	var cmd *cobra.Command
	cmd = c.action("update CLIENT", "Change the settings of a client", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		old, err := cl.Clients.Get(ctx, args[0])
		if err != nil {
			return err
		}
		settings, err := f.onto(cmd, old.ClientSettings, c.in)
		if err != nil {
			return err
		}
		changed, err := cl.Clients.Replace(ctx, args[0], old.Version, settings)
		if err != nil {
			return err
		}
		return c.showClient(changed, true)
	})
	f.add(cmd.Flags())
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
		facts(w, "id", k.ID, "name", k.Name, "type", k.Type, "profile", k.Profile, "source", k.Source, "enabled", yes(k.Enabled), "authenticates", k.TokenEndpointAuthMethod,
			"secret", x.Secret, "redirect", words(k.RedirectURIs), "sign-out", words(k.PostLogoutRedirectURIs), "told of sign-outs", words(slices.DeleteFunc([]string{k.BackChannelLogoutURI, k.FrontChannelLogoutURI}, func(uri string) bool { return uri == "" })), "grants", words(k.GrantTypes), "scopes", words(k.Scopes),
			"resources", words(k.Resources), "answers to", words(k.Identifiers), "tokens", k.AccessTokenFormat, "relaxed", strings.Join(k.Relaxed, "; "),
			"created", moment(k.CreatedAt), "updated", moment(k.UpdatedAt))
		if x.Secret != "" {
			fmt.Fprintln(c.err, "The secret is shown this once.")
		}
	})
}

func readFileOr(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(stdin, 1<<20))
	}
	return os.ReadFile(name)
}
