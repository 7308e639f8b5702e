// Package interop runs Go clients that other people wrote against the real
// binary. Those of other languages are in the folder above.
package interop

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/e2e/live"
)

const (
	login    = "ada@example.com"
	password = "turquoise walrus on a bicycle"
	redirect = "http://127.0.0.1/callback"
)

func TestGoOIDC(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	binary, err := live.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := live.Install(ctx, live.Options{Binary: binary, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) { signInWith(ctx, t, server, alg) })
	}
}

// signInWith goes the whole way of a relying party built on go-oidc and
// x/oauth2, with ID tokens, access tokens and userinfo signed with alg.
func signInWith(ctx context.Context, t *testing.T, server *live.Server, alg string) {
	email := alg + "." + login
	if err := server.NewPerson(ctx, email, password); err != nil {
		t.Fatal(err)
	}
	made, err := server.Admin.Clients.Create(ctx, api.ClientCreate{ID: "go-oidc-" + strings.ToLower(alg), ClientSettings: api.ClientSettings{
		Name: "go-oidc", Type: "web", RedirectURIs: []string{redirect}, GrantTypes: []string{"authorization_code", "refresh_token"},
		Scopes:                       []string{"openid", "profile", "email", "offline_access"},
		IDTokenSignedResponseAlg:     alg,
		AccessTokenSignedResponseAlg: alg,
		UserInfoSignedResponseAlg:    alg,
	}})
	if err != nil {
		t.Fatal(err)
	}
	provider, err := oidc.NewProvider(ctx, server.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	config := oauth2.Config{ClientID: made.Client.ID, ClientSecret: made.Secret, Endpoint: provider.Endpoint(), RedirectURL: redirect,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess}}
	verifier := oauth2.GenerateVerifier()
	page, err := live.NewBrowser().SignIn(ctx, config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("nonce")), email, password)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := url.Parse(page.Location)
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.Query().Get("state"); got != "state" {
		t.Fatalf("state %q came back in %s", got, answer)
	}
	token, err := config.Exchange(ctx, answer.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	idToken, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: made.Client.ID, SupportedSigningAlgs: []string{alg}}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if idToken.Nonce != "nonce" {
		t.Errorf("nonce %q", idToken.Nonce)
	}
	if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		t.Fatal(err)
	}
	if info.Subject != idToken.Subject || info.Email != email || !info.EmailVerified {
		t.Errorf("userinfo: %+v", info)
	}
	token.Expiry = time.Now().Add(-time.Hour)
	next, err := config.TokenSource(ctx, token).Token()
	if err != nil {
		t.Fatal(err)
	}
	if next.AccessToken == token.AccessToken || next.RefreshToken == token.RefreshToken {
		t.Error("refreshing changed nothing")
	}
}
