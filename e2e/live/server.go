// Package live drives the real binary from outside, as the world does: a
// process, HTTP, a browser's cookies. Tests that kill it and benchmarks that
// load it share this; nothing in it knows the server's inside.
package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cardea-id/cardea/client"
)

// Options says what to run.
type Options struct {
	Binary   string // the cardea binary
	Dir      string // a folder of its own, kept over restarts
	Database string // postgres://… or empty for SQLite in Dir
	Address  string // where it is reached by https; empty: by http on a free port of this machine
	Env      []string
}

// Server is an installation: its configuration and, while it runs, its process.
type Server struct {
	Issuer   string
	Admin    *client.Client
	Options  Options
	Listen   string
	ClientID string // the automation client, an owner of the realm
	secret   string
	log      string

	cmd  *exec.Cmd
	done chan struct{}

	mu      sync.Mutex
	token   string
	expires time.Time
}

// Build compiles the binary into dir, or takes the one that CARDEA_BIN names.
func Build(dir string) (string, error) {
	if binary := os.Getenv("CARDEA_BIN"); binary != "" {
		return filepath.Abs(binary)
	}
	binary := filepath.Join(dir, "cardea")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", binary, "github.com/cardea-id/cardea/cmd/cardea")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

// Install prepares a new installation with an automation client as its owner.
// It does not start it.
func Install(ctx context.Context, o Options) (*Server, error) {
	s := &Server{Options: o, Listen: o.Address, Issuer: "https://" + o.Address, log: filepath.Join(o.Dir, "server.log")}
	if o.Address == "" {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		s.Listen, s.Issuer = fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("http://localhost:%d", port)
	}
	setup := exec.CommandContext(ctx, o.Binary, "setup", "--automation", "--output", "json")
	setup.Env = s.Env()
	out, err := setup.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		return nil, fmt.Errorf("cardea setup: %w", err)
	}
	var made struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		return nil, fmt.Errorf("cardea setup said %q: %w", out, err)
	}
	s.ClientID, s.secret = made.ID, made.Secret
	s.Admin, err = client.New(s.Issuer, client.WithTokenSource(s.adminToken), client.WithTries(1))
	return s, err
}

// Env is the environment that the server runs in.
func (s *Server) Env() []string {
	env := append(os.Environ(), "CARDEA_ISSUER="+s.Issuer, "CARDEA_LISTEN="+s.Listen, "CARDEA_DATA="+filepath.Join(s.Options.Dir, "data"),
		"CARDEA_DATABASE_URL="+s.Options.Database)
	return append(env, s.Options.Env...)
}

// Start runs `cardea serve` and waits until it is ready.
func (s *Server) Start(ctx context.Context) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.Options.Binary, "serve")
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = s.Env(), log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	s.done = done
	go func() { _ = s.cmd.Wait(); close(done) }()
	scheme, _, _ := strings.Cut(s.Issuer, ":")
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if resp, err := http.Get(scheme + "://" + s.Listen + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-done:
			return fmt.Errorf("cardea ended before it was ready:\n%s", s.Log(3000))
		case <-ctx.Done():
			s.Kill()
			return fmt.Errorf("cardea did not become ready:\n%s", s.Log(3000))
		case <-tick.C:
		}
	}
}

// PID is the process id of the running server.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Kill ends the process as a power cut would, and returns when it is gone.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop asks the process to finish, and returns when it has.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

func (s *Server) end(signal syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(signal)
	<-s.done
}

// Log is the end of what the server has written so far.
func (s *Server) Log(size int) string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-size):])
}

// adminToken gets access tokens for the automation client and keeps each for
// half of its life.
func (s *Server) adminToken(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.expires) {
		return s.token, nil
	}
	t, _, err := s.Token(ctx, s.ClientID, s.secret, url.Values{
		"grant_type": {"client_credentials"}, "scope": {"cardea:admin"}, "resource": {s.Issuer + "/api/v1"},
	})
	if err != nil {
		return "", err
	}
	s.token, s.expires = t.Access, time.Now().Add(time.Duration(t.ExpiresIn)*time.Second/2)
	return s.token, nil
}

// AdminToken is an access token of the automation client, for programs that are
// started beside the server.
func (s *Server) AdminToken(ctx context.Context) (string, error) { return s.adminToken(ctx) }

// Tokens is an answer of the token endpoint.
type Tokens struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ID        string `json:"id_token"`
	ExpiresIn int64  `json:"expires_in"`
	Error     string `json:"error"`
}

// Token asks the token endpoint as a client with a secret. An answer other
// than 200 is an error; its status is given too, 0 when there was no answer.
func (s *Server) Token(ctx context.Context, id, secret string, form url.Values) (Tokens, int, error) {
	var t Tokens
	status, body, err := s.Post(ctx, "/oauth2/token", id, secret, form)
	if err != nil {
		return t, 0, err
	}
	if err := json.Unmarshal(body, &t); err != nil {
		return t, status, fmt.Errorf("token endpoint answered %d %.200q", status, body)
	}
	if status != http.StatusOK {
		return t, status, fmt.Errorf("token endpoint answered %d %s", status, body)
	}
	return t, status, nil
}

// Post sends a form as a client with a secret, and gives status and body.
func (s *Server) Post(ctx context.Context, path, id, secret string, form url.Values) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	return do(http.DefaultClient, req)
}

func do(c *http.Client, req *http.Request) (int, []byte, error) {
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(nil, resp.Body, 4<<20)); err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, body.Bytes(), nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// LogFile is where the server's output goes.
func (s *Server) LogFile() string { return s.log }

// Twin is a second node of the same installation, on a port of its own. It
// makes sense on PostgreSQL only. The issuer stays the first node's.
func (s *Server) Twin() (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return &Server{
		Issuer: s.Issuer, Admin: s.Admin, Options: s.Options, ClientID: s.ClientID, secret: s.secret,
		Listen: fmt.Sprintf("127.0.0.1:%d", port), log: filepath.Join(s.Options.Dir, "twin.log"),
	}, nil
}
