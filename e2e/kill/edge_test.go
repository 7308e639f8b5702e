package kill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/e2e/live"
)

// An edge as a process of its own.
type sidecar struct {
	binary, dir, socket string
	args                []string
	cmd                 *exec.Cmd
	http                *http.Client
}

func (s *sidecar) start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "edge.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.binary, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	return s.cmd.Start()
}

func (s *sidecar) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	_ = s.cmd.Wait()
}

// state is what /healthz says; an edge that does not answer yet is asked again.
func (s *sidecar) state(ctx context.Context) (h struct {
	Revision string
	Tuples   int
}, err error) {
	for {
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://localhost/healthz", nil)
		res, err := s.http.Do(r)
		if err == nil {
			defer res.Body.Close()
			return h, json.NewDecoder(res.Body).Decode(&h)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.dir, "edge.log"))
			return h, fmt.Errorf("%w\n%s", err, text)
		}
	}
}

// may asks the edge on facts at least as new as a revision.
func (s *sidecar) may(ctx context.Context, revision string) (string, error) {
	r, _ := http.NewRequestWithContext(ctx, "POST", "http://localhost/access/v1/evaluation",
		strings.NewReader(`{"subject":{"type":"user","id":"ann"},"action":{"name":"refund"},"resource":{"type":"payment","id":"p1"}}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Min-Revision", revision)
	res, err := s.http.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

func position(revision string) (epoch, seq int64) {
	_, _ = fmt.Sscanf(revision, "%d.%d", &epoch, &seq)
	return epoch, seq
}

// Server and edge are killed at random moments under change. The revision of the
// edge never goes back, the chain holds or is begun anew, and what the server
// acknowledged the edge decides by, soon after both are back.
func TestKillEdge(t *testing.T) {
	binary, err := live.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	server, err := live.Install(ctx, live.Options{Binary: binary, Dir: t.TempDir(), Env: []string{"CARDEA_RATES_ADMIN_WRITE=600000/1m"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	made, err := server.Admin.Clients.Create(ctx, api.ClientCreate{ID: "edge", ClientSettings: api.ClientSettings{
		Name: "Edge", Type: "service", GrantTypes: []string{"client_credentials"}, Scopes: []string{"cardea:edge"}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = server.Admin.Policies.Apply(ctx, api.PolicyApply{Message: "test", Files: []api.PolicyFile{
		{Path: "schema.cedarschema", Text: "entity user;\nentity payment { status?: String };\naction refund appliesTo { principal: user, resource: payment };\n"},
		{Path: "policies/all.cedar", Text: "@id(\"active\") permit (principal, action == Action::\"refund\", resource) when { resource has status && resource.status == \"active\" };\n"}}})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "edge") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(made.Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &sidecar{binary: binary, dir: dir, socket: filepath.Join(dir, "s")}
	s.args = []string{"edge", "--issuer", server.Issuer, "--client", "edge", "--secret-file", filepath.Join(dir, "secret"), "--dir", filepath.Join(dir, "kept"), "--listen", "unix:" + s.socket}
	s.http = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.socket)
	}}}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	defer func() { s.kill() }()

	now, revision := "", ""
	write := func(i int) error {
		status := []string{"active", "canceled"}[i%2]
		done, err := server.Admin.Facts.Write(ctx, "", api.AccessChanges{Set: []api.Attribute{{Entity: api.Entity{Type: "payment", ID: "p1"}, Name: "status", Value: json.RawMessage(`"` + status + `"`)}},
			Add: []api.Relation{{Subject: api.Entity{Type: "user", ID: fmt.Sprint("u", i)}, Relation: "member", Object: api.Entity{Type: "team", ID: "t"}}}})
		if err == nil {
			now, revision = status, done.Revision
		}
		return err
	}
	n := 0
	lastEpoch, lastSeq := int64(0), int64(0)
	for round := range kills(t) {
		victim := round % 3 // the server, the edge, both
		stop := time.After(time.Duration(10+rand.IntN(120)) * time.Millisecond)
	load:
		for {
			select {
			case <-stop:
				break load
			default:
				if n++; write(n) != nil {
					t.Fatalf("round %d: writing: %s", round, server.Log(2000))
				}
			}
		}
		if victim != 1 {
			server.Kill()
		}
		if victim != 0 {
			s.kill()
			if err := s.start(); err != nil { // it starts although the server may be away
				t.Fatal(err)
			}
		}
		h, err := s.state(ctx)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if epoch, seq := position(h.Revision); epoch < lastEpoch || epoch == lastEpoch && seq < lastSeq {
			t.Fatalf("round %d: the edge went back from %d.%d to %s", round, lastEpoch, lastSeq, h.Revision)
		}
		if victim != 1 {
			if err := server.Start(ctx); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		n++
		if err := write(n); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, server.Log(2000))
		}
		// The edge hears of it as soon as it has joined again.
		deadline := time.Now().Add(30 * time.Second)
		for {
			answer, err := s.may(ctx, revision)
			if err == nil && strings.Contains(answer, fmt.Sprintf(`"decision":%v`, now == "active")) && !strings.Contains(answer, "not reached") {
				break
			}
			if time.Now().After(deadline) {
				text, _ := os.ReadFile(filepath.Join(dir, "edge.log"))
				t.Fatalf("round %d: written at %s as %s: %s %v\n%s", round, revision, now, answer, err, text)
			}
		}
		if h, err = s.state(ctx); err != nil {
			t.Fatal(err)
		}
		lastEpoch, lastSeq = position(h.Revision)
	}
	t.Logf("%d kills, %d writes, the edge is at %d.%d", kills(t), n, lastEpoch, lastSeq)
}
