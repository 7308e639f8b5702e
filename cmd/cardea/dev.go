package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/demo"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/postbox"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/mail"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// Who is seeded for the demonstration.
const (
	demoEmail = "demo@example.com"
	demoApp   = "demo-app"
	demoAPI   = "demo-api"
)

// devFlags are what only cardea dev takes.
type devFlags struct {
	noDemo       bool
	newPassword  bool
	passwordFile string
}

func (c *console) devCommand() *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Try Cardea on this machine, with a demonstration",
		Long: `Runs the server for one machine, with a person to sign in as, a demonstration web
application and a protected API. The password is generated and printed once.`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd)
	cmd.Flags().BoolVar(&f.noDemo, "no-demo", false, "run the server alone")
	cmd.Flags().BoolVar(&f.newPassword, "new-password", false, "give the demo person another generated password")
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", "file with the demo person's password, instead of a generated one (or CARDEA_DEMO_PASSWORD)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, s)
		if err != nil {
			return err
		}
		if cfg.Production() {
			return fmt.Errorf("issuer %s is one that others can reach; cardea dev is for this machine only, run cardea serve", cfg.Issuer)
		}
		return c.dev(cmd.Context(), cfg, f)
	}
	return cmd
}

// dev serves until ctx ends.
func (c *console) dev(ctx context.Context, cfg *config.Config, f devFlags) error {
	if cfg.Origin("log.format") == "default" {
		cfg.Log.Format = "text"
	}
	if cfg.Origin("log.level") == "default" {
		cfg.Log.Level = "warn"
	}
	var err error
	if cfg.Listen, err = fixed(cfg.Listen); err != nil {
		return err
	}
	if cfg.Origin("issuer") == "default" && cfg.Origin("listen") != "default" {
		cfg.Issuer = demo.LocalURL(cfg.Listen)
	}
	if cfg.Demo.AppListen, err = fixed(cfg.Demo.AppListen); err != nil {
		return err
	}
	if cfg.Demo.APIListen, err = fixed(cfg.Demo.APIListen); err != nil {
		return err
	}
	// Requests are logged only for those who ask for it: the terminal is for
	// the addresses and the password.
	quiet := cfg.Origin("log.level") == "default"
	// Mail is shown, not sent, unless a server for it was named.
	var box *mail.Shelf
	if cfg.Mail.Server == "" {
		box = mail.NewShelf()
	}
	a, err := app.New(ctx, app.Config{Settings: cfg, Version: version, Output: c.err, Quiet: quiet, Postbox: box})
	if err != nil {
		return err
	}
	defer a.Close()

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var show *demo.Demo
	err = a.Run(ctx, func(at net.Addr) {
		var err error
		if show, err = c.present(ctx, a, cfg, f); err != nil {
			stop(err)
			return
		}
		c.offerSetup(ctx, a)
		fmt.Fprintf(c.out, "cardea: ready on %s\n", address(cfg, at))
	})
	if show != nil {
		show.Close()
	}
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// present makes the demo person, the demo clients and the demonstration.
func (c *console) present(ctx context.Context, a *app.App, cfg *config.Config, f devFlags) (*demo.Demo, error) {
	fmt.Fprintf(c.out, "Cardea          %s\n", cfg.Issuer)
	if a.Postbox != nil {
		fmt.Fprintf(c.out, "mail            %s%s (shown there instead of sent)\n", cfg.Issuer, postbox.Path)
	}
	fmt.Fprintf(c.out, "playground      %s/console/playground (policies, for whoever administers)\n", cfg.Issuer)
	password, err := c.demoPerson(ctx, a, f)
	if err != nil {
		return nil, fmt.Errorf("demo person: %w", err)
	}
	c.printPerson(password) // at once: whatever fails from here on, it is not told again
	if f.noDemo {
		fmt.Fprintln(c.out)
		return nil, nil
	}
	appURL, apiURL := demo.LocalURL(cfg.Demo.AppListen), demo.LocalURL(cfg.Demo.APIListen)
	appSecret, err := demoClient(ctx, a, demoApp, client.Settings{
		Name: "Demo application", Type: client.Web, RedirectURIs: []string{demo.RedirectURI(appURL)}, PostLogoutRedirectURIs: []string{appURL + "/"},
		GrantTypes: []string{client.AuthorizationCode, client.RefreshToken}, AuthMethod: client.SecretBasic,
		Scopes: []string{"openid", "profile", "email", "offline_access", demo.Scope}, Resources: []string{apiURL},
	})
	if err != nil {
		return nil, fmt.Errorf("client %s: %w", demoApp, err)
	}
	apiSecret, err := demoClient(ctx, a, demoAPI, client.Settings{
		Name: "Demo API", Type: client.Service, ResourceServer: true, Identifiers: []string{apiURL}, AuthMethod: client.SecretBasic,
		GrantTypes: []string{client.ClientCredentials},
	})
	if err != nil {
		return nil, fmt.Errorf("client %s: %w", demoAPI, err)
	}
	show, err := demo.New(demo.Config{Issuer: cfg.Issuer, ClientID: demoApp, ClientSecret: string(appSecret), APIClientID: demoAPI, APIClientSecret: string(apiSecret),
		AppListen: cfg.Demo.AppListen, APIListen: cfg.Demo.APIListen, AppURL: appURL, APIURL: apiURL, Log: a.Logger()})
	if err != nil {
		return nil, err
	}
	if err := show.Start(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(c.out, "demo app        %s\ndemo API        %s\n\n", appURL, apiURL)
	return show, nil
}

func (c *console) printPerson(password secret.Text) {
	if password == "" {
		fmt.Fprintf(c.out, "sign in as      %s (the password was printed at the first start; --new-password makes another)\n", demoEmail)
		return
	}
	fmt.Fprintf(c.out, "sign in as      %s\npassword        %s\n", demoEmail, string(password))
}

// demoPerson makes the demo person. The password is empty when they have one
// already and no other is asked for.
func (c *console) demoPerson(ctx context.Context, a *app.App, f devFlags) (secret.Text, error) {
	password, err := c.demoPassword(f)
	if err != nil {
		return "", err
	}
	p, err := a.People.ByIdentifier(ctx, realm.Default, demoEmail)
	known := err == nil
	if fault.Is(err, fault.NotFound) {
		p, err = a.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, Name: "demo", DisplayName: "Demo Person",
			Emails: []principal.Email{{Address: demoEmail, Verified: true, Primary: true}}, Profile: principal.Profile{GivenName: "Demo", FamilyName: "Person"}})
	}
	if err != nil {
		return "", err
	}
	if !known {
		// Whoever tries things out has no second factor yet; see the guide.
		if _, err := a.Realms.Update(ctx, audit.System, realm.Default, 0, realm.Change{Settings: map[string]any{"operator_acr": "aal1", "operator_fresh": "30d"}}); err != nil {
			return "", err
		}
	}
	if known && password == "" && !f.newPassword {
		return "", nil
	}
	if password == "" {
		password = generated()
	}
	replaced, err := a.Passwords.Set(ctx, audit.System, realm.Default, p.ID, password)
	if err == nil && replaced != "" {
		err = a.Grants.SignOutEverywhere(ctx, audit.System, realm.Default, p.ID, "password set by cardea dev")
	}
	return password, err
}

func (c *console) demoPassword(f devFlags) (secret.Text, error) {
	if f.passwordFile == "" {
		return secret.Text(c.getenv("CARDEA_DEMO_PASSWORD")), nil
	}
	data, err := os.ReadFile(f.passwordFile)
	return secret.Text(strings.TrimRight(string(data), "\r\n")), err
}

// generated is a password of 100 random bits that can be typed.
func generated() secret.Text {
	b := make([]byte, 15)
	rand.Read(b)
	text := strings.ToLower(base32.StdEncoding.EncodeToString(b))[:20]
	return secret.Text(text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:])
}

// demoClient makes a client of the demonstration, or gives the one that is
// there these settings and a new secret: the old one was told to nobody.
func demoClient(ctx context.Context, a *app.App, id string, s client.Settings) (secret.Text, error) {
	made, err := a.Clients.Create(ctx, audit.System, realm.Default, client.Draft{ID: id, Settings: s})
	if err == nil {
		return made.Secret, nil
	}
	if !fault.Is(err, fault.Conflict) {
		return "", err
	}
	changed, err := a.Clients.Update(ctx, audit.System, realm.Default, id, 0, s)
	if err != nil {
		return "", err
	}
	old, err := a.Credentials.List(ctx, realm.Default, changed.Principal)
	if err != nil {
		return "", err
	}
	for i := range old {
		if err := a.Grants.RevokeCredential(ctx, audit.System, realm.Default, old[i].ID, "replaced by cardea dev", nil); err != nil {
			return "", err
		}
	}
	_, text, err := a.Credentials.AddSecret(ctx, audit.System, realm.Default, changed.Principal, "", 0)
	return text, err
}

// fixed replaces port 0 by one that is free now: addresses are told to others
// before anything listens there.
func fixed(listen string) (string, error) {
	if _, port, _ := net.SplitHostPort(listen); port != "0" {
		return listen, nil
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
