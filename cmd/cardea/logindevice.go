package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// deviceAnswer is what the server says to a device that asks (RFC 8628, section
// 3.2).
type deviceAnswer struct {
	Code     string `json:"device_code"`
	UserCode string `json:"user_code"`
	Page     string `json:"verification_uri"`
	Complete string `json:"verification_uri_complete"`
	Expires  int64  `json:"expires_in"`
	Interval int64  `json:"interval"`
}

// loginOnDevice runs the device authorization grant (RFC 8628): the browser may
// be anywhere, such as on the machine from which somebody came by ssh.
func (c *console) loginOnDevice(ctx context.Context, issuer string, least client.StepUp) (login, error) {
	e, err := discover(ctx, issuer)
	if err != nil {
		return login{}, err
	}
	if e.Device == "" {
		return login{}, fmt.Errorf("%s does not let devices log in; run cardea login without --device", issuer)
	}
	var asked deviceAnswer
	form := url.Values{"client_id": {cliClient}, "scope": {loginScope}, "resource": {e.Issuer + api.Path}}
	demand(form, least)
	req, err := postForm(ctx, e.Device, form)
	if err != nil {
		return login{}, err
	}
	if err := fetchJSON(req, &asked); err != nil {
		return login{}, err
	}
	if asked.Code == "" || asked.UserCode == "" || asked.Page == "" {
		return login{}, errors.New("the server's answer has no code")
	}
	fmt.Fprintf(c.err, "Open this address in any browser:\n\n  %s\n\nand make sure that it shows this code, or type it there:\n\n  %s\n\n",
		cell(firstOf(asked.Complete, asked.Page)), cell(asked.UserCode))
	return pollDevice(ctx, e, asked)
}

// pollDevice asks until somebody has decided, no more often than the server
// wants.
func pollDevice(ctx context.Context, e endpoints, asked deviceAnswer) (login, error) {
	wait := time.Duration(max(asked.Interval, 1)) * time.Second
	for {
		select {
		case <-ctx.Done():
			return login{}, errors.New("nobody signed in")
		case <-time.After(wait):
		}
		got, err := askToken(ctx, e.Token, url.Values{"grant_type": {deviceGrant}, "client_id": {cliClient}, "device_code": {asked.Code}, "resource": {e.Issuer + api.Path}})
		var no *refused
		if err == nil || !errors.As(err, &no) {
			got.Device = true
			return got, err
		}
		switch no.code {
		case "authorization_pending":
		case "slow_down":
			wait += 5 * time.Second
		case "access_denied":
			return login{}, errors.New("somebody at the browser refused")
		case "expired_token":
			return login{}, errors.New("nobody signed in")
		default:
			return login{}, err
		}
	}
}
