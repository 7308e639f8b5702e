package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFactCommands(t *testing.T) {
	s := startServer(t)
	s.env["CARDEA_TOKEN"] = s.token
	for _, c := range []struct {
		args []string
		want string // in the output, or with ! in the error
	}{
		{[]string{"relation", "add", "user:a:b", "editor", "folder:plans", "--for", "720h"}, "revision"},
		{[]string{"relation", "add", "document:42", "parent", "folder:plans"}, "revision"},
		{[]string{"relation", "add", "folder:plans", "parent", "document:42"}, "!closes a circle"},
		{[]string{"relation", "add", "plans", "editor", "folder:plans"}, "!is no entity"},
		{[]string{"relation", "list", "--subject", "user:a:b"}, "user:a:b  editor"},
		{[]string{"relation", "list", "--object", "folder", "--relation", "parent"}, "document:42"},
		{[]string{"relation", "list", "--object", "folder:"}, "!is no entity"},
		{[]string{"attribute", "set", "App::Payment:17", "status", "active"}, "revision"},
		{[]string{"attribute", "set", "App::Payment:17", "amount", "4200"}, "revision"},
		{[]string{"attribute", "set", "App::Payment:17", "amount", "1", "--if", "7"}, "!is not 7 now, so nothing was written"},
		{[]string{"attribute", "set", "App::Payment:17", "amount", "4300", "--if", "4200"}, "revision"},
		{[]string{"attribute", "list", "--entity", "App::Payment:17"}, `"active"`},
		{[]string{"attribute", "list", "--name", "amount", "--output", "json"}, `4300`},
		{[]string{"attribute", "unset", "App::Payment:17", "amount"}, "revision"},
		{[]string{"relation", "remove", "document:42", "parent", "folder:plans"}, "revision"},
	} {
		out, errs, err := s.run(c.args...)
		want, wrong := strings.CutPrefix(c.want, "!")
		if wrong {
			if err == nil || !strings.Contains(err.Error()+errs, want) {
				t.Errorf("%v: %v %s, want %s", c.args, err, errs, want)
			}
			continue
		}
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %s %v %s, want %s", c.args, out, err, errs, want)
		}
	}
}

// A relation that the policies know no role for is written, and told.
func TestUnknownRolesAreTold(t *testing.T) {
	example, err := filepath.Abs("../../examples/policies/payments")
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t)
	s.env["CARDEA_TOKEN"] = s.token
	add := func(name, warning string) {
		t.Helper()
		out, errs, err := s.run("relation", "add", "user:ann", name, "payment:17")
		if err != nil || !strings.Contains(out, "revision") || errs != warning {
			t.Errorf("%s: %s %v\n got %q\nwant %q", name, out, err, errs, warning)
		}
	}
	add("acountant", "") // there are no policies
	if _, errs, err := s.run("policy", "apply", example); err != nil {
		t.Fatalf("%v %s", err, errs)
	}
	add("accountant", "")
	add("parent", "")
	add("acountant", "warning: the policies have no role \"acountant\", so nothing goes by this relation; they have accountant, approver, member, parent\n")
}

// An import that broke off goes on where it was, and one bad line writes nothing.
func TestImportsGoOnWhereTheyBrokeOff(t *testing.T) {
	s := startServer(t)
	s.env["CARDEA_TOKEN"] = s.token
	path := filepath.Join(t.TempDir(), "facts.jsonl")
	line := func(i int) string {
		return fmt.Sprintf(`{"subject":{"type":"user","id":"%d"},"relation":"viewer","object":{"type":"document","id":"1"}}`, i)
	}
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var all []string
	for i := range 2100 {
		all = append(all, line(i))
	}
	write(append(all[:2099:2099], `{"subject":1}`)...)
	if _, _, err := s.run("relation", "import", path); err == nil || !strings.Contains(err.Error(), "line 2100: ") || !strings.Contains(err.Error(), "subject cannot be a number") {
		t.Fatalf("a bad line: %v", err)
	}
	if out, _, err := s.run("relation", "list"); err != nil || strings.Contains(out, "document:1") {
		t.Fatalf("something was written: %s %v", out, err)
	}
	// Of this file the last batch is refused by the server, those before are written.
	write(append(all[:2050:2050], `{"subject":{"type":"x","id":"1"},"relation":"parent","object":{"type":"x","id":"1"}}`)...)
	if _, _, err := s.run("relation", "import", path); err == nil || !strings.Contains(err.Error(), "again to go on") {
		t.Fatalf("got %v", err)
	}
	write(append(all, `{"entity":{"type":"document","id":"1"},"name":"status","value":{"open":true}}`)...)
	if out, _, err := s.run("relation", "import", path, "--check"); err != nil || !strings.Contains(out, "2101 lines") {
		t.Fatalf("%s %v", out, err)
	}
	out, errs, err := s.run("relation", "import", path)
	if err != nil || !strings.Contains(out, "already  2") || !strings.Contains(errs, "2101 of 2101") {
		t.Fatalf("%s %s %v", out, errs, err)
	}
	// The server does the same by itself, once all of it is there and in order.
	write(append(all[:1500:1500], `{"subject":{"type":"user","id":"new"},"relation":"viewer","object":{"type":"document","id":"1"}}`)...)
	out, errs, err = s.run("relation", "import", path, "--on-server")
	if err != nil || !strings.Contains(out, "1501 of 1501") || !strings.Contains(out, "done") || !strings.Contains(errs, "sent 1501 of 1501") {
		t.Fatalf("%s %s %v", out, errs, err)
	}
	if out, _, err := s.run("relation", "imports"); err != nil || !strings.Contains(out, "facts.jsonl") || !strings.Contains(out, "done") {
		t.Errorf("%s %v", out, err)
	}
	if out, _, err := s.run("relation", "remove", "user:new", "viewer", "document:1"); err != nil {
		t.Errorf("%s %v", out, err)
	}
	out, _, err = s.run("relation", "list", "--object", "document:1", "--all", "--output", "json")
	if err != nil || strings.Count(out, `"viewer"`) != 2100 {
		t.Errorf("%d relations, %v", strings.Count(out, `"viewer"`), err)
	}
}
