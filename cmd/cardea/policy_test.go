package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// policyRun runs the program without a server and gives what it wrote and its
// exit code.
func policyRun(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out, errs strings.Builder
	err := run(context.Background(), append([]string{"policy"}, args...), nil, func(string) string { return "" }, strings.NewReader(""), &out, &errs)
	var called errUsage
	switch {
	case errors.As(err, &called):
		return out.String() + errs.String(), 2
	case err != nil:
		return out.String() + errs.String(), 1
	}
	return out.String() + errs.String(), 0
}

// copyExample copies an example folder, with replacements in its texts.
func copyExample(t *testing.T, name string, replace ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS("../../examples/policies/"+name)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(p, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Every example folder passes cardea policy check, test and fmt as it stands.
func TestPolicyCommandsOnTheExamples(t *testing.T) {
	dirs, err := filepath.Glob("../../examples/policies/*")
	if err != nil || len(dirs) < 3 {
		t.Fatal(dirs, err)
	}
	for _, dir := range dirs {
		for _, args := range [][]string{{"check", dir}, {"test", "--strict", dir}, {"fmt", "--check", dir}} {
			if out, code := policyRun(t, args...); code != 0 || strings.Contains(out, "\x1b") {
				t.Errorf("cardea policy %s: %d\n%s", strings.Join(args, " "), code, out)
			}
		}
	}
}

func TestPolicyCommandsSayWhatIsWrong(t *testing.T) {
	broken := copyExample(t, "documents", `"secret"`, "secret")
	failing := copyExample(t, "documents", "[share, delete]", "[share]")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"check", broken}, 1, filepath.Join(broken, "policies", "classified.cedar") + ":6:"},
		{[]string{"test", broken}, 1, "classified.cedar:6:"},
		{[]string{"test", failing}, 1, "want allow, got deny"},
		{[]string{"check", filepath.Join(broken, "nowhere")}, 2, "no such file"},
		{[]string{"check", "a", "b"}, 2, "accepts at most 1 arg"},
		{[]string{"check", "--nonsense"}, 2, "unknown flag"},
		{[]string{"chekc"}, 2, "there is no command"},
		{[]string{"diff", broken}, 2, "accepts 2 arg"},
		{[]string{"plan", failing}, 1, "no server is named"},
	} {
		out, code := policyRun(t, c.args...)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%v: %d, want %d with %q\n%s", c.args, code, c.code, c.says, out)
		}
	}
}

func TestPolicyFmtAndDiff(t *testing.T) {
	messy := copyExample(t, "documents", "when { resource has archived", "when{resource   has archived", "editor: {implies: [viewer]", "editor:   {implies:   [viewer]")
	if out, code := policyRun(t, "fmt", "--check", messy); code != 1 || !strings.Contains(out, "archive.cedar") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := policyRun(t, "fmt", messy); code != 0 || !strings.Contains(out, "roles.yaml") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := policyRun(t, "fmt", messy); code != 0 || out != "" {
		t.Errorf("again: %d %s", code, out)
	}
	want := copyExample(t, "documents")
	if out, code := policyRun(t, "diff", messy, want); code != 0 || out != "" {
		t.Errorf("layout is a difference: %d %s", code, out)
	}
	other := copyExample(t, "documents", "viewer: {permissions: [read]}", "viewer: {permissions: [read, comment]}")
	if out, _ := policyRun(t, "diff", want, other); out != "role viewer of document may now comment\n" {
		t.Error(out)
	}
	out, code := policyRun(t, "test", "-o", "json", want)
	var got checked
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || !got.OK || got.Tests.Questions < 20 || got.Hash == "" {
		t.Errorf("%d %v %s", code, err, out)
	}
}
