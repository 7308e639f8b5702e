package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/e2e/live"
)

// scope is what the measured clients ask for.
const scope = "bench:read"

const audience = "https://api.bench.example"

// An account is a client that authenticates with a secret.
type account struct{ id, secret string }

// A fixture is an installation with what the works need: clients of each kind,
// a signed-in person, tokens.
type fixture struct {
	server      *live.Server
	redirectURI string

	jwt, opaque, web, api account
	broker                account // exchanges tokens
	asker                 account // asks for decisions
	askToken              string
	accessToken           string // of client_credentials, for introspection
	userToken             string // of a person, for userinfo
	refreshTokens         []string
	cookies               []string
	browser               *live.Browser
	holders               []holder
}

// prepare makes the fixture on a running server for up to conns connections.
func prepare(ctx context.Context, s *live.Server, conns int) (*fixture, error) {
	f := &fixture{server: s, redirectURI: "http://127.0.0.1/callback"}
	for _, c := range []struct {
		into *account
		make api.ClientCreate
	}{
		{&f.api, api.ClientCreate{ID: "bench-api", ClientSettings: api.ClientSettings{
			Name: "API", Type: "service", ResourceServer: true, Identifiers: []string{audience}}}},
		{&f.jwt, api.ClientCreate{ID: "bench-jwt", ClientSettings: api.ClientSettings{
			Name: "JWT", Type: "service", GrantTypes: []string{"client_credentials"}, Scopes: []string{scope}, Resources: []string{audience}}}},
		{&f.opaque, api.ClientCreate{ID: "bench-opaque", ClientSettings: api.ClientSettings{
			Name: "Opaque", Type: "service", GrantTypes: []string{"client_credentials"}, Scopes: []string{scope}, Resources: []string{audience}, AccessTokenFormat: "opaque"}}},
		{&f.broker, api.ClientCreate{ID: "bench-broker", ClientSettings: api.ClientSettings{
			Name: "Broker", Type: "service", ResourceServer: true, Identifiers: []string{audience}, TokenExchangeDelegation: true,
			GrantTypes: []string{"client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"}, Scopes: []string{scope}, Resources: []string{audience}}}},
		{&f.asker, api.ClientCreate{ID: "bench-asker", ClientSettings: api.ClientSettings{
			Name: "Asker", Type: "service", GrantTypes: []string{"client_credentials"}, Scopes: []string{"cardea:decide"}}}},
		{&f.web, api.ClientCreate{ID: "bench-web", ClientSettings: api.ClientSettings{
			Name: "Web", Type: "web", FirstParty: true, RedirectURIs: []string{f.redirectURI},
			GrantTypes: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid", "profile", "email", "offline_access", scope}, Resources: []string{audience}}}},
	} {
		made, err := s.Admin.Clients.Create(ctx, c.make)
		if err != nil {
			return nil, fmt.Errorf("client %s: %w", c.make.ID, err)
		}
		*c.into = account{made.Client.ID, made.Secret}
	}
	const login, password = "bench@example.com", "turquoise walrus on a bicycle"
	if err := s.NewPerson(ctx, login, password); err != nil {
		return nil, err
	}
	f.browser = live.NewBrowser()
	if _, err := f.browser.SignIn(ctx, s.Issuer+f.authorizePath(), login, password); err != nil {
		return nil, err
	}
	for range conns {
		t, err := f.signIn(ctx)
		if err != nil {
			return nil, err
		}
		f.refreshTokens = append(f.refreshTokens, t.Refresh)
	}
	f.cookies = []string{f.browser.Cookies()}
	var err error
	if f.holders, err = holders(ctx, s, conns); err != nil {
		return nil, err
	}
	return f, f.renew(ctx)
}

// renew gets new access tokens: they last ten minutes, and all works longer.
func (f *fixture) renew(ctx context.Context) error {
	t, _, err := f.server.Token(ctx, f.jwt.id, f.jwt.secret, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
	if err != nil {
		return err
	}
	f.accessToken = t.Access
	if t, err = f.signIn(ctx); err != nil {
		return err
	}
	f.userToken = t.Access
	return f.mayAsk(ctx)
}

// signIn gets the tokens of a new grant with the existing session.
func (f *fixture) signIn(ctx context.Context) (live.Tokens, error) {
	page, err := f.browser.Open(ctx, f.server.Issuer+f.authorizePath())
	if err != nil {
		return live.Tokens{}, err
	}
	to, err := url.Parse(page.Location)
	if err != nil {
		return live.Tokens{}, err
	}
	t, _, err := f.server.Token(ctx, f.web.id, f.web.secret, url.Values{
		"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {f.redirectURI}, "code_verifier": {verifier},
	})
	return t, err
}

func (f *fixture) authorizePath() string {
	challenge := sha256.Sum256([]byte(verifier))
	return "/oauth2/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {f.web.id}, "redirect_uri": {f.redirectURI}, "scope": {"openid profile email offline_access " + scope},
		"state": {"1234567890"}, "nonce": {"1234567890"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}
