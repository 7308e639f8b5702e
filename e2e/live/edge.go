package live

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cardea-id/cardea/api"
)

// Edge is `cardea edge` as a process of its own.
type Edge struct {
	command []string
	dir     string
	cmd     *exec.Cmd
	http    *http.Client
}

// Health is what an edge says of itself.
type Health struct {
	Revision  string
	Connected bool
	Tuples    int
	Waiting   int64 `json:"decisions_waiting_bytes"`
	Lost      int64 `json:"decisions_lost"`
}

// Answer is what an edge said to a question.
type Answer struct {
	Decision bool
	Context  struct {
		Revision string
		Stale    bool
		Error    struct{ Message string }
	}
}

// NewEdgeClient makes the client that edges of a server are, and returns its secret.
func (s *Server) NewEdgeClient(ctx context.Context, id string) (secret string, err error) {
	made, err := s.Admin.Clients.Create(ctx, api.ClientCreate{ID: id, ClientSettings: api.ClientSettings{
		Name: "Edge", Type: "service", GrantTypes: []string{"client_credentials"}, Scopes: []string{"cardea:edge"}}})
	return made.Secret, err
}

// NewEdge prepares an edge of a server in a folder of its own, whose path must be
// short: its socket lies there. before is what the command begins with, such as
// ip netns exec. It does not start it.
func (s *Server) NewEdge(dir, id, secret string, before []string, flags ...string) (*Edge, error) {
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(secret), 0o600); err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "s")
	command := append(append([]string{}, before...), s.Options.Binary, "edge", "--issuer", s.Issuer, "--client", id, "--secret-file", filepath.Join(dir, "secret"),
		"--dir", filepath.Join(dir, "kept"), "--listen", "unix:"+socket)
	return &Edge{command: append(command, flags...), dir: dir,
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}}, nil
}

// Start starts the process. It does not wait for it.
func (e *Edge) Start() error {
	log, err := os.OpenFile(filepath.Join(e.dir, "edge.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	e.cmd = exec.Command(e.command[0], e.command[1:]...)
	e.cmd.Stdout, e.cmd.Stderr = log, log
	return e.cmd.Start()
}

// Kill ends the process as a power cut would.
func (e *Edge) Kill() {
	_ = e.cmd.Process.Signal(syscall.SIGKILL)
	_ = e.cmd.Wait()
}

// Log is what the edge has written so far.
func (e *Edge) Log() string {
	text, _ := os.ReadFile(filepath.Join(e.dir, "edge.log"))
	return string(text)
}

// Health is what /healthz says; an edge that does not answer yet is asked again.
func (e *Edge) Health(ctx context.Context) (h Health, err error) {
	for {
		if err = e.ask(ctx, "GET", "/healthz", "", "", &h); err == nil {
			return h, nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return h, fmt.Errorf("%w\n%s", err, e.Log())
		}
	}
}

// Digest is the hash of what the edge holds, and at which revision.
func (e *Edge) Digest(ctx context.Context) (d struct{ Revision, Digest string }, err error) {
	return d, e.ask(ctx, "GET", "/digest", "", "", &d)
}

// Ask asks one question, on facts at least as new as a revision, if it names one.
func (e *Edge) Ask(ctx context.Context, question, min string) (a Answer, err error) {
	return a, e.ask(ctx, "POST", "/access/v1/evaluation", question, min, &a)
}

func (e *Edge) ask(ctx context.Context, method, path, body, min string, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if min != "" {
		r.Header.Set("Min-Revision", min)
	}
	res, err := e.http.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s answered %d %.300q", path, res.StatusCode, text)
	}
	return nil
}
