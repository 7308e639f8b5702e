package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt and docs/reference/cli.md")

// server is a running cardea serve, with an owner's token.
type server struct {
	issuer string
	env    map[string]string
	token  string
}

// prepare makes the environment of a server of its own.
func prepare(t *testing.T) *server {
	t.Helper()
	listen := freePort(t)
	dir := t.TempDir()
	s := &server{issuer: "http://" + strings.Replace(listen, "127.0.0.1", "localhost", 1), env: map[string]string{
		"CARDEA_LISTEN": listen, "CARDEA_DATA": filepath.Join(dir, "data"), "CARDEA_HOME": filepath.Join(dir, "home"), "CARDEA_LOG_LEVEL": "error"}}
	s.env["CARDEA_ISSUER"] = s.issuer
	t.Chdir(dir)
	return s
}

// startVirgin serves a fresh database, and gives what was printed at start.
func startVirgin(t *testing.T) (*server, string) {
	t.Helper()
	s := prepare(t)
	printed := s.serve(t, "/setup?link=")
	return s, printed
}

// startServer runs the program as an operator would: set up for automation,
// then serve.
func startServer(t *testing.T) *server {
	t.Helper()
	s := prepare(t)
	var made automation
	out, errs, err := s.run("setup", "--automation", "--output", "json")
	if err != nil {
		t.Fatalf("setup: %v %s", err, errs)
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	s.serve(t, "ready on")
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {made.Scope}, "resource": {made.Audience}}
	req, _ := http.NewRequest(http.MethodPost, s.issuer+"/oauth2/token", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(made.ClientID, made.ClientSecret)
	var answer struct {
		Access string `json:"access_token"`
	}
	if err := fetchJSON(req, &answer); err != nil {
		t.Fatal(err)
	}
	s.token = answer.Access
	return s
}

// serve runs the server until the test ends, and waits until it has printed a
// text.
func (s *server) serve(t *testing.T, want string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready := &waiter{want: want, found: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"serve"}, nil, s.getenv, strings.NewReader(""), ready, io.Discard) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	select {
	case <-ready.found:
	case err := <-ended:
		ended <- err
		t.Fatalf("serve: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("serve is not ready")
	}
	ready.mu.Lock()
	defer ready.mu.Unlock()
	return ready.seen.String()
}

func (s *server) getenv(name string) string { return s.env[name] }

// run runs one command in the server's environment.
func (s *server) run(args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	err = run(context.Background(), args, nil, s.getenv, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), err
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// waiter is a writer that notices a text.
type waiter struct {
	mu    sync.Mutex
	seen  strings.Builder
	want  string
	found chan struct{}
	done  bool
}

func (w *waiter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Write(p)
	if !w.done && strings.Contains(w.seen.String(), w.want) {
		w.done = true
		close(w.found)
	}
	return len(p), nil
}

// The transcripts in testdata are whole conversations with the command line.
// Ids, times and secrets have names of their own, in the order in which they
// appear; a command may use them. After a change: go test ./cmd/cardea -update
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		file, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := startServer(t)
			s.env["CARDEA_TOKEN"] = s.token
			got := s.replay(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("the conversation went otherwise:\n%s", diff(string(want), got))
			}
		})
	}
}

// replay runs the commands of a transcript and writes what came of them.
func (s *server) replay(t *testing.T, script string) string {
	t.Helper()
	var b strings.Builder
	n := &namer{issuer: s.issuer, names: map[string]string{}, values: map[string]string{}, counts: map[string]int{}}
	for line := range strings.Lines(script) {
		command, ok := strings.CutPrefix(line, "$ cardea ")
		if !ok {
			if strings.HasPrefix(line, "#") || line == "\n" && strings.HasSuffix(b.String(), "\n") && !strings.HasSuffix(b.String(), "\n\n") {
				b.WriteString(line)
			}
			continue
		}
		b.WriteString(line)
		out, errs, err := s.run(n.words(strings.TrimSpace(command))...)
		b.WriteString(n.name(out))
		for l := range strings.Lines(n.name(errs)) {
			b.WriteString("! " + l)
		}
		if err != nil {
			b.WriteString("[exit 1]\n")
		}
	}
	return b.String()
}

// namer gives what differs between runs names that do not.
type namer struct {
	issuer string
	names  map[string]string // value to name
	values map[string]string // name to value
	counts map[string]int
}

var (
	idPattern     = regexp.MustCompile(`\b(usr|svc|grp|org|cli|crd|gnt|ses|key|evt|tis)_[0-9a-z]{26}\b`)
	secretPattern = regexp.MustCompile(`\b(cdk|cdl)_[A-Za-z0-9_-]{40,}`)
	timePattern   = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`)
	hashPattern   = regexp.MustCompile(`(^|\s|")[A-Za-z0-9+/_-]{43}=?(\s|"|$)`)
	countPattern  = regexp.MustCompile(`(?m)^(events|activity)  +\d+`)
	spaces        = regexp.MustCompile(` {2,}`)
)

func (n *namer) name(text string) string {
	text = strings.ReplaceAll(text, n.issuer, "ISSUER")
	text = secretPattern.ReplaceAllString(text, "${1}_SECRET")
	text = idPattern.ReplaceAllStringFunc(text, func(id string) string {
		if n.names[id] == "" {
			kind := id[:3]
			n.counts[kind]++
			n.names[id] = fmt.Sprintf("%s_%d", kind, n.counts[kind])
			n.values[n.names[id]] = id
		}
		return n.names[id]
	})
	text = timePattern.ReplaceAllString(text, "TIME")
	text = countPattern.ReplaceAllString(text, "$1  SOME")
	text = hashPattern.ReplaceAllString(text, "${1}HASH$2")
	var b strings.Builder
	for line := range strings.Lines(text) {
		trimmed := strings.TrimLeft(line, " ")
		b.WriteString(line[:len(line)-len(trimmed)] + strings.TrimRight(spaces.ReplaceAllString(trimmed, "  "), " \n") + "\n")
	}
	return b.String()
}

// words splits a command line, with double quotes, and puts values for names.
func (n *namer) words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		for _, w := range strings.Fields(part) {
			if v, ok := n.values[w]; ok {
				w = v
			}
			out = append(out, w)
		}
	}
	return out
}

func diff(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		x, y := at(a, i), at(b, i)
		if x != y {
			return fmt.Sprintf("line %d\nwant %s\n got %s\n", i+1, x, y)
		}
	}
	return ""
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(end)"
}

// Whoever runs a command while nothing runs is told so, and where nothing does.
func TestNobodyAnswers(t *testing.T) {
	s := prepare(t)
	s.env["CARDEA_TOKEN"] = "cdt_x"
	for _, args := range [][]string{{"healthcheck"}, {"user", "list", "--issuer", s.issuer}, {"login", s.issuer, "--no-browser"}} {
		_, errs, err := s.run(args...)
		if err == nil || !strings.Contains(errs, s.env["CARDEA_LISTEN"][len("127.0.0.1"):]+" does not answer: dial tcp") {
			t.Errorf("%v: %v %s", args, err, errs)
		}
	}
}

// A login does not help whose given token is refused, since that goes first.
func TestARefusedTokenIsNamed(t *testing.T) {
	for code, status := range map[string]int{"invalid_token": 401, "insufficient_user_authentication": 401, "not_an_operator": 403} {
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"status":%d,"code":%q,"detail":"no"}`, status, code)
		}))
		defer api.Close()
		s := &server{env: map[string]string{"CARDEA_ISSUER": api.URL, "CARDEA_HOME": t.TempDir(), "CARDEA_TOKEN": "t"}}
		if _, errs, err := s.run("user", "list"); err == nil || !strings.Contains(errs, "cardea: no (the token in CARDEA_TOKEN ") || !strings.Contains(errs, ", or unset CARDEA_TOKEN and run cardea login)") {
			t.Errorf("%s of the variable: %s", code, errs)
		}
		if _, errs, err := s.run("user", "list", "--token", "u"); err == nil || !strings.Contains(errs, "cardea: no (the token given by --token ") || !strings.Contains(errs, ", or run cardea login and leave out --token)") {
			t.Errorf("%s of the flag: %s", code, errs)
		}
	}
}

// What says only that activity was written down is told to those who ask for it.
func TestEventsAreToldWithoutSegments(t *testing.T) {
	s := startServer(t)
	s.env["CARDEA_TOKEN"] = s.token
	for deadline := time.Now().Add(10 * time.Second); ; {
		out, errs, err := s.run("event", "list", "--segments")
		if err != nil {
			t.Fatal(err, errs)
		}
		if strings.Contains(out, "activity.segment") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no activity: %s", out)
		}
	}
	if out, errs, err := s.run("event", "list"); err != nil || strings.Contains(out, ".segment") || !strings.Contains(out, "operator.") {
		t.Errorf("%v %s %s", err, out, errs)
	}
	if out, errs, err := s.run("event", "list", "--action", "activity."); err != nil || !strings.Contains(out, "activity.segment") {
		t.Errorf("%v %s %s", err, out, errs)
	}
}

// An investigator reads what a client did, without SQL.
func TestActivityIsTold(t *testing.T) {
	s := startServer(t)
	s.env["CARDEA_TOKEN"] = s.token
	var out string
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(out, "token.issue"); {
		var errs string
		var err error
		if out, errs, err = s.run("activity", "list", "--action", "token."); err != nil {
			t.Fatal(err, errs)
		}
		if time.Now().After(deadline) {
			t.Fatalf("no activity: %s", out)
		}
	}
	if !strings.HasPrefix(out, "AT ") || !strings.Contains(out, "cli_") || !strings.Contains(out, "gnt_") {
		t.Errorf("got %s", out)
	}
	if out, errs, err := s.run("activity", "list", "--client", "nobody", "-o", "json"); err != nil || !strings.Contains(out, `"items": []`) {
		t.Errorf("%v %s %s", err, out, errs)
	}
	if out, errs, err := s.run("activity", "list", "--until", "2026-01-01T00:00:00Z"); err != nil || strings.Contains(out, "token.issue") {
		t.Errorf("%v %s %s", err, out, errs)
	}
}

// What a request did not get to is read by the next one, and where it may end the
// terminal says.
func TestActivityIsReadOn(t *testing.T) {
	pages := map[string]string{
		"": `{"items":[],"next":"act_1.0","reached":"2026-01-02T03:04:05Z"}`,
		"act_1.0": `{"items":[{"at":"2026-01-01T00:00:00Z","action":"signin.refuse","actor":{"kind":"anonymous","ip":"192.0.2.1"},"reason":"unknown","count":7}],
			"next":"act_2.1","reached":"2026-01-01T00:00:00Z","unreadable":["act_x"]}`,
		"act_2.1": `{"items":[{"at":"2025-12-31T00:00:00Z","action":"token.issue","actor":{"kind":"client","id":"app"},"target":"gnt_1","data":{"jti":"j1","client":"app"}}],"next":"act_3.1"}`,
	}
	var limits []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limits = append(limits, r.URL.Query().Get("limit"))
		fmt.Fprint(w, pages[r.URL.Query().Get("after")])
	}))
	defer api.Close()
	s := &server{env: map[string]string{"CARDEA_ISSUER": api.URL, "CARDEA_HOME": t.TempDir(), "CARDEA_TOKEN": "t"}}
	out, errs, err := s.run("activity", "list", "--limit", "2", "--client", "app")
	if err != nil || !strings.Contains(out, "unknown (7 times)") || !strings.Contains(out, "gnt_1") || !strings.Contains(out, "j1") {
		t.Errorf("%v %s", err, out)
	}
	for _, want := range []string{"looked back to 2026-01-02 03:04:05", "act_x cannot be read", "There are more: --all, or --after act_3.1"} {
		if !strings.Contains(errs, want) {
			t.Errorf("not told %q but %q", want, errs)
		}
	}
	if strings.Join(limits, " ") != "2 2 1" {
		t.Errorf("limits = %v", limits)
	}
}

// A verification that takes long says how far it is, and one that finds something fails.
func TestVerifyTellsProgress(t *testing.T) {
	steps := map[string]string{
		"":  `{"intact":false,"size":256,"of":600,"checkpoints":0,"segments":9,"forgotten":0,"next":"a"}`,
		"a": `{"intact":false,"size":300,"of":600,"checkpoints":0,"segments":9,"forgotten":2,"problem":"event 300 is missing, of 600"}`,
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, steps[r.URL.Query().Get("after")])
	}))
	defer api.Close()
	s := &server{env: map[string]string{"CARDEA_ISSUER": api.URL, "CARDEA_HOME": t.TempDir(), "CARDEA_TOKEN": "t"}}
	out, errs, err := s.run("event", "verify")
	if err == nil || !strings.Contains(errs, "256 of 600 events, 9 segments of activity") || strings.Contains(errs, "--after") || !strings.Contains(errs, "the log is not intact: event 300 is missing") ||
		!strings.Contains(out, "event 300 is missing") || strings.Contains(out, "root") || !strings.Contains(out, "forgotten") {
		t.Errorf("%v %s %s", err, out, errs)
	}
	steps["a"] = `not JSON`
	if _, errs, err := s.run("event", "verify"); err == nil || !strings.Contains(errs, "cardea event verify --after a\n") {
		t.Errorf("it ends early: %v %s", err, errs)
	}
	steps["a"] = `{"intact":true,"size":600,"of":600,"root":"r"}`
	if out, errs, err := s.run("event", "verify", "--after", "a"); err != nil || !strings.Contains(out, "600") || errs != "" {
		t.Errorf("it goes on: %v %s %s", err, out, errs)
	}
}
