// Package agents has agents as they are, an OPA and a client of OPAL, decide by
// what a server gives them.
package agents

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
	"github.com/cardea-id/cardea/e2e/live"
)

const rego = `package shop.refunds

import rego.v1

default allow := false

allow if {
	data.cardea.rules.may(input.subject, input.action.name, input.resource)
	data.cardea.facts.attributes[data.cardea.rules.key(input.resource)].status == "active"
}
`

// world is a server with a policy folder, and a client for agents.
type world struct {
	*live.Server
	t      *testing.T
	id     string
	secret string
}

func open(t *testing.T) *world {
	t.Helper()
	ctx := t.Context()
	binary, err := live.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := live.Install(ctx, live.Options{Binary: binary, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	w := &world{Server: s, t: t}
	w.apply(rego)
	made, err := s.Admin.Clients.Create(ctx, api.ClientCreate{ClientSettings: api.ClientSettings{Name: "agents", Type: "service", GrantTypes: []string{"client_credentials"}, Scopes: []string{"cardea:agent"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.id, w.secret = made.Client.ID, made.Secret
	return w
}

func (w *world) apply(text string) {
	w.t.Helper()
	_, err := w.Admin.Policies.Apply(w.t.Context(), api.PolicyApply{Files: []api.PolicyFile{
		{Path: "schema.cedarschema", Text: "entity group in [group];\nentity organization;\nentity user in [group, organization];\nentity account;\nentity payment in [account] { status?: String };\naction refund appliesTo { principal: user, resource: [payment, account] };\n"},
		{Path: "roles.yaml", Text: "account:\n  owner:\n    implies: [clerk]\n  clerk: {}\npayment:\n  clerk:\n    permissions: [refund]\n"},
		{Path: "rego/shop/refunds.rego", Text: text}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

var ann, clerks, account, payment = api.Entity{Type: "user", ID: "ann"}, api.Entity{Type: "group", ID: "clerks"}, api.Entity{Type: "account", ID: "a/1~"}, api.Entity{Type: "payment", ID: "17 ü"}

func (w *world) write(c api.AccessChanges) {
	w.t.Helper()
	if _, err := w.Admin.Facts.Write(w.t.Context(), "", c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) begin() {
	w.write(api.AccessChanges{
		Add: []api.Relation{{Subject: ann, Relation: "member", Object: clerks}, {Subject: payment, Relation: "parent", Object: account}, {Subject: clerks, Relation: "owner", Object: account}},
		Set: []api.Attribute{{Entity: payment, Name: "status", Value: json.RawMessage(`"active"`)}},
	})
}

func port(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts a program that ends with the test; what it said is told if the test fails.
func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			said := out.String()
			t.Logf("%s said:\n%s", name, said[max(0, len(said)-6000):])
		}
	})
}

// allowed asks an agent; it is an error while the agent is not there.
func allowed(at string) (bool, error) {
	question, _ := json.Marshal(map[string]any{"input": map[string]any{"subject": ann, "action": map[string]string{"name": "refund"}, "resource": payment}})
	resp, err := http.Post("http://"+at+"/v1/data/shop/refunds/allow", "application/json", bytes.NewReader(question))
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	var got struct{ Result *bool }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.Result == nil {
		return false, fmt.Errorf("%d, no result: %w", resp.StatusCode, err)
	}
	return *got.Result, nil
}

// until polls for something that comes with a stream.
func until(t *testing.T, what string, within time.Duration, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if ok() {
			return time.Since(began)
		}
		if time.Since(began) > within {
			t.Fatalf("%s did not happen within %s", what, within)
		}
	}
	return 0
}

func (w *world) follows(agent string, within time.Duration) {
	w.t.Helper()
	answers := func(want bool) func() bool {
		return func() bool { got, err := allowed(agent); return err == nil && got == want }
	}
	until(w.t, "a yes of a newcomer", time.Minute, answers(true))
	w.write(api.AccessChanges{Set: []api.Attribute{{Entity: payment, Name: "status", Value: json.RawMessage(`"canceled"`)}}})
	w.t.Logf("a canceled payment is refused after %s", until(w.t, "the refusal of a canceled payment", within, answers(false)))
	w.write(api.AccessChanges{Set: []api.Attribute{{Entity: payment, Name: "status", Value: json.RawMessage(`"active"`)}}})
	until(w.t, "a yes again", within, answers(true))
	w.write(api.AccessChanges{Remove: []api.RelationName{{Subject: ann, Relation: "member", Object: clerks}}})
	w.t.Logf("who left is refused after %s", until(w.t, "the refusal of who left", within, answers(false)))
	w.apply(strings.Replace(rego, "default allow := false", "default allow := true", 1))
	w.t.Logf("a new policy counts after %s", until(w.t, "the new policy", within, answers(true)))
}

func TestAnAgentOfOPADecides(t *testing.T) {
	opa := os.Getenv("CARDEA_OPA")
	if opa == "" {
		t.Skip("CARDEA_OPA names no binary of OPA; scripts/long.sh builds one")
	}
	w := open(t)
	w.begin()
	dir, at := t.TempDir(), port(t)
	told, err := w.Admin.Agents.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config := exec.Command(w.Options.Binary, "agent", "config", "--client", w.id, "--issuer", w.Issuer)
	token, err := w.AdminToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config.Env = append(os.Environ(), "CARDEA_TOKEN="+token)
	text, err := config.Output()
	if err != nil || !bytes.Contains(text, []byte(told.KeyID)) {
		t.Fatalf("cardea agent config: %v\n%s", err, text)
	}
	if err := os.WriteFile(filepath.Join(dir, "opa.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, []string{"CARDEA_BASIC=" + base64.StdEncoding.EncodeToString([]byte(w.id+":"+w.secret))}, opa, "run", "--server", "--addr", at, "--config-file", "opa.yaml", "--disable-telemetry", "--log-level", "error")
	w.follows(at, 5*time.Second)

	until(t, "a report of status", 30*time.Second, func() bool {
		found, err := w.Admin.Agents.List(context.Background(), client.Cursor{})
		return err == nil && len(found.Items) == 1 && found.Items[0].Healthy && len(found.Items[0].Bundles) == 3
	})
	until(t, "a decision log", 30*time.Second, func() bool {
		found, err := w.Admin.Decisions.List(context.Background(), client.Filter{"client": w.id, "subject_id": "ann", "allowed": "false"}, client.Cursor{})
		return err == nil && len(found.Items) > 0 && found.Items[0].Kind == "agent" && found.Items[0].Question.Action == "refund"
	})
}

func TestAClientOfOPALFollows(t *testing.T) {
	opa, opal := os.Getenv("CARDEA_OPA"), os.Getenv("CARDEA_OPAL")
	if opa == "" || opal == "" {
		t.Skip("CARDEA_OPAL names no opal-client; scripts/long.sh installs one")
	}
	w := open(t)
	w.begin()
	dir, at := t.TempDir(), port(t)
	run(t, dir, nil, opa, "run", "--server", "--addr", at, "--disable-telemetry")
	_, own, _ := net.SplitHostPort(port(t))
	run(t, dir, []string{"OPAL_SERVER_URL=" + w.Issuer + "/opal/v1", "OPAL_CLIENT_TOKEN=" + base64.StdEncoding.EncodeToString([]byte(w.id+":"+w.secret)),
		"OPAL_POLICY_STORE_URL=http://" + at, "OPAL_INLINE_OPA_ENABLED=false", "OPAL_CLIENT_API_SERVER_PORT=" + own, "OPAL_DEFAULT_DATA_SOURCES_CONFIG_URL=" + w.Issuer + "/opal/v1/data/config"}, opal, "run")
	w.follows(at, 20*time.Second)
	until(t, "a report", 30*time.Second, func() bool {
		found, err := w.Admin.Agents.List(context.Background(), client.Cursor{})
		return err == nil && len(found.Items) == 1 && found.Items[0].Kind == "opal"
	})
}
