// Package gittest serves a real Git repository over HTTP for tests.
package gittest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/git"
)

// Origin is a real Git repository that is served over HTTP.
type Origin struct {
	t    *testing.T
	Dir  string // where its files are
	URL  string
	Asks int // requests so far
}

// New makes one, and skips the test where there is no git.
func New(t *testing.T) *Origin {
	t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		t.Skip("there is no git here")
	}
	o := &Origin{t: t, Dir: filepath.Join(t.TempDir(), "policies")}
	if err := os.Mkdir(o.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o.Git("init", "-q", "-b", "main")
	o.Git("config", "uploadpack.allowFilter", "true")
	backend := &cgi.Handler{Path: program, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(o.Dir), "GIT_HTTP_EXPORT_ALL=1"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.Asks++
		if _, password, ok := r.BasicAuth(); ok && password != "a token" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		if v := r.Header.Get("Git-Protocol"); v != "" {
			r.Header.Set("Git-Protocol", v)
			backend.Env = append(backend.Env[:2:2], "GIT_PROTOCOL="+v)
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	o.URL = server.URL + "/policies"
	return o
}

// Git runs git in the repository and gives what it prints.
func (o *Origin) Git(args ...string) string {
	o.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = o.Dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_CONFIG_NOSYSTEM=1", "HOME="+o.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Commit makes the repository hold files below a folder.
func (o *Origin) Commit(below string, files folder.Files) string {
	o.t.Helper()
	for _, f := range files {
		name := filepath.Join(o.Dir, below, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			o.t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Text, 0o644); err != nil {
			o.t.Fatal(err)
		}
	}
	o.Git("add", "-A")
	o.Git("commit", "-q", "-m", "policies")
	return o.Git("rev-parse", "HEAD")
}

// Exchange reaches the test's own server, which the guarded one would not.
func Exchange(ctx context.Context, r git.Request) ([]byte, error) {
	method := http.MethodGet
	if r.Body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for k, v := range r.Header {
		req.Header.Set(k, v)
	}
	if r.Password != "" {
		req.SetBasicAuth(r.Username, r.Password)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, int64(r.Limit)))
}
