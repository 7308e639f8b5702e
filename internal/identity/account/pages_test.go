package account

import (
	"slices"
	"testing"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/i18n/i18ntest"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/web/look"
)

func TestTemplatesUseKnownWords(t *testing.T) {
	words, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Words: words})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, kind := range shownFactors {
		keys = append(keys, "factors."+string(kind), "factors."+string(kind)+".what", "factors."+string(kind)+".add")
	}
	for _, entry := range (frame{Passwords: true}).Menu() {
		keys = append(keys, entry.Key)
	}
	i18ntest.Check(t, words, s.look.Pages(), keys...)
}

func TestWherePasswordsDoNotCountTheMenuNamesNone(t *testing.T) {
	for _, passwords := range []bool{true, false} {
		leads := slices.ContainsFunc(frame{Passwords: passwords}.Menu(), func(one section) bool { return one.Path == pathPassword })
		if leads != passwords {
			t.Errorf("passwords count: %v, the menu leads to them: %v", passwords, leads)
		}
	}
}

// A passkey that nobody named is one of those whose heading is above it.
func TestAFactorWithoutANameIsOne(t *testing.T) {
	words, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	f := frame{Page: &look.Page{Locale: words.Match("en")}}
	for kind, want := range map[credential.Type]string{credential.Passkey: "Passkey", credential.TOTP: "Authenticator app", credential.Recovery: "Recovery codes"} {
		if got := (&Server{}).shownFactor(f, credential.Credential{Type: kind}).Name; got != want {
			t.Errorf("%s is called %q, want %q", kind, got, want)
		}
	}
}
