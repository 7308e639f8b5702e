package apptest

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

const flowFolder = "../../../testdata/flows"

// Every conversation runs on each database, in the default realm and in
// another one. The realm that is not spoken to must not notice.
func TestFlows(t *testing.T) {
	only := os.Getenv("CARDEA_FLOW")
	files, err := filepath.Glob(flowFolder + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no flows in %s: %v", flowFolder, err)
	}
	Run(t, func(t *testing.T, e *Env) {
		cast := map[string]map[string]string{realm.Default: cast(t, e, realm.Default), Neighbour: cast(t, e, Neighbour)}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".txt")
			if only != "" && name != only {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parseFlow(filepath.Base(file), string(text))
			if err != nil {
				t.Fatal(err)
			}
			for in, other := range map[string]string{realm.Default: Neighbour, Neighbour: realm.Default} {
				t.Run(name+"/"+in, func(t *testing.T) {
					before := len(e.Events(t, other))
					c := &conversation{t: t, handler: e.Handler, issuer: IssuerOf(in), move: e.Clock.Advance, vars: maps.Clone(cast[in]), verbose: only != ""}
					c.play(f)
					if after := e.Events(t, other); len(after) != before {
						t.Errorf("realm %s noticed: %s", other, after[0].Action)
					}
				})
			}
		}
		for _, in := range []string{realm.Default, Neighbour} {
			if v, err := e.Log.Verify(context.Background(), in); err != nil {
				t.Errorf("the log of realm %s: %v %v", in, v, err)
			}
		}
	})
}

// cast makes the people and applications that the flows speak of, and gives
// what the flows call them.
func cast(t *testing.T, e *Env, in string) map[string]string {
	t.Helper()
	const redirect = "https://app.example/callback"
	ada, bob := e.Person(t, in, "ada@example.com"), e.Person(t, in, "bob@example.com")
	vars := map[string]string{
		"issuer": IssuerOf(in), "redirect": redirect, "password": Password, "verifier": "a-verifier-of-at-least-forty-three-characters-0",
		"ada": "ada@example.com", "ada_id": ada.ID, "bob": "bob@example.com", "bob_id": bob.ID, "api": "https://api.example",
	}
	app := client.Settings{
		Name: "Example App", Type: client.Web, RedirectURIs: []string{redirect}, PostLogoutRedirectURIs: []string{"https://app.example/"},
		GrantTypes: []string{client.AuthorizationCode, client.RefreshToken},
		Scopes:     []string{"openid", "profile", "email", "address", "phone", "offline_access", "read"}, Resources: []string{"https://api.example"},
	}
	own := app
	own.Name, own.FirstParty = "Own App", true
	spa := own
	spa.Name, spa.Type, spa.AuthMethod = "Page", client.SPA, client.None
	worker := client.Settings{Name: "Worker", Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"read"}, Resources: []string{"https://api.example"}}
	opaque := worker
	opaque.Name, opaque.AccessTokenFormat = "Discreet worker", client.Opaque
	api := client.Settings{Name: "API", Type: client.Service, ResourceServer: true, Identifiers: []string{"https://api.example"}}
	broker := client.Settings{Name: "Broker", Type: client.Service, ResourceServer: true, Identifiers: []string{"https://api.example"},
		GrantTypes: []string{client.ClientCredentials, client.TokenExchange}, Scopes: []string{"read"}, Resources: []string{"https://api.example"}, ExchangeDelegation: true}
	for id, settings := range map[string]client.Settings{"broker": broker, "app": app, "own": own, "spa": spa, "worker": worker, "opaque": opaque, "server": api} {
		vars[id+"_secret"] = e.Client(t, in, id, settings)
		made, err := e.Clients.ByID(context.Background(), in, id)
		if err != nil {
			t.Fatal(err)
		}
		vars[id+"_service"] = made.Principal
	}
	return vars
}
