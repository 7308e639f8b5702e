package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/cardea-id/cardea/e2e/live"
	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/realm"
)

// question is asked of the decision service: an owner writes an active record.
const question = `{"subject":{"type":"user","id":"alice"},"action":{"name":"write"},"resource":{"type":"record","id":"record-1","properties":{"status":"active"}},` +
	`"context":{"ip":"192.0.2.1","time":"1985-10-26T01:22-07:00"}}`

// policies is the folder that answers it, from the top of the repository.
const policies = "examples/policies/authzen"

// govern gives an installation whose server does not run policies and facts.
func govern(ctx context.Context, s *live.Server) error {
	env := map[string]string{}
	for _, pair := range s.Env() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	settings, err := config.Load(config.Input{Getenv: func(name string) string { return env[name] }})
	if err != nil {
		return err
	}
	a, err := app.New(ctx, app.Config{Settings: settings, Version: "bench", Output: io.Discard, Quiet: true})
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.Start(ctx); err != nil {
		return err
	}
	files, problems := folder.Open(os.DirFS(policies))
	if len(problems) > 0 {
		return fmt.Errorf("the policies are in %s of the repository: %v", policies, problems)
	}
	if _, err := a.Policies.Apply(ctx, audit.System, realm.Default, version.Change{Files: files, Message: "bench"}); err != nil {
		return err
	}
	alice, record := graph.Entity{Type: "user", ID: "alice"}, graph.Entity{Type: "record", ID: "record-1"}
	_, err = a.Facts.Write(ctx, audit.System, realm.Default, relation.Batch{Change: graph.Change{Add: []graph.Tuple{{Subject: alice, Relation: "owner", Object: record}},
		Set: []graph.Attribute{{Entity: record, Name: "status", Value: "active"}}}})
	return err
}

// mayAsk gets a client a token to ask for decisions with.
func (f *fixture) mayAsk(ctx context.Context) error {
	t, _, err := f.server.Token(ctx, f.asker.id, f.asker.secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"cardea:decide"}, "resource": {f.server.Issuer + "/access/v1"}})
	f.askToken = t.Access
	return err
}

// asking is the request that asks the question.
func asking(path string, headers map[string]string) []byte {
	text := string(request(http.MethodPost, path, headers, question))
	return []byte(strings.Replace(text, "application/x-www-form-urlencoded", "application/json", 1))
}
