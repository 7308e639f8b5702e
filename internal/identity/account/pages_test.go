package account

import (
	"testing"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/i18n/i18ntest"
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
	i18ntest.Check(t, words, s.look.Pages().Templates())
	for _, l := range words.Locales() {
		for _, kind := range shownFactors {
			for _, key := range []string{"factors." + string(kind), "factors." + string(kind) + ".what", "factors." + string(kind) + ".add"} {
				if !l.Has(key) {
					t.Errorf("%s lacks %q", l.Tag(), key)
				}
			}
		}
		for _, entry := range (frame{}).Menu() {
			if !l.Has(entry.Key) {
				t.Errorf("%s lacks %q", l.Tag(), entry.Key)
			}
		}
	}
}
