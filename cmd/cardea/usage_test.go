package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
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
		"edge":                 `required flag(s) "client"`,
		"relation add a b":     "the call is cardea relation add SUBJECT RELATION OBJECT",
	} {
		var out, errs bytes.Buffer
		err := run(context.Background(), strings.Fields(call), nil, func(string) string { return "" }, strings.NewReader(""), &out, &errs)
		var called errUsage
		if !errors.As(err, &called) || !strings.Contains(errs.String(), says) || out.Len() > 0 {
			t.Errorf("cardea %s: %v\n got %s%s\nwant %s", call, err, out.String(), errs.String(), says)
		}
	}
	for _, call := range []string{"", "user", "policy", "help user", "user --help"} {
		var out, errs bytes.Buffer
		err := run(context.Background(), strings.Fields(call), nil, func(string) string { return "" }, strings.NewReader(""), &out, &errs)
		if err != nil || !strings.Contains(out.String(), "Usage:\n  cardea") || strings.Contains(out.String(), "cardea user [flags]") || strings.Contains(out.String(), "cardea policy [flags]") {
			t.Errorf("cardea %s: %v\n%s%s", call, err, out.String(), errs.String())
		}
	}
}
