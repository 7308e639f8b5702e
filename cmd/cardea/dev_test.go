package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// prepareDev makes the environment of cardea dev, with ports of its own.
func prepareDev(t *testing.T) *server {
	t.Helper()
	s := prepare(t)
	s.env["CARDEA_DEMO_APP_LISTEN"], s.env["CARDEA_DEMO_API_LISTEN"] = freePort(t), freePort(t)
	delete(s.env, "CARDEA_LOG_LEVEL")
	return s
}

// dev runs cardea dev until it is ready, and gives what it printed and how to
// stop it, as Ctrl-C does.
func (s *server) dev(t *testing.T) (printed string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &waiter{want: "cardea: ready on", found: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"dev"}, nil, s.getenv, strings.NewReader(""), out, io.Discard) }()
	select {
	case <-out.found:
	case err := <-ended:
		t.Fatalf("dev: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("dev is not ready")
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	return out.seen.String(), func() {
		t.Helper()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("dev ended with %v", err)
			}
		case <-time.After(15 * time.Second):
			t.Fatal("dev does not stop")
		}
	}
}

// kept opens the folder that a dev server left, and gives its people, its
// clients and how many secrets these have.
func (s *server) kept(t *testing.T, password secret.Text) (people, clients []string, secrets int, right bool) {
	t.Helper()
	ctx := context.Background()
	cfg, err := config.Load(config.Input{Getenv: s.getenv})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(ctx, app.Config{Settings: cfg, Output: io.Discard, Quiet: true})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	all, _, err := a.People.List(ctx, realm.Default, principal.Filter{Kind: principal.Person}, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		people = append(people, p.Email().Address)
	}
	found, _, err := a.Clients.List(ctx, realm.Default, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range found {
		clients = append(clients, c.ID)
		living, err := a.Credentials.List(ctx, realm.Default, c.Principal)
		if err != nil {
			t.Fatal(err)
		}
		secrets += len(living)
	}
	got, err := a.Passwords.Check(ctx, audit.System, realm.Default, credential.Attempt{Identifier: demoEmail, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return people, clients, secrets, got.Outcome == credential.Right
}

var printedPassword = regexp.MustCompile(`(?m)^password +(\S+)$`)

// passwordIn is the one password that was printed, or "".
func passwordIn(t *testing.T, printed string) secret.Text {
	t.Helper()
	all := printedPassword.FindAllStringSubmatch(printed, -1)
	if len(all) > 1 {
		t.Errorf("%d passwords are printed:\n%s", len(all), printed)
	}
	if len(all) == 0 {
		return ""
	}
	return secret.Text(all[0][1])
}

func TestDevSeedsOnceAndTellsThePasswordOnce(t *testing.T) {
	s := prepareDev(t)
	appURL := "http://localhost" + strings.TrimPrefix(s.env["CARDEA_DEMO_APP_LISTEN"], "127.0.0.1")
	apiURL := "http://localhost" + strings.TrimPrefix(s.env["CARDEA_DEMO_API_LISTEN"], "127.0.0.1")
	first, stop := s.dev(t)
	password := passwordIn(t, first)
	for _, want := range []string{s.issuer + "\n", "demo app        " + appURL + "\n", "demo API        " + apiURL + "\n", "sign in as      " + demoEmail + "\n", s.issuer + "/setup?link="} {
		if strings.Count(first, want) < 1 {
			t.Errorf("%q is not printed:\n%s", want, first)
		}
	}
	if password == "" {
		t.Fatalf("no password is printed:\n%s", first)
	}
	for address, status := range map[string]int{s.issuer + "/.well-known/openid-configuration": 200, appURL: 200, apiURL + "/clock": 401} {
		if res, err := http.Get(address); err != nil || res.StatusCode != status {
			t.Errorf("%s: %v, %v; want %d", address, res, err, status)
		} else {
			res.Body.Close()
		}
	}
	stop()
	people, clients, secrets, right := s.kept(t, password)
	if !slices.Equal(people, []string{demoEmail}) || !right {
		t.Errorf("after the first start there are %q, and the password works: %v", people, right)
	}

	second, stop := s.dev(t)
	stop()
	if passwordIn(t, second) != "" || strings.Contains(second, string(password)) || !strings.Contains(second, "--new-password") {
		t.Errorf("the second start prints a password, or not how to get another:\n%s", second)
	}
	people2, clients2, secrets2, right := s.kept(t, password)
	if !slices.Equal(people2, people) || !slices.Equal(clients2, clients) || !right {
		t.Errorf("after the second start there are %q and %q, before %q and %q; the password works: %v", people2, clients2, people, clients, right)
	}
	if living := secrets2; living != secrets {
		t.Errorf("%d client secrets live, before %d", living, secrets)
	}
}

// A port that is in use is named, with the flag that chooses another. The
// password of a first start that gets no further is told all the same.
func TestDevSaysWhichPortIsInUse(t *testing.T) {
	for setting, flag := range map[string]string{"CARDEA_LISTEN": "--listen", "CARDEA_DEMO_APP_LISTEN": "--demo-app-listen", "CARDEA_DEMO_API_LISTEN": "--demo-api-listen"} {
		t.Run(setting, func(t *testing.T) {
			s := prepareDev(t)
			ln, err := net.Listen("tcp", s.env[setting])
			if err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err = run(ctx, []string{"dev"}, nil, s.getenv, strings.NewReader(""), &out, &errs)
			ln.Close()
			if said := errs.String(); err == nil || !strings.Contains(said, s.env[setting]) || !strings.Contains(said, "address already in use") || !strings.Contains(said, flag) {
				t.Errorf("%v: %s; want the address and %s", err, said, flag)
			}
			if strings.Contains(out.String(), "ready on") {
				t.Errorf("it says that it is ready:\n%s", out.String())
			}
			first := passwordIn(t, out.String())
			next, stop := s.dev(t)
			stop()
			password := firstOf(string(first), string(passwordIn(t, next)))
			if _, _, _, right := s.kept(t, secret.Text(password)); password == "" || !right {
				t.Errorf("no working password was ever told:\n%s\n%s", out.String(), next)
			}
		})
	}
}

// Ctrl-C ends it in order, and then nobody listens on any of
// the three ports.
func TestDevStopsAllThreeServers(t *testing.T) {
	s := prepareDev(t)
	_, stop := s.dev(t)
	ports := []string{s.env["CARDEA_LISTEN"], s.env["CARDEA_DEMO_APP_LISTEN"], s.env["CARDEA_DEMO_API_LISTEN"]}
	for _, port := range ports {
		conn, err := net.Dial("tcp", port)
		if err != nil {
			t.Fatalf("%s: %v", port, err)
		}
		conn.Close()
	}
	stop()
	for _, port := range ports {
		ln, err := net.Listen("tcp", port)
		if err != nil {
			t.Errorf("%s is still in use: %v", port, err)
			continue
		}
		ln.Close()
	}
}
