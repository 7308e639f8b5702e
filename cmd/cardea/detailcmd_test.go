package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAuthorizationDetailTypeCommand(t *testing.T) {
	s := startServer(t)
	s.env["CARDEA_TOKEN"] = s.token
	schema := filepath.Join(t.TempDir(), "payment.json")
	if err := os.WriteFile(schema, []byte(`{"required": ["amount"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	noun := "authorization-detail-type"
	for _, c := range []struct {
		args []string
		want string // in the output, or with ! in the error
	}{
		{[]string{noun, "put", "payment", "--schema", schema, "--words", "en=Pay {amount}", "--words", "de={amount} zahlen"}, "Pay {amount}"},
		{[]string{noun, "put", "payment", "--schema", schema, "--words", "Pay"}, "!want language=text"},
		{[]string{noun, "put", "payment", "--schema", schema, "--words", "en=Pay {"}, "!words.en"},
		{[]string{noun, "list"}, "de en"},
		{[]string{noun, "show", "payment"}, `{"required": ["amount"]}`},
		{[]string{"__complete", noun, "show", ""}, "payment"},
		{[]string{"client", "create", "--name", "Bank", "--redirect-uri", "https://bank.example.com/cb", "--scope", "openid", "--authorization-detail-type", "payment", "--output", "json"}, `"authorization_details_types"`},
		{[]string{noun, "delete", "payment"}, "is deleted"},
		{[]string{noun, "show", "payment"}, "!there is no authorization detail type"},
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
