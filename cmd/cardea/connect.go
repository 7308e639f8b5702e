package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/client"
)

// remote says which server to administer, and as whom.
type remote struct {
	issuer string
	token  string
	given  string // what held the token that is used, --token or a variable; "" for a login's
}

// remoteFlags adds the flags of every administering command.
func (c *console) remoteFlags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&c.remote.issuer, "issuer", "", "issuer URL of the realm (default CARDEA_ISSUER, else where you logged in last)")
	f.StringVar(&c.remote.token, "token", "", "access token to use instead of a login; better CARDEA_TOKEN, since other users see command lines")
}

// admin gives a client of the admin API.
func (c *console) admin(opts ...client.Option) (*client.Client, error) {
	store, err := c.tokens()
	if err != nil {
		return nil, err
	}
	issuer := strings.TrimSuffix(firstOf(c.remote.issuer, c.getenv("CARDEA_ISSUER"), store.Current), "/")
	if issuer == "" {
		return nil, errors.New("no server is named: run cardea login ISSUER, or give --issuer")
	}
	if token := firstOf(c.remote.token, c.getenv("CARDEA_TOKEN")); token != "" {
		c.remote.given = "CARDEA_TOKEN"
		if c.remote.token != "" {
			c.remote.given = "--token"
		}
		return client.New(issuer, append(opts, agent(), client.WithToken(token))...)
	}
	if _, ok := store.Logins[issuer]; !ok {
		return nil, fmt.Errorf("you are not logged in at %s: run cardea login %s", issuer, issuer)
	}
	return c.adminAt(issuer, opts...)
}

// adminAt is admin by the login at an issuer, which there is.
func (c *console) adminAt(issuer string, opts ...client.Option) (*client.Client, error) {
	return client.New(issuer, append(opts, agent(), client.WithTokenSource(func(ctx context.Context) (string, error) {
		return c.freshToken(ctx, issuer)
	}), client.WithStepUp(func(ctx context.Context, least client.StepUp) error {
		return c.stepUp(ctx, issuer, least)
	}))...)
}

func agent() client.Option { return client.WithUserAgent("cardea-cli/" + version) }

// stepUp logs in once more, as an operation takes it, and replaces the login. A
// login that was made on another device is made there again.
func (c *console) stepUp(ctx context.Context, issuer string, least client.StepUp) error {
	store, err := c.tokens()
	if err != nil {
		return err
	}
	fmt.Fprintln(c.err, "This is dangerous, so sign in once more.")
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	again := func() (login, error) { return c.loginInBrowser(ctx, issuer, false, least) }
	if store.Logins[issuer].Device {
		again = func() (login, error) { return c.loginOnDevice(ctx, issuer, least) }
	}
	got, err := again()
	if err != nil {
		return err
	}
	return c.keepLogin(ctx, issuer, got)
}

// freshToken gives the saved access token, refreshed if it is about to expire.
func (c *console) freshToken(ctx context.Context, issuer string) (string, error) {
	unlock, err := c.lockTokens()
	if err != nil {
		return "", err
	}
	defer unlock()
	store, err := c.tokens()
	if err != nil {
		return "", err
	}
	login, ok := store.Logins[issuer]
	if !ok {
		return "", fmt.Errorf("you are not logged in at %s: run cardea login %s", issuer, issuer)
	}
	if time.Until(login.Expires) > 30*time.Second {
		return login.Access, nil
	}
	if login.Refresh == "" {
		return "", fmt.Errorf("your login at %s has expired: run cardea login %s", issuer, issuer)
	}
	fresh, err := refresh(ctx, issuer, login)
	var no *refused
	if err != nil && !(errors.As(err, &no) && no.code == "invalid_grant") {
		return "", fmt.Errorf("your login at %s could not be renewed now: %w", issuer, err)
	}
	if err != nil {
		return "", fmt.Errorf("your login at %s has ended (%w): run cardea login %s", issuer, err, issuer)
	}
	fresh.Device = login.Device
	store.Logins[issuer] = fresh
	return fresh.Access, store.save()
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
