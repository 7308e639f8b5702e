package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// suggestions asks as a shell does, and gives the lines without the directive.
func (s *server) suggestions(t *testing.T, args ...string) []string {
	t.Helper()
	out, _, err := s.run(append([]string{"__complete"}, args...)...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if last := lines[len(lines)-1]; last != ":4" { // and no files
		t.Errorf("%v ends with %s, want :4", args, last)
	}
	return lines[:len(lines)-1]
}

// made runs a command and gives the id of what it made.
func (s *server) made(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := s.run(append(args, "--output", "json")...)
	if err != nil {
		t.Fatalf("%v: %v %s", args, err, errs)
	}
	var x struct {
		ID, Name string
		Client   struct{ ID, Principal string }
	}
	if err := json.Unmarshal([]byte(out), &x); err != nil {
		t.Fatal(err)
	}
	return firstOf(x.ID, x.Client.ID, x.Name)
}

func TestShellsAreToldNamesAndIDs(t *testing.T) {
	s := startServer(t)
	s.env["CARDEA_TOKEN"] = s.token
	ada := s.made(t, "user", "create", "--username", "ada", "--name", "Ada Lovelace", "--email", "al@example.com")
	s.made(t, "user", "create", "--username", "adam", "--name", "Adam Smith")
	gone := s.made(t, "user", "create", "--username", "gone")
	if _, _, err := s.run("user", "delete", gone); err != nil {
		t.Fatal(err)
	}
	group := s.made(t, "group", "create", "engineering", "--display-name", "Engineering")
	organization := s.made(t, "organization", "create", "acme")
	service := s.made(t, "service", "create", "billing")
	s.made(t, "client", "create", "--id", "shop", "--name", "Shop", "--type", "service")
	s.made(t, "realm", "create", "acme", "--display-name", "Acme Inc.")
	if _, errs, err := s.run("group", "add", group, "ada"); err != nil {
		t.Fatal(errs)
	}
	for _, c := range []struct {
		ask  string
		want []string
	}{
		{"user show ad", []string{"ada\tAda Lovelace", "adam\tAdam Smith"}},
		{"user show al", []string{"al@example.com\tAda Lovelace"}},
		{"user show " + ada[:20], []string{ada + "\tAda Lovelace"}},
		{"user show zz", nil},
		{"user show ada ", nil},
		{"user delete usr_", nil}, // filled in below
		{"group show ", []string{"engineering\tEngineering"}},
		{"group show grp_", []string{group + "\tEngineering"}},
		{"group add " + group + " ada", []string{"ada\tAda Lovelace", "adam\tAdam Smith"}},
		{"group remove " + group + " ", []string{ada + "\tAda Lovelace"}},
		{"group remove engineering ", []string{ada + "\tAda Lovelace"}},
		{"organization members org_", []string{organization + "\tacme"}},
		{"service suspend " + service[:18], []string{service + "\tbilling"}},
		{"client show sh", []string{"shop\tShop"}},
		{"client secret rotate sh", []string{"shop\tShop"}},
		{"realm show ac", []string{"acme\tAcme Inc."}},
		{"operator assign ada ", []string{"owner", "admin", "helpdesk", "viewer", "application"}},
		{"operator assign ada h", []string{"helpdesk"}},
		{"user email verify ada ", []string{"al@example.com\tal@example.com (not verified)"}},
		{"user email add ada ", nil},
		{"group create ", nil},
		{"grant list --client sh", []string{"shop\tShop"}},
		{"session list --user " + ada[:20], []string{ada + "\tAda Lovelace"}},
		{"user list --state s", []string{"suspended"}},
		{"client create --type n", []string{"native"}},
		{"client create --grant-type c", []string{"client_credentials", "ciba"}},
		{"signing-key rotate --algorithm E", []string{"ES256", "EdDSA"}},
		{"user list --output ", []string{"table", "json", "yaml"}},
		{"grant show nothing", nil},
		{"session show ", nil},
	} {
		if c.ask == "user delete usr_" {
			if got := s.suggestions(t, strings.Split(c.ask, " ")...); len(got) != 2 || strings.Contains(strings.Join(got, " "), gone) {
				t.Errorf("%s: %q, want the two who are not deleted", c.ask, got)
			}
			continue
		}
		if got := s.suggestions(t, strings.Split(c.ask, " ")...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.ask, got, c.want)
		}
	}
	if got := s.suggestions(t, "client", "secret", "revoke", "shop", "crd_"); len(got) != 1 || !strings.Contains(got[0], "\tclient_secret of ") {
		t.Errorf("secrets of a client: %q", got)
	}
	if got := s.suggestions(t, "signing-key", "show", "key_"); len(got) == 0 || !strings.Contains(strings.Join(got, "\n"), "\tES256 active") {
		t.Errorf("signing keys: %q", got)
	}
	if got := s.suggestions(t, "grant", "show", "gnt_"); len(got) == 0 || !strings.Contains(got[0], " for svc_") {
		t.Errorf("grants: %q", got)
	}
}

// However many there are, fifty are told, and not all are fetched.
func TestSuggestionsAreFew(t *testing.T) {
	pages := 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages++
		var items []string
		for i := range 200 {
			items = append(items, fmt.Sprintf(`{"id":"app-%03d-%03d","name":"A\u001b\tB"}`, pages, i))
		}
		fmt.Fprintf(w, `{"items":[%s],"next":"more"}`, strings.Join(items, ","))
	}))
	defer api.Close()
	s := &server{env: map[string]string{"CARDEA_ISSUER": api.URL, "CARDEA_TOKEN": "t", "CARDEA_HOME": t.TempDir()}}
	if got := s.suggestions(t, "client", "show", ""); len(got) != suggestMost || pages != 1 || got[0] != "app-001-000\tA??B" {
		t.Errorf("%d suggestions of %d pages, want %d of 1: %q", len(got), pages, suggestMost, got)
	}
	pages = 0
	if got := s.suggestions(t, "client", "show", "zz"); len(got) != 0 || pages > suggestLook/200+1 {
		t.Errorf("%d suggestions of %d pages", len(got), pages)
	}
}

// Without a login, with a server that refuses, that is busy or that is away, there
// are no suggestions and no words about it.
func TestSuggestionsAreSilentOnErrors(t *testing.T) {
	asked := 0
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Retry-After", "9")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer busy.Close()
	for name, env := range map[string]map[string]string{
		"no login": {"CARDEA_ISSUER": busy.URL},
		"no name":  {},
		"busy":     {"CARDEA_ISSUER": busy.URL, "CARDEA_TOKEN": "t"},
		"away":     {"CARDEA_ISSUER": "http://127.0.0.1:1", "CARDEA_TOKEN": "t"},
		"nonsense": {"CARDEA_ISSUER": "http://example.com", "CARDEA_TOKEN": "t"},
	} {
		env["CARDEA_HOME"] = t.TempDir()
		s := &server{env: env}
		out, errs, err := s.run("__complete", "user", "show", "a")
		if err != nil || out != ":4\n" || strings.Contains(errs, "rror") {
			t.Errorf("%s: %q %q %v", name, out, errs, err)
		}
	}
	if asked != 1 {
		t.Errorf("the busy server was asked %d times, want once", asked)
	}
}

// A server that does not answer holds a shell up for two seconds at most.
func TestSuggestionsDoNotWait(t *testing.T) {
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(release)
	c := &console{getenv: func(name string) string {
		return map[string]string{"CARDEA_ISSUER": slow.URL, "CARDEA_TOKEN": "t", "CARDEA_HOME": t.TempDir()}[name]
	}, out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	began := time.Now()
	if got := c.suggest(context.Background(), users, nil, ""); got != nil {
		t.Errorf("got %q", got)
	}
	if took := time.Since(began); took > suggestSoon+time.Second {
		t.Errorf("took %v", took)
	}
}

// Every placeholder that names something of the server's has a source.
func TestPlaceholdersAreKnown(t *testing.T) {
	own := []string{"NAME", "SUBJECT", "ACTION", "RESOURCE", "ENTITY", "RELATION", "OBJECT", "VALUE"} // what only the user can know
	root := newRoot(&console{getenv: func(string) string { return "" }, out: &bytes.Buffer{}, err: &bytes.Buffer{}})
	for _, cmd := range leaves(root) {
		top := cmd
		for top.HasParent() && top.Parent() != root {
			top = top.Parent()
		}
		if top.GroupID != "admin" {
			continue
		}
		checkPlaceholders(t, cmd, own)
	}
}

func checkPlaceholders(t *testing.T, cmd *cobra.Command, own []string) {
	t.Helper()
	for _, name := range placeholder.FindAllString(cmd.Use, -1) {
		if _, ok := argumentSources[name]; !ok && !slices.Contains(own, name) {
			t.Errorf("%s: nothing completes %s", cmd.CommandPath(), name)
		}
	}
}
