package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// A wrong call ends with 2 and says what would be right; a typo is not answered
// with help and success.
func TestWrongCallsSayWhatWouldBeRight(t *testing.T) {
	for call, says := range map[string]string{
		"frobnicate":           `there is no command "cardea frobnicate"; see cardea --help`,
		"usr list":             `there is no command "cardea usr"; is it ask or user?`,
		"user crate":           `there is no command "cardea user crate"; is it create?`,
		"user --output json x": `there is no command "cardea user x"; see cardea user --help`,
		"user list --nope":     "unknown flag: --nope; see cardea user list --help",
		"user show":            "accepts 1 arg(s), received 0; the call is cardea user show USER",
		"edge":                 `required flag(s) "client", "issuer", "secret-file" not set; see cardea edge --help`,
		"help nosuch":          `there is no command "cardea nosuch"; see cardea --help`,
		"help user crate":      `there is no command "cardea user crate"; is it create?`,
		"completion bsh":       `there is no command "cardea completion bsh"; is it bash or `,
		"completion nosuch":    `see cardea completion --help`,
		"policy check . -o xm": `want table, json or yaml; see cardea policy check --help`,
		"source create x":      "at least one of the flags in the group [url query] is required; see cardea source create --help",
		"break-glass":          "at least one of the flags in the group [end reason] is required",
		"login --device --no-browser https://id.example": "none of the others can be",
		"relation add a b": "the call is cardea relation add SUBJECT RELATION OBJECT",
	} {
		var out, errs bytes.Buffer
		err := run(context.Background(), strings.Fields(call), nil, func(string) string { return "" }, strings.NewReader(""), &out, &errs)
		var called errUsage
		if !errors.As(err, &called) || !strings.Contains(errs.String(), says) || out.Len() > 0 {
			t.Errorf("cardea %s: %v\n got %s%s\nwant %s", call, err, out.String(), errs.String(), says)
		}
	}
	for _, call := range []string{"", "user", "policy", "help", "help user", "help user show", "user --help", "completion"} {
		var out, errs bytes.Buffer
		err := run(context.Background(), strings.Fields(call), nil, func(string) string { return "" }, strings.NewReader(""), &out, &errs)
		if err != nil || !strings.Contains(out.String(), "Usage:\n  cardea") || strings.Contains(out.String(), "cardea user [flags]") || strings.Contains(out.String(), "cardea policy [flags]") {
			t.Errorf("cardea %s: %v\n%s%s", call, err, out.String(), errs.String())
		}
	}
}

func TestCompletionsAreWrittenWhereOutputGoes(t *testing.T) {
	var out, errs bytes.Buffer
	if err := run(context.Background(), []string{"completion", "bash"}, nil, func(string) string { return "" }, strings.NewReader(""), &out, &errs); err != nil || !strings.Contains(out.String(), "__start_cardea") {
		t.Errorf("%v %s%s", err, out.String(), errs.String())
	}
}

func TestTimesAreDaysOrMoments(t *testing.T) {
	for text, want := range map[string]string{"2026-01-31": "2026-01-31T00:00:00Z", "2026-01-31T08:00:00+01:00": "2026-01-31T07:00:00Z"} {
		if at, err := readTime("since", text); err != nil || at.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %v %v", text, at, err)
		}
	}
	for _, text := range []string{"yesterday", "2026-1-31", "2026-01-31 08:00"} {
		if _, err := readTime("since", text); err == nil || !strings.Contains(err.Error(), "such as 2026-01-31T08:00:00Z, or a date") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A number that the reference says is refused must not look like success.
func TestRealmUpdateRefusesZero(t *testing.T) {
	s := startServer(t)
	for _, name := range []string{"guess_limit", "password_min_length", "max_token_bytes", "registration_max_clients", "client_id_metadata_document_max"} {
		if out, errs, err := s.run("realm", "update", "--set", name+"=0", "--token", s.token); err == nil {
			t.Errorf("%s=0 was taken: %.60s %s", name, out, errs)
		}
	}
	if out, errs, err := s.run("realm", "create", "other", "--set", "nosuch=", "--token", s.token); err == nil || !strings.Contains(errs, "no setting") {
		t.Errorf("an unknown one is reset: %s%s", out, errs)
	}
	for set, want := range map[string]string{"password_history= password_history=3": `"password_history": 3`, "password_history=3 password_history=": "", "mail_footer=2026": `"mail_footer": "2026"`} {
		call := []string{"realm", "update", "-o", "json", "--token", s.token}
		for _, one := range strings.Fields(set) {
			call = append(call, "--set", one)
		}
		out, errs, err := s.run(call...)
		if err != nil || !strings.Contains(out, want) || want == "" && strings.Contains(out, `"password_history": 3`) {
			t.Errorf("%s: %v %s\n%s", set, err, errs, out)
		}
	}
}
