package credential_test

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

func TestRules(t *testing.T) {
	rules := credential.Rules{MinLength: 15, Context: []string{"acme", "Wayland Robotics", "ada.lovelace"}}
	for password, want := range map[string]string{
		// Length in code points, after normalisation.
		"fourteen chars":                  "password_too_short",
		"fifteen chars..":                 "",
		strings.Repeat("\u00e9", 15):      "",
		strings.Repeat("\u00e9", 14):      "password_too_short",
		strings.Repeat("e\u0301", 15):     "",
		strings.Repeat("e\u0301", 14):     "password_too_short",
		strings.Repeat("x", 127) + "y":    "",
		strings.Repeat("x", 128) + "y":    "password_too_long",
		strings.Repeat("\U0001f512", 128): "",
		strings.Repeat("x", 1<<20):        "password_too_long",
		"":                                "password_too_short",
		"fifteen chars..\xff":             "password_invalid",
		"fifteen\x00chars...":             "password_invalid",
		// No rules of composition.
		"               \U0001f98a":        "",
		"\u00fcber den bergen ist es weit": "",
		"aaaaaaaaaaaaaaaaaaaa":             "",
		"lantern quarry mild otter":        "",
		"correct horse battery staple":     "",
		"84619375028461937502":             "",
		"xK9#mQ2$vL7@nR4":                  "",
		// Common ones, plain and in disguise.
		"Password1234567!":     "password_common",
		"PASSWORD1234567":      "password_common",
		"p@ssw0rd1234567":      "password_common",
		"!!!letmein!!!!!":      "password_common",
		"iloveyou2024!!!!":     "password_common",
		"dragon1234567890":     "password_common",
		"passwordpassword":     "password_common",
		"\uff50assword1234567": "password_common",
		"123456789012345":      "password_common",
		"987654321098765":      "password_common",
		"dragon\u00b7\u00b7\u00b7\u00b7\u00b7\u00b7\u00b7\u00b7\u00b7": "",
		"dragon8461937502846": "",
		// Words that go with the account.
		"acme2026acme2026":         "password_context",
		"waylandrobotics2026":      "password_context",
		"Wayland Robotics":         "password_context",
		"robotics-wayland":         "password_context",
		"ada.lovelace2026":         "password_context",
		"LovelaceLovelace":         "password_common",
		"acme lantern quarry":      "",
		"my lovelace secret otter": "",
	} {
		_, err := rules.Check(password)
		if fault.Code(err) != want || want == "" && err != nil {
			t.Errorf("Check(%.40q) = %v, want %q", password, err, want)
		}
	}
	rules.SecondFactor = true
	for password, want := range map[string]string{"seven77": "password_too_short", "zq8wvx7k": ""} {
		if _, err := rules.Check(password); fault.Code(err) != want {
			t.Errorf("with a second factor Check(%q) = %v, want %q", password, err, want)
		}
	}
}

func TestEveryListedPasswordIsRefused(t *testing.T) {
	b, err := os.ReadFile("blocklist/passwords.txt")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(b))
	if len(words) < 49_000 || !slices.IsSorted(words) {
		t.Fatalf("the list has %d words, sorted: %t", len(words), slices.IsSorted(words))
	}
	rules := credential.Rules{MinLength: 1}
	for _, w := range words {
		if _, err := rules.Check(w); fault.Code(err) != "password_common" {
			t.Fatalf("Check(%q) = %v, want password_common", w, err)
		}
	}
	for _, w := range []string{"\n", words[0] + "\n" + words[1], "zzzzzzzzzzzzzzzzzzzzzzzzzzz~", "\x01\x01"} {
		if _, err := rules.Check(w); err != nil {
			t.Errorf("Check(%q) = %v, want it accepted", w, err)
		}
	}
}

func FuzzRules(f *testing.F) {
	for _, seed := range []string{"Password1234567!", "e\u0301", "acme2026acme", "\xff", "\u200d\u202e", strings.Repeat("1", 300)} {
		f.Add(seed)
	}
	rules := credential.Rules{MinLength: 15, Context: []string{"acme", "\u0130stanbul"}}
	f.Fuzz(func(t *testing.T, password string) {
		text, err := rules.Check(password)
		if err != nil {
			return
		}
		if again, err := rules.Check(text); err != nil || again != text {
			t.Errorf("Check(%q) = %q, and of that %q, %v: not stable", password, text, again, err)
		}
	})
}

func breachLines(passwords ...string) string {
	var lines []string
	for i, p := range passwords {
		lines = append(lines, fmt.Sprintf("%X:%d", sha1.Sum([]byte(p)), i))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\r\n") + "\r\n"
}

func TestBreachedPasswordsAreRefused(t *testing.T) {
	var known []string
	for i := range 500 {
		known = append(known, fmt.Sprintf("breached password %d", i))
	}
	text := breachLines(known...)
	var compact bytes.Buffer
	if err := credential.BuildBreaches(&compact, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"text":          []byte(text),
		"without end":   []byte(strings.TrimSpace(text)),
		"lower case":    []byte(strings.ToLower(strings.ReplaceAll(text, "\r", ""))),
		"compact":       compact.Bytes(),
		"one line":      []byte(breachLines(known[0])),
		"empty":         nil,
		"empty compact": []byte("cardea-breaches-1\n"),
	} {
		path := filepath.Join(t.TempDir(), "breaches")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := credential.OpenBreaches(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		rules := credential.Rules{MinLength: 15, Breached: b}
		for i, p := range known {
			want := "password_breached"
			if strings.HasPrefix(name, "empty") || name == "one line" && i > 0 {
				want = ""
			}
			if _, err := rules.Check(p); fault.Code(err) != want {
				t.Errorf("%s: Check(%q) = %v, want %q", name, p, err, want)
				break
			}
		}
		for i := range 500 {
			if _, err := rules.Check(fmt.Sprintf("unknown password %d", i)); err != nil {
				t.Errorf("%s: an unknown password = %v", name, err)
				break
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBrokenBreachFilesAreNotOpened(t *testing.T) {
	for name, content := range map[string]string{
		"text":    "password\nletmein\n",
		"cut off": "cardea-breaches-1\nabc",
		"binary":  strings.Repeat("\x00", 1000),
	} {
		path := filepath.Join(t.TempDir(), "breaches")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := credential.OpenBreaches(path); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := credential.OpenBreaches(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
	lines := strings.Split(breachLines("a", "b"), "\r\n")
	unsorted := lines[1] + "\n" + lines[0] + "\n"
	if err := credential.BuildBreaches(new(bytes.Buffer), strings.NewReader(unsorted)); err == nil {
		t.Error("an unsorted file was built")
	}
}
