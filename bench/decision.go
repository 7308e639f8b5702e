package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cardea-id/cardea/api"
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

// question is asked of the decision service: an owner writes an active record. many
// asks it of twenty records at once.
const (
	asked    = `"subject":{"type":"user","id":"alice"},"action":{"name":"write"},"context":{"ip":"192.0.2.1","time":"1985-10-26T01:22-07:00"}`
	about    = `"resource":{"type":"record","id":"record-1","properties":{"status":"active"}}`
	question = "{" + asked + "," + about + "}"
)

var many = "{" + asked + `,"evaluations":[` + strings.TrimSuffix(strings.Repeat("{"+about+"},", 20), ",") + "]}"

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

// ask is asking for net/http.
func (f *fixture) ask(ctx context.Context, path, question string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.server.Issuer+path, strings.NewReader(question))
	if err == nil {
		req.Header.Set("Authorization", "Bearer "+f.askToken)
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// asking is the request that asks a question, or many.
func asking(path, question string, headers map[string]string) []byte {
	text := string(request(http.MethodPost, path, headers, question))
	return []byte(strings.Replace(text, "application/x-www-form-urlencoded", "application/json", 1))
}

// logged is the name of the work that compareLog measures.
const logged = "decision with the decision log, beside one without"

// compareLog alternates between a realm that keeps its decisions and one that does
// not, and ends with the log on.
func compareLog(ctx context.Context, o options, f *fixture, conns int) (row, error) {
	while := time.Duration(o.seconds * float64(time.Second))
	work := repeat(asking("/access/v1/evaluation", question, f.headers("Authorization", "Bearer "+f.askToken)), http.StatusOK)
	var on, off []result
	for range o.rounds {
		for _, side := range []struct {
			keep string
			into *[]result
		}{{"0s", &off}, {"720h", &on}} {
			if _, err := f.server.Admin.Realms.UpdateCurrent(ctx, 0, api.RealmUpdate{Settings: &api.RealmSettings{DecisionLog: side.keep}}); err != nil {
				return row{}, err
			}
			r, err := run(f.server.Listen, f.server.PID(), conns, while, work)
			if err != nil {
				return row{}, err
			}
			*side.into = append(*side.into, r)
		}
	}
	return row{logged, conns, median(on), median(off), 0.90}, nil
}
