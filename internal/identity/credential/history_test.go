package credential_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// ruled lets a realm have rules of a regulator.
func (e env) ruled(t *testing.T, settings map[string]any) {
	t.Helper()
	if _, err := e.realms.Update(t.Context(), audittest.By, dbtest.Realm, 0, realm.Change{Settings: settings}); err != nil {
		t.Fatal(err)
	}
}

// PW-05: passwords do not age unless a realm says so; then an old one opens
// nothing but its own replacement.
func TestPasswordsExpireWhereARealmSaysSo(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		e.Clock.Advance(400 * 24 * time.Hour)
		check := func() credential.Result {
			t.Helper()
			got, err := e.passwords.Check(t.Context(), audittest.By, dbtest.Realm, credential.Attempt{Principal: ada, Password: right})
			if err != nil || got.Outcome != credential.Right {
				t.Fatalf("%+v, %v", got, err)
			}
			return got
		}
		if got := check(); got.MustChange || got.Expired {
			t.Errorf("expired without a rule: %+v", got)
		}
		e.ruled(t, map[string]any{"password_max_age": "365d"})
		if got := check(); !got.MustChange || !got.Expired {
			t.Errorf("not expired: %+v", got)
		}
		if _, err := e.passwords.Set(t.Context(), audittest.By, dbtest.Realm, ada, right); err != nil {
			t.Fatal(err)
		}
		if got := check(); got.MustChange {
			t.Errorf("a new one has expired: %+v", got)
		}
	})
}

func TestEarlierPasswordsAreRefusedWhereARealmSaysSo(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		set := func(text string) error {
			_, err := e.passwords.Set(t.Context(), audittest.By, dbtest.Realm, ada, secret.Text(text))
			e.Clock.Advance(time.Minute)
			return err
		}
		words := []string{"seven lanterns over the harbour", "purple clouds eat quiet bicycles", "the ninth violin prefers mustard"}
		if err := set(right); err != nil {
			t.Errorf("the same again, without a rule: %v", err)
		}
		e.ruled(t, map[string]any{"password_history": 2})
		for _, text := range words {
			if err := set(text); err != nil {
				t.Fatal(err)
			}
		}
		for _, text := range words {
			if err := set(text); fault.Code(err) != "password_reused" {
				t.Errorf("%q again: %v", text, err)
			}
		}
		if err := set(right); err != nil {
			t.Errorf("one of long ago: %v", err)
		}
		e.ruled(t, map[string]any{"password_history": 0})
		if err := set(words[2]); err != nil {
			t.Errorf("without the rule: %v", err)
		}
		e.ruled(t, map[string]any{"password_history": 2})
		if err := set(right); err != nil {
			t.Errorf("hashes were kept although the realm did not want them: %v", err)
		}
	})
}

// PW-04: the service is told five digits of the hash, and what it does not answer
// is decided by the operator.
func TestTheRangeServiceLearnsFiveDigits(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		const known, padded = "a password that was breached once", "a password that only pads the list"
		hash := func(s string) string {
			sum := sha1.Sum([]byte(s))
			return strings.ToUpper(hex.EncodeToString(sum[:]))
		}
		var asked []string
		var away error
		service := &credential.Range{Get: func(_ context.Context, digits string) ([]byte, error) {
			asked = append(asked, digits)
			return []byte(hash(known)[5:] + ":3\r\n" + hash(padded)[5:] + ":0\r\n"), away
		}}
		passwords := credential.NewPasswords(e.DB, e.Log, e.realms, credential.PasswordOptions{Service: service, Cheap: true})
		set := func(text string) string {
			_, err := passwords.Set(t.Context(), audittest.By, dbtest.Realm, ada, secret.Text(text))
			return fault.Code(err)
		}
		if got := set(known); got != "password_breached" {
			t.Errorf("a breached one: %q", got)
		}
		if got := set(padded); got != "" {
			t.Errorf("padding: %q", got)
		}
		if len(asked) != 2 || asked[0] != hash(known)[:5] {
			t.Errorf("asked for %q", asked)
		}
		away = errors.New("away")
		if got := set(known); got != "" {
			t.Errorf("away and open: %q", got)
		}
		service.Closed = true
		if got := set("seven lanterns over the harbour"); got != "breach_service_unavailable" {
			t.Errorf("away and closed: %q", got)
		}
	})
}
