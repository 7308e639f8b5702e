package secret_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/secret"
)

func TestSecretsDoNotPrintThemselves(t *testing.T) {
	s := secret.New("cdk_")
	shown := fmt.Sprintf("%v %s %+v %#v %q", s, s, s, s, s) + fmt.Sprint(struct{ S secret.Text }{s})
	if strings.Contains(shown, string(s)) {
		t.Errorf("the secret shows itself: %s", shown)
	}
	if b, err := json.Marshal(map[string]any{"s": s}); err == nil {
		t.Errorf("the secret was encoded: %s", b)
	}
}

// JW-09: one encoding only; every truncation, extension and flip is refused.
func TestOnlyTheExactSecretIsValid(t *testing.T) {
	s := string(secret.New("cdk_"))
	if !secret.Valid("cdk_", s) {
		t.Fatalf("%s is not valid", s)
	}
	for i := range len(s) {
		if secret.Valid("cdk_", s[:i]) || secret.Valid("cdk_", s[:i]+s[i+1:]) {
			t.Errorf("a secret without character %d is valid", i)
		}
		flipped := []byte(s)
		flipped[i] ^= 1
		if secret.Valid("cdk_", string(flipped)) {
			t.Errorf("a secret with character %d changed is valid", i)
		}
	}
	for _, tail := range []string{"A", "=", "\n", " "} {
		if secret.Valid("cdk_", s+tail) {
			t.Errorf("a secret with %q at its end is valid", tail)
		}
	}
	if secret.Valid("cdr_", s) {
		t.Error("a secret is valid under another prefix")
	}
}

func TestSealedValuesOpenOnlyInTheirPlace(t *testing.T) {
	box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	sealed := box.Seal([]byte("private"), "realm", "key", "1")
	if got, err := box.Open(sealed, "realm", "key", "1"); err != nil || string(got) != "private" {
		t.Fatalf("Open = %q, %v", got, err)
	}
	for _, place := range [][]string{{"other", "key", "1"}, {"realm", "key", "2"}, {"realmkey", "1"}, {"realm", "key1"}, {}} {
		if _, err := box.Open(sealed, place...); err == nil {
			t.Errorf("opened in place %q", place)
		}
	}
	for i := range sealed {
		bad := append([]byte(nil), sealed...)
		bad[i] ^= 0x80
		if _, err := box.Open(bad, "realm", "key", "1"); err == nil {
			t.Errorf("opened with byte %d changed", i)
		}
	}
}

func TestEqualRefusesTheEmpty(t *testing.T) {
	if secret.Equal(nil, nil) || secret.Equal([]byte{}, []byte{}) {
		t.Error("two absent secrets are equal")
	}
	if !secret.Equal([]byte("a"), []byte("a")) || secret.Equal([]byte("a"), []byte("b")) {
		t.Error("Equal compares wrongly")
	}
}
